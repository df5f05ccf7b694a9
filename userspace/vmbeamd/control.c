// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
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
#include "text.h"

#define CLIENTS	16
/* A guest VM's name may have 16 KiB, and JSON may double it. */
#define LINE	65536
#define MAX_GUEST 16384

struct client {
	int fd;
	size_t have;
	char line[LINE];
};

struct control_request control_request;
const struct migration *control_current;
bool control_waiting, control_forget;
struct json_object *control_last;

static const struct config *control_config;
static struct client clients[CLIENTS];
static struct client *requester;	/* of control_request; NULL once it has gone */
static struct client *forgetter;	/* of control_forget; likewise */
static int listening = -1;

int control_open(const struct config *config, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	control_config = config;
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	if (strlen(config->control) >= sizeof(addr.sun_path))
		return error_set(err, "%s: too long for a socket", config->control);
	strcpy(addr.sun_path, config->control);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Safe to remove: the journal's lock says that there is no other daemon. */
	unlink(config->control);
	mask = umask(077);
	rc = listening < 0 || bind(listening, (struct sockaddr *)&addr, sizeof(addr)) || listen(listening, CLIENTS);
	umask(mask);
	return rc ? error_set(err, "%s: %s", config->control, strerror(errno)) : 0;
}

static void drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	if (requester == c)
		requester = NULL;
	if (forgetter == c)
		forgetter = NULL;
}

/* A client that does not read is dropped: the migration waits for nobody. */
static void send_line(struct client *c, struct json_object *json)
{
	char *line;
	int len = asprintf(&line, "%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));

	json_object_put(json);
	if (len < 0)
		return;
	if (c && c->fd >= 0 && send(c->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		drop(c);
	free(line);
}

static void send_result(struct client *c, struct json_object *result)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "result", result);
	send_line(c, o);
}

static void __attribute__((format(printf, 3, 4))) refuse(struct client *c, const char *outcome, const char *fmt, ...)
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
	send_result(c, o);
}

static struct json_object *status(void)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	js_add_str(o, "outcome", "ok");
	for (size_t i = 0; i < control_config->nr_hostvms; i++) {
		struct json_object *h = json_object_new_object();

		js_add_str(h, "name", control_config->hostvms[i].name);
		js_add_str(h, "socket", control_config->hostvms[i].socket);
		json_object_array_add(list, h);
	}
	json_object_object_add(o, "hostvms", list);
	json_object_object_add(o, "migration", control_current ? report(control_current) : NULL);
	json_object_object_add(o, "last", json_object_get(control_last));
	return o;
}

/* Only by its id: what was looked at is what is given up. */
static void request_forget(struct client *c, const char *id)
{
	if (!control_current || !control_waiting || control_forget) {
		refuse(c, "refused", "no migration waits for an operator");
		return;
	}
	if (strcmp(id, control_current->id)) {
		refuse(c, "refused", "the migration that waits is %s, not \"%.64s\"", control_current->id, id);
		return;
	}
	control_forget = true;
	forgetter = c;
}

/* The host VM of that name, or NULL, and the client is told. */
static const struct config_hostvm *hostvm(struct client *c, const char *name)
{
	const struct config_hostvm *h = config_hostvm(control_config, name);
	char called[TEXT_SHORT];

	if (!h) {
		text_short(called, sizeof(called), name);
		refuse(c, "refused", "there is no host VM \"%s\" in the configuration: vmbeam status lists those that are", called);
	}
	return h;
}

static void request_migration(struct client *c, struct json_object *json, bool check_only)
{
	const char *guest = js_str(json, "guest", "");
	const struct config_hostvm *from, *to;

	if (control_current || control_request.pending) {
		refuse(c, "refused", "a migration of %s is under way: one at a time",
		       control_current ? control_current->guest : "another guest VM");
		return;
	}
	from = hostvm(c, js_str(json, "from", ""));
	to = from ? hostvm(c, js_str(json, "to", "")) : NULL;
	if (!to)
		return;
	if (from == to) {
		refuse(c, "refused", "%s is where the guest VM is already: name another host VM", from->name);
		return;
	}
	if (!*guest || strlen(guest) > MAX_GUEST) {
		refuse(c, "refused", "a guest VM's name has 1 to %d bytes", MAX_GUEST);
		return;
	}
	/* Not UTF-8: no agent would take it. In its other form it is the same name. */
	free(control_request.guest);
	control_request.guest = text_is_utf8(guest, strlen(guest)) ? strdup(guest) : text_name(guest);
	if (!control_request.guest) {
		refuse(c, "refused", "out of memory");
		return;
	}
	control_request.pending = true;
	control_request.check_only = check_only;
	control_request.from = from;
	control_request.to = to;
	requester = c;
}

static void request(struct client *c, struct json_object *json)
{
	const char *cmd = js_str(json, "cmd", "");

	if (!json) {
		log_warn("a client's request is no JSON");
		refuse(c, "misuse", "the request is no JSON");
	} else if (!strcmp(cmd, "status")) {
		send_result(c, status());
	} else if (!strcmp(cmd, "forget")) {
		request_forget(c, js_str(json, "migration", ""));
	} else if (!strcmp(cmd, "migrate") || !strcmp(cmd, "check")) {
		request_migration(c, json, !strcmp(cmd, "check"));
	} else {
		refuse(c, "misuse", "there is no such command");
	}
}

static void serve(struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->have, LINE - 1 - c->have, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->have += n;
	c->line[c->have] = 0;
	while (c->fd >= 0 && (end = memchr(c->line, '\n', c->have))) {
		struct json_object *json;

		*end = 0;
		json = json_tokener_parse(c->line);
		c->have -= end + 1 - c->line;
		memmove(c->line, end + 1, c->have);
		request(c, json);
		json_object_put(json);
	}
	if (c->fd >= 0 && c->have == LINE - 1) {
		refuse(c, "misuse", "the request is longer than %d bytes", LINE - 2);
		if (c->fd >= 0)
			drop(c);
	}
}

static void accept_client(void)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 0; fd >= 0 && i < CLIENTS; i++) {
		if (clients[i].fd >= 0)
			continue;
		clients[i].fd = fd;
		clients[i].have = 0;
		return;
	}
	if (fd >= 0)
		close(fd);
}

void control_poll(int timeout_ms)
{
	struct pollfd p[CLIENTS + 1];

	for (int i = 0; i < CLIENTS; i++)
		p[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
	p[CLIENTS] = (struct pollfd){ .fd = listening, .events = POLLIN };
	if (poll(p, CLIENTS + 1, timeout_ms) <= 0)
		return;
	for (int i = 0; i < CLIENTS; i++)
		if (p[i].revents && clients[i].fd == p[i].fd)
			serve(&clients[i]);
	if (p[CLIENTS].revents)
		accept_client();
}

void control_result(struct json_object *result)
{
	send_result(requester, result);
	requester = NULL;
	control_request.pending = false;
}

void control_forgotten(const char *why_not)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", why_not ? "unfinished" : "ok");
	if (why_not)
		js_add_str(o, "error", why_not);
	send_result(forgetter, o);
	forgetter = NULL;
	control_forget = false;
}

void control_progress(const struct migration *m, enum step step, double ms)
{
	struct json_object *o = json_object_new_object();
	char text[32];

	js_add_str(o, "migration", m->id);
	js_add_str(o, "phase", step_names[step]);
	if (ms >= 0) {
		snprintf(text, sizeof(text), "%.1f", ms);
		json_object_object_add(o, "ms", json_object_new_double_s(ms, text));
	}
	send_line(requester, o);
}
