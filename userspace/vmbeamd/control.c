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
#include "text.h"
#include "worker.h"

#define CLIENTS	16
/* A guest VM's name may have 16 KiB, and JSON may double it. */
#define LINE	65536
#define MAX_GUEST 16384

struct client {
	int fd;			/* -1: there is none here */
	sd_event_source *source;
	size_t have;
	char line[LINE];
};

static const struct config *control_config;
static struct journal *control_journal;
static sd_event *loop;
static bool stopping;
static struct json_object *last_report;
static struct client clients[CLIENTS];
/* Who asked for what is under way, wants it cancelled, and forgotten; NULL once they have gone. */
static struct client *requester, *canceller, *forgetter;
static int listening = -1;

static void drop(struct client *c)
{
	c->source = sd_event_source_unref(c->source);
	close(c->fd);
	c->fd = -1;
	if (requester == c)
		requester = NULL;
	if (canceller == c)
		canceller = NULL;
	if (forgetter == c)
		forgetter = NULL;
}

/* A client that does not read is dropped: the migration waits for nobody. */
static void __attribute__((format(printf, 2, 3))) send_line(struct client *c, const char *fmt, ...)
{
	va_list ap;
	char *line;
	int len;

	if (!c || c->fd < 0)
		return;
	va_start(ap, fmt);
	len = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if (send(c->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		drop(c);
	free(line);
}

/* @result is consumed. */
static void send_result(struct client *c, struct json_object *result)
{
	send_line(c, "{\"result\":%s}\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
	json_object_put(result);
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

/* The report of the migration under way, for the last time. */
static void ended(const char *text)
{
	struct json_object *report = text ? json_tokener_parse(text) : NULL;
	const char *outcome = js_str(report, "outcome", "refused");

	if (canceller && strcmp(outcome, "refused") && strcmp(outcome, "rolled-back")) {
		refuse(canceller, "refused", "it was too late to cancel: migration %s of %s is %s", js_str(report, "id", ""),
		       js_str(report, "guest", ""), outcome);
	} else if (canceller) {
		struct json_object *o = json_object_new_object();

		js_add_str(o, "outcome", "ok");
		send_result(canceller, o);
	}
	canceller = NULL;
	if (report) {
		json_object_put(last_report);
		last_report = report;
	}
	if (stopping)
		sd_event_exit(loop, 0);
}

static void forgotten(const char *why_not)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", why_not ? "unfinished" : "ok");
	if (why_not)
		js_add_str(o, "error", why_not);
	send_result(forgetter, o);
	forgetter = NULL;
}

static void hear_all(void)
{
	enum said what;
	char *text;

	while ((what = worker_hear(&text)) != SAID_NOTHING) {
		switch (what) {
		case SAID_PROGRESS:
			send_line(requester, "%s\n", text);
			break;
		case SAID_RESULT:
			send_line(requester, "{\"result\":%s}\n", text);
			requester = NULL;
			break;
		case SAID_FORGOTTEN:
			forgotten(text);
			break;
		default:
			ended(text);
			break;
		}
		free(text);
	}
}

static int hear_worker(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source;
	(void)fd;
	(void)events;
	(void)arg;
	hear_all();
	return 0;
}

static struct json_object *status(void)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	char *now = worker_report();

	js_add_str(o, "outcome", "ok");
	for (size_t i = 0; i < control_config->nr_hostvms; i++) {
		struct json_object *h = json_object_new_object();

		js_add_str(h, "name", control_config->hostvms[i].name);
		js_add_str(h, "socket", control_config->hostvms[i].socket);
		json_object_array_add(list, h);
	}
	json_object_object_add(o, "hostvms", list);
	json_object_object_add(o, "migration", now ? json_tokener_parse(now) : NULL);
	json_object_object_add(o, "last", json_object_get(last_report));
	if (stopping)
		js_add_bool(o, "stopping", true);
	free(now);
	return o;
}

/* Only by its id: what was looked at is what is given up. */
static void request_forget(struct client *c, const char *id)
{
	struct worker_state now;

	worker_state(&now);
	if (!now.waiting || forgetter) {
		refuse(c, "refused", "no migration waits for an operator");
		return;
	}
	if (strcmp(id, now.id)) {
		refuse(c, "refused", "the migration that waits is %s, not \"%.64s\"", now.id, id);
		return;
	}
	forgetter = c;
	worker_forget();
}

/* Answered when the migration has come to its end: only then it is known whether this came in time. */
static void request_cancel(struct client *c, const char *id)
{
	struct worker_state now;

	worker_state(&now);
	if (!*now.id)
		refuse(c, "refused", "no migration is under way");
	else if (*id && strcmp(id, now.id))
		refuse(c, "refused", "the migration under way is %s, not \"%.64s\"", now.id, id);
	else if (now.closing)
		refuse(c, "refused", "migration %s of %s is committed, or going back already: see vmbeam status", now.id, now.guest);
	else if (canceller)
		refuse(c, "refused", "migration %s of %s is being cancelled already", now.id, now.guest);
	else {
		canceller = c;
		patience_cancel(CANCEL_BY_OPERATOR);
	}
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
	struct worker_state now;
	struct migration *m;
	char *name;

	worker_state(&now);
	if (stopping) {
		refuse(c, "refused", "vmbeamd is being stopped");
		return;
	}
	if (worker_busy()) {
		refuse(c, "refused", "a migration of %s is under way: one at a time", *now.guest ? now.guest : "another guest VM");
		return;
	}
	/* What it said of the last one is for whoever asked for that. */
	hear_all();
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
	name = text_is_utf8(guest, strlen(guest)) ? strdup(guest) : text_name(guest);
	m = malloc(sizeof(*m));
	if (name && m) {
		migration_init(m, control_journal);
		m->check_only = check_only;
		migration_between(m, from, to);
		if (!migration_name(m, name)) {
			requester = c;
			worker_begin(m);
			free(name);
			return;
		}
		migration_clear(m);
	}
	free(m);
	free(name);
	refuse(c, "refused", "out of memory");
}

static void request(struct client *c, struct json_object *json)
{
	const char *cmd = js_str(json, "cmd", "");

	if (!json) {
		log_warn("a client's request is no JSON");
		refuse(c, "misuse", "the request is no JSON");
	} else if (!strcmp(cmd, "status")) {
		send_result(c, status());
	} else if (!strcmp(cmd, "cancel")) {
		request_cancel(c, js_str(json, "migration", ""));
	} else if (!strcmp(cmd, "forget")) {
		request_forget(c, js_str(json, "migration", ""));
	} else if (!strcmp(cmd, "migrate") || !strcmp(cmd, "check")) {
		request_migration(c, json, !strcmp(cmd, "check"));
	} else {
		refuse(c, "misuse", "there is no such command");
	}
}

static int serve(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	ssize_t n = recv(fd, c->line + c->have, LINE - 1 - c->have, MSG_DONTWAIT);
	char *end;

	(void)source;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
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
		request(c, json);
		json_object_put(json);
	}
	if (c->fd >= 0 && c->have == LINE - 1) {
		refuse(c, "misuse", "the request is longer than %d bytes", LINE - 2);
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
	for (int i = 0; fd >= 0 && i < CLIENTS; i++) {
		if (clients[i].fd >= 0)
			continue;
		if (sd_event_add_io(loop, &clients[i].source, fd, EPOLLIN, serve, &clients[i]) < 0)
			break;
		clients[i].fd = fd;
		clients[i].have = 0;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

void control_stop(void)
{
	stopping = true;
	if (!worker_busy())
		sd_event_exit(loop, 0);
}

int control_open(sd_event *event, const struct config *config, struct journal *journal, int worker_fd,
		 struct json_object *last, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	loop = event;
	control_config = config;
	control_journal = journal;
	last_report = last;
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
	if (rc)
		return error_set(err, "%s: %s", config->control, strerror(errno));
	rc = sd_event_add_io(event, NULL, listening, EPOLLIN, accept_client, NULL);
	if (rc >= 0)
		rc = sd_event_add_io(event, NULL, worker_fd, EPOLLIN, hear_worker, NULL);
	return rc < 0 ? error_set(err, "no event loop: %s", strerror(-rc)) : 0;
}
