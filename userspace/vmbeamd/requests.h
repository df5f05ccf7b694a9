/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes what clients ask for, and what the worker says, to where it belongs; and what must wait, or is refused because of
 * something else that is under way. What a command does is in the requests_*.c. A request is {"cmd":NAME,...}; then come
 * lines with what it asked for, or with what happens, and at the end one {"result":{...}}: see docs/protocol.md. A client
 * that goes away changes nothing.
 */
#ifndef VMBEAM_REQUESTS_H
#define VMBEAM_REQUESTS_H

#include <systemd/sd-event.h>

#include "migration.h"

struct client;

/*
 * Adds the CLI's socket, and what the worker says on @worker_fd, to the event loop. @last: the report of the last
 * migration, or NULL; consumed.
 */
int requests_open(sd_event *event, const struct config *config, struct journal *journal, int worker_fd,
		  struct json_object *last, struct error *err);
/* Takes no more migrations; the loop ends when the one under way has come to its end. */
void requests_stop(void);

/* For control.c: a client's request, which stays the caller's, or NULL when it was no JSON; and its end. */
void requests_serve(struct client *c, struct json_object *json);
void requests_gone(struct client *c);

#endif
