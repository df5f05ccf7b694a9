// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "js.h"
#include "log.h"
#include "requests.h"

/* A guest VM's name may have 16 KiB, and JSON may double it. */
#define LINE	65536
/* A client that has left so much unread gets nothing more. One answer may be longer. */
#define UNREAD	(256 << 10)

struct client {
	int fd;			/* -1: there is none here */
	sd_event_source *source;
	bool ended;		/* it asks for nothing more, and still gets what waits */
	char *waiting;		/* what it has not taken yet, from @sent on; NULL: nothing */
	size_t sent, filled;
	size_t have;
	char line[LINE];
};

static sd_event *loop;
static struct client clients[CONTROL_CLIENTS];
static int listening = -1;

static void drop(struct client *c)
{
	c->source = sd_event_source_unref(c->source);
	close(c->fd);
	c->fd = -1;
	free(c->waiting);
	c->waiting = NULL;
	c->sent = c->filled = 0;
	requests_gone(c);
}

/* What its socket takes at once. The rest goes when it has read that. */
static void flush(struct client *c)
{
	while (c->sent < c->filled) {
		ssize_t n = send(c->fd, c->waiting + c->sent, c->filled - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			drop(c);
			return;
		}
		c->sent += n;
	}
	if (c->sent == c->filled) {
		free(c->waiting);
		c->waiting = NULL;
		c->sent = c->filled = 0;
	}
	if (c->ended && !c->waiting)
		drop(c);
	else if (sd_event_source_set_io_events(c->source, (c->ended ? 0 : EPOLLIN) | (c->waiting ? EPOLLOUT : 0)) < 0)
		drop(c);
}

/* A client that does not read is dropped: the migration waits for nobody, and keeps nothing for long. */
void control_send(struct client *c, const char *fmt, ...)
{
	char *line, *waiting;
	va_list ap;
	int len;

	if (!c || c->fd < 0)
		return;
	if (c->filled - c->sent > UNREAD) {
		log_warn("a client does not read what it asked for: it is dropped");
		drop(c);
		return;
	}
	va_start(ap, fmt);
	len = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if (c->sent) {
		memmove(c->waiting, c->waiting + c->sent, c->filled - c->sent);
		c->filled -= c->sent;
		c->sent = 0;
	}
	waiting = realloc(c->waiting, c->filled + len);
	if (waiting) {
		memcpy(waiting + c->filled, line, len);
		c->waiting = waiting;
		c->filled += len;
		flush(c);
	} else {
		drop(c);
	}
	free(line);
}

void control_result(struct client *c, struct json_object *result)
{
	control_send(c, "{\"result\":%s}\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
	json_object_put(result);
}

void control_refuse(struct client *c, const char *outcome, const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[1024];
	struct error err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_set(&err, "%s", text);
	js_add_str(o, "outcome", outcome);
	js_add_str(o, "error", err.text);
	control_result(c, o);
}

static int serve(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	ssize_t n;
	char *end;

	(void)source;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flush(c);
	if (c->fd < 0 || c->ended || !(events & ~EPOLLOUT))
		return 0;
	n = recv(fd, c->line + c->have, LINE - 1 - c->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (!n && c->waiting) {
		c->ended = true;
		flush(c);
		return 0;
	}
	if (n <= 0) {
		drop(c);
		return 0;
	}
	c->have += n;
	c->line[c->have] = 0;
	while (c->fd >= 0 && (end = memchr(c->line, '\n', c->have))) {
		struct json_object *json;

		*end = 0;
		json = json_tokener_parse(c->line);
		c->have -= end + 1 - c->line;
		memmove(c->line, end + 1, c->have);
		requests_serve(c, json);
		json_object_put(json);
	}
	if (c->fd >= 0 && c->have == LINE - 1) {
		control_refuse(c, "misuse", "the request is longer than %d bytes", LINE - 2);
		if (c->fd >= 0)
			drop(c);
	}
	return 0;
}

static int accept_client(sd_event_source *source, int socket, uint32_t events, void *arg)
{
	int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC);

	(void)source;
	(void)events;
	(void)arg;
	for (int i = 0; fd >= 0 && i < CONTROL_CLIENTS; i++) {
		if (clients[i].fd >= 0)
			continue;
		if (sd_event_add_io(loop, &clients[i].source, fd, EPOLLIN, serve, &clients[i]) < 0)
			break;
		clients[i].fd = fd;
		clients[i].have = 0;
		clients[i].ended = false;
		return 0;
	}
	if (fd >= 0) {
		log_warn("%d clients are connected, and one more was turned away: end some of them (vmbeam events, or commands that wait)",
			 CONTROL_CLIENTS);
		close(fd);
	}
	return 0;
}

int control_open(sd_event *event, const char *path, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int rc;

	loop = event;
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		clients[i].fd = -1;
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, "%s: too long for a socket", path);
	strcpy(addr.sun_path, path);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
		return error_set(err, "%s: it is there and is no socket: name another file as \"control\", or move it away", path);
	/* Safe to remove: the journal's lock says that there is no other daemon. */
	unlink(path);
	mask = umask(077);
	rc = listening < 0 || bind(listening, (struct sockaddr *)&addr, sizeof(addr)) || listen(listening, CONTROL_CLIENTS);
	umask(mask);
	if (rc)
		return error_set(err, "%s: %s", path, strerror(errno));
	rc = sd_event_add_io(event, NULL, listening, EPOLLIN, accept_client, NULL);
	return rc < 0 ? error_set(err, "no event loop: %s", strerror(-rc)) : 0;
}
