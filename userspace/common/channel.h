/* SPDX-License-Identifier: GPL-2.0 */
/* Messages over a file descriptor (a Unix socket, or a virtio-serial port), each wait with a limit. */
#ifndef VMBEAM_CHANNEL_H
#define VMBEAM_CHANNEL_H

#include "message.h"

struct channel {
	int fd;
	struct decoder in;
	int64_t came_ms;	/* when the last byte came */
};

/* Makes @fd non-blocking; the channel owns it from now on. */
int channel_init(struct channel *ch, int fd);
/* Closes the fd. Harmless on a channel with fd -1, or twice. */
void channel_clear(struct channel *ch);

/*
 * Times are in ms; -1 waits for ever. 0 or
 *   -ETIMEDOUT	the limit came first. A message may be half sent: the channel is good for nothing but closing;
 *		after a receive that timed out it may be used on
 *   -EPIPE	the peer is gone. A virtio-serial port says so for as long as nobody is connected at the host's
 *		end, and comes back to life: sleep a little and try again
 *   -EMSGSIZE, -ENOMEM, or what read, write or poll said
 */
int channel_send(struct channel *ch, uint32_t session, struct json_object *json, const void *blob, uint32_t blob_len,
		 int timeout_ms);
int channel_recv(struct channel *ch, struct message *m, int timeout_ms);

/*
 * Throws away input until none came for @quiet_ms, or @limit_ms passed, or the peer is gone. For a process that has
 * just opened a port on which its predecessor died: the rest of the message it was reading may hold a guest VM's
 * memory, and a header found *there* must not be believed. The peer sends nothing more until it is answered, so
 * silence marks the end of that message.
 */
int channel_drain(struct channel *ch, int quiet_ms, int limit_ms);

#endif
