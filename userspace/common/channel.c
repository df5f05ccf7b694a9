// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"

/* A message that stops in the middle for this long will not go on: its sender is dead, and its rest never comes. */
#define STALL_MS 5000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* The time when a wait of @timeout_ms that begins now is over; -1 is never. */
static int64_t deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int wait_for(int fd, short events, int64_t until)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = until < 0 ? -1 : until - now_ms();
		int rc;

		if (until >= 0 && left < 0)
			left = 0;
		rc = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (rc > 0) {
			/* Data that a dead peer left behind is still read. */
			if (p.revents & events)
				return 0;
			return p.revents & POLLNVAL ? -EBADF : -EPIPE;
		}
		if (rc < 0 && errno != EINTR)
			return -errno;
		if (!rc && until >= 0 && now_ms() >= until)
			return -ETIMEDOUT;
	}
}

int channel_init(struct channel *ch, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	memset(ch, 0, sizeof(*ch));
	ch->fd = fd;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	return 0;
}

void channel_clear(struct channel *ch)
{
	if (ch->fd >= 0)
		close(ch->fd);
	ch->fd = -1;
	decoder_clear(&ch->in);
}

/* Logged at both ends: of one session and number are a request and its reply. */
static void debug_message(const char *how, uint32_t session, struct json_object *json, uint32_t blob_len)
{
	struct json_object *seq = NULL, *op = NULL, *ok = NULL;
	const char *what = "error";

	json_object_object_get_ex(json, "seq", &seq);
	json_object_object_get_ex(json, "op", &op);
	json_object_object_get_ex(json, "ok", &ok);
	if (op)
		what = json_object_get_string(op);
	else if (json_object_get_boolean(ok))
		what = json_object_object_get_ex(json, "again", NULL) ? "again" : "ok";
	log_debug("%s %08x/%" PRId64 " %s, %u bytes", how, session, json_object_get_int64(seq), what, blob_len);
}

static int write_all(int fd, const void *data, size_t len, int64_t until)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return errno == ECONNRESET ? -EPIPE : -errno;
		int rc = wait_for(fd, POLLOUT, until);

		if (rc)
			return rc;
	}
	return 0;
}

int channel_send(struct channel *ch, uint32_t session, struct json_object *json, const void *blob, uint32_t blob_len,
		 int timeout_ms)
{
	int64_t until = deadline(timeout_ms);
	uint8_t *head;
	size_t len;
	int rc;

	rc = message_encode(session, json, blob_len, &head, &len);
	if (rc)
		return rc;
	debug_message("sent", session, json, blob_len);
	rc = write_all(ch->fd, head, len, until);
	if (!rc)
		rc = write_all(ch->fd, blob, blob_len, until);
	free(head);
	return rc;
}

/* Bytes read; 0 when there were none. */
static ssize_t read_some(int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	if (n > 0)
		return n;
	if (!n)
		return -EPIPE;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int channel_recv(struct channel *ch, struct message *m, int timeout_ms)
{
	int64_t until = deadline(timeout_ms);
	uint8_t buf[65536];
	bool late = false;
	int rc;

	for (;;) {
		int64_t stall;
		ssize_t n;

		rc = decoder_next(&ch->in, m);
		if (rc > 0)
			debug_message("received", m->session, m->json, m->blob_len);
		if (rc)
			return rc > 0 ? 0 : rc;
		/* wait_for() looks at the time only where nothing is there to be read: a peer may send on, and no message. */
		if (late)
			return -ETIMEDOUT;
		/* Also when this is one of many short waits. */
		stall = decoder_partial(&ch->in) ? ch->came_ms + STALL_MS : -1;
		rc = wait_for(ch->fd, POLLIN, stall >= 0 && (until < 0 || stall < until) ? stall : until);
		if (rc == -ETIMEDOUT && (until < 0 || now_ms() < until)) {
			/* Not searched for another header: see channel_drain(). */
			decoder_clear(&ch->in);
			continue;
		}
		if (!rc) {
			n = read_some(ch->fd, buf, sizeof(buf));
			if (n > 0)
				ch->came_ms = now_ms();
			rc = n < 0 ? n : decoder_feed(&ch->in, buf, n);
			late = until >= 0 && now_ms() >= until;
		}
		if (rc == -EPIPE)
			decoder_clear(&ch->in);
		if (rc)
			return rc;
	}
}

int channel_drain(struct channel *ch, int quiet_ms, int limit_ms)
{
	int64_t until = deadline(limit_ms);
	uint8_t buf[65536];
	int rc = 0;

	decoder_clear(&ch->in);
	while (!rc && (until < 0 || now_ms() < until)) {
		rc = wait_for(ch->fd, POLLIN, now_ms() + quiet_ms);
		if (!rc) {
			ssize_t n = read_some(ch->fd, buf, sizeof(buf));

			rc = n < 0 ? n : 0;
		}
	}
	return rc == -ETIMEDOUT ? 0 : rc;
}
