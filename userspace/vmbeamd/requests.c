// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "events.h"
#include "drive.h"
#include "js.h"
#include "log.h"
#include "requests.h"
#include "requests_list.h"
#include "requests_plan.h"
#include "text.h"
#include "worker.h"

#define MAX_GUEST 16384
#define MAX_HELD 8

static const struct config *requests_config;
static struct journal *requests_journal;
static sd_event *loop;
static bool stopping;
static struct json_object *last_report;
/* Who asked for what is under way, wants it cancelled, and forgotten; NULL once they have gone. */
static struct client *requester, *canceller, *forgetter;
/* What waits for an errand of the worker to be done, the first first. */
static struct held {
	struct client *client;
	struct json_object *json;
} held[MAX_HELD];
static size_t nr_held;

void requests_gone(struct client *c)
{
	if (requester == c)
		requester = NULL;
	if (canceller == c)
		canceller = NULL;
	if (forgetter == c)
		forgetter = NULL;
	events_gone(c);
	requests_plan_gone(c);
	requests_list_gone(c);
	for (size_t i = 0; i < nr_held; i++)
		if (held[i].client == c)
			held[i].client = NULL;
}

static void done(struct client *c)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", "ok");
	control_result(c, o);
}

/* The report of the migration under way, for the last time. */
static void ended(const char *text)
{
	struct json_object *report = text ? json_tokener_parse(text) : NULL;
	const char *outcome = js_str(report, "outcome", "refused");

	if (canceller && strcmp(outcome, "refused") && strcmp(outcome, "rolled-back")) {
		control_refuse(canceller, "refused", "it was too late to cancel: migration %s of %s is %s", js_str(report, "id", ""),
			       js_str(report, "guest", ""), outcome);
	} else {
		done(canceller);
	}
	canceller = NULL;
	if (report) {
		json_object_put(last_report);
		last_report = report;
	}
	if (report)
		drive_migrated(report);
}

/* Each once: what must still wait is held again, behind these. */
static void serve_held(void)
{
	for (size_t n = nr_held; n && nr_held; n--) {
		struct held h = held[0];

		memmove(held, held + 1, --nr_held * sizeof(held[0]));
		if (h.client)
			requests_serve(h.client, h.json);
		json_object_put(h.json);
	}
}

/* The worker has come to an end with something, and may have begun something else. */
static void idle(void)
{
	if (stopping && !worker_busy()) {
		sd_event_exit(loop, 0);
		return;
	}
	serve_held();
	if (!worker_busy())
		drive_go();
}

static void forgotten(const char *why_not)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", why_not ? "unfinished" : "ok");
	if (why_not)
		js_add_str(o, "error", why_not);
	control_result(forgetter, o);
	forgetter = NULL;
}

/* An event, or a line on a check. */
static void hear_progress(const char *text)
{
	struct json_object *line = json_tokener_parse(text);

	if (js_str(line, "event", NULL)) {
		events_send(line);
		return;
	}
	control_send(requester, "%s\n", text);
	json_object_put(line);
}

static void hear_all(void)
{
	enum said what;
	char *text;

	while ((what = worker_hear(&text)) != SAID_NOTHING) {
		switch (what) {
		case SAID_PROGRESS:
			hear_progress(text);
			break;
		case SAID_RESULT:
			control_send(requester, "{\"result\":%s}\n", text);
			/* Of a migration that nobody asked for, somebody may have asked for what it is a part of. */
			if (requester)
				events_asker(NULL);
			requester = NULL;
			break;
		case SAID_FORGOTTEN:
			forgotten(text);
			break;
		case SAID_ENDED:
			ended(text);
			break;
		default:
			break;
		}
		free(text);
		if (what == SAID_ENDED || what == SAID_ERRAND)
			idle();
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
	const char *problem = drive_problem();
	struct json_object *o = json_object_new_object(), *waiting = json_object_new_array(), *drive = drive_report();
	const char *asked = js_str(drive, "waiting_for", NULL);
	char *now = worker_report();

	if (problem)
		json_object_array_add(waiting, json_object_new_string(problem));
	if (asked)
		json_object_array_add(waiting, json_object_new_string(asked));
	json_object_object_add(o, "maintenance", drive);
	json_object_object_add(o, "waiting", waiting);
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
		control_refuse(c, "refused", "no migration waits for an operator");
		return;
	}
	if (strcmp(id, now.id)) {
		control_refuse(c, "refused", "the migration that waits is %s, not \"%.64s\"", now.id, id);
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
		control_refuse(c, "refused", "no migration is under way");
	else if (*id && strcmp(id, now.id))
		control_refuse(c, "refused", "the migration under way is %s, not \"%.64s\"", now.id, id);
	else if (drive_busy())
		control_refuse(c, "refused", "the migration is part of %s: vmbeam maintain --abort calls that off", drive_what());
	else if (now.closing)
		control_refuse(c, "refused", "migration %s of %s is committed, or going back already: see vmbeam status", now.id, now.guest);
	else if (canceller)
		control_refuse(c, "refused", "migration %s of %s is being cancelled already", now.id, now.guest);
	else {
		canceller = c;
		patience_cancel(CANCEL_BY_OPERATOR);
	}
}

/* Of two at once the later one is refused. */
static bool may_begin(struct client *c)
{
	struct worker_state now;

	/* What it said of the last one is for whoever asked for that, and may lead to something else. */
	hear_all();
	worker_state(&now);
	if (stopping)
		control_refuse(c, "refused", "vmbeamd is being stopped");
	else if (drive_busy())
		control_refuse(c, "refused", "%s is under way, and nothing else can be begun meanwhile: vmbeam status tells how far it is", drive_what());
	else if (worker_busy())
		control_refuse(c, "refused", "a migration of %s is under way, and there can be one at a time: vmbeam status tells how far it is",
			       *now.guest ? now.guest : "another guest VM");
	else
		return true;
	return false;
}

const struct config_hostvm *requests_hostvm(struct client *c, const char *name)
{
	const struct config_hostvm *h = config_hostvm(requests_config, name);
	char called[TEXT_SHORT];

	if (!h) {
		text_short(called, sizeof(called), name);
		control_refuse(c, "refused", "there is no host VM \"%s\" in the configuration: vmbeam status lists those that are", called);
	}
	return h;
}

static void request_migration(struct client *c, struct json_object *json, bool check_only)
{
	const char *guest = js_str(json, "guest", "");
	const struct config_hostvm *from, *to;
	struct migration *m;
	char *name;

	from = requests_hostvm(c, js_str(json, "from", ""));
	to = from ? requests_hostvm(c, js_str(json, "to", "")) : NULL;
	if (!to)
		return;
	if (from == to) {
		control_refuse(c, "refused", "%s is where the guest VM is already: name another host VM", from->name);
		return;
	}
	if (!*guest || strlen(guest) > MAX_GUEST) {
		control_refuse(c, "refused", "a guest VM's name has 1 to %d bytes", MAX_GUEST);
		return;
	}
	/* Not UTF-8: no agent would take it. In its other form it is the same name. */
	name = text_is_utf8(guest, strlen(guest)) ? strdup(guest) : text_name(guest);
	m = malloc(sizeof(*m));
	if (name && m) {
		migration_init(m, requests_journal);
		m->hooks = requests_config->hooks;
		m->check_only = check_only;
		migration_between(m, from, to);
		if (!migration_name(m, name)) {
			requester = c;
			events_asker(c);
			worker_begin(m);
			free(name);
			return;
		}
		migration_clear(m);
	}
	free(m);
	free(name);
	control_refuse(c, "refused", "out of memory");
}

static int print_record(struct json_object *json, void *arg)
{
	FILE *f = arg;

	fprintf(f, "{\"record\":%s}\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	return 0;
}

static void request_history(struct client *c, struct json_object *json)
{
	const char *path = requests_config->history.path;
	struct history_filter filter;
	struct error err;
	char *text = NULL;
	size_t len;
	FILE *f;
	int rc;

	if (history_filter_parse(&filter, json, &err)) {
		control_refuse(c, "misuse", "%s", err.text);
		return;
	}
	/* In one piece: more than a client may leave unread, and it asked for all of that. */
	f = open_memstream(&text, &len);
	rc = f ? history_read(path, &filter, print_record, f) : -ENOMEM;
	if (f)
		fputs("{\"result\":{\"outcome\":\"ok\"}}\n", f);
	if (f && fclose(f) && !rc)
		rc = -ENOMEM;
	if (rc)
		control_refuse(c, "refused", "the history %s cannot be read: %s", path, strerror(-rc));
	else
		control_send(c, "%s", text);
	free(text);
}

static void request_events(struct client *c)
{
	if (events_listen(c))
		control_refuse(c, "refused", "as many clients hear of all events as can: end one of them");
}

/* What makes a plan, if nothing stands in its way. */
static void request_what(struct client *c, struct json_object *json, enum plan_what what)
{
	const char *problem = drive_problem();

	if (problem && !stopping)
		control_refuse(c, "refused", "%s", problem);
	else if (may_begin(c))
		request_plan(c, json, what);
}

/*
 * What needs the worker waits for an errand of it, which is short, but not for a migration. What an operator says of one
 * guest VM of a maintenance waits for that, too. True: it waits, or was refused.
 */
static bool must_wait(struct client *c, struct json_object *json)
{
	static const char *const needing[] = { "check", "migrate", "status", "list", "evacuate", "return", "maintain" };
	bool adopts = !strcmp(js_str(json, "cmd", ""), "adopt"), needs = false;
	struct worker_state now;

	for (size_t i = 0; i < sizeof(needing) / sizeof(needing[0]); i++)
		needs |= !strcmp(js_str(json, "cmd", ""), needing[i]);
	worker_state(&now);
	needs &= !*now.id && !drive_busy();
	if (!worker_busy() || stopping || !(needs || adopts))
		return false;
	if (nr_held == MAX_HELD)
		control_refuse(c, "refused", "%d requests wait already: ask again in a moment", MAX_HELD);
	else
		held[nr_held++] = (struct held){ c, json_object_get(json) };
	return true;
}

void requests_serve(struct client *c, struct json_object *json)
{
	const char *cmd = js_str(json, "cmd", "");

	if (!json) {
		log_warn("a client's request is no JSON");
		control_refuse(c, "misuse", "the request is no JSON");
	} else if (must_wait(c, json)) {
		return;
	} else if (!strcmp(cmd, "status")) {
		request_list(c, LIST_SYSTEMS, status());
	} else if (!strcmp(cmd, "list")) {
		request_list(c, js_bool(json, "names") ? LIST_NAMES : LIST_REASONS, json_object_new_object());
	} else if (plan_word(plan_whats, PLAN_WHATS, cmd) >= 0) {
		request_what(c, json, plan_word(plan_whats, PLAN_WHATS, cmd));
	} else if (!strcmp(cmd, "resume")) {
		request_resume(c);
	} else if (!strcmp(cmd, "abort")) {
		request_abort(c, js_str(json, "maintenance", ""));
	} else if (!strcmp(cmd, "adopt")) {
		if (stopping)
			control_refuse(c, "refused", "vmbeamd is being stopped");
		else
			request_adopt(c, js_str(json, "guest", ""));
	} else if (!strcmp(cmd, "cancel")) {
		request_cancel(c, js_str(json, "migration", ""));
	} else if (!strcmp(cmd, "forget")) {
		request_forget(c, js_str(json, "migration", ""));
	} else if (!strcmp(cmd, "history")) {
		request_history(c, json);
	} else if (!strcmp(cmd, "events")) {
		request_events(c);
	} else if (!strcmp(cmd, "migrate") || !strcmp(cmd, "check")) {
		if (may_begin(c))
			request_migration(c, json, !strcmp(cmd, "check"));
	} else {
		control_refuse(c, "misuse", "there is no such command");
	}
}

void requests_stop(void)
{
	stopping = true;
	drive_stop();
	if (!worker_busy())
		sd_event_exit(loop, 0);
}

int requests_open(sd_event *event, const struct config *config, struct journal *journal, int worker_fd,
		  struct json_object *last, struct error *err)
{
	int rc;

	loop = event;
	requests_config = config;
	requests_journal = journal;
	last_report = last;
	requests_plan_open(config, journal);
	requests_list_open(config);
	if (control_open(event, config->control, err))
		return -1;
	rc = sd_event_add_io(event, NULL, worker_fd, EPOLLIN, hear_worker, NULL);
	return rc < 0 ? error_set(err, "no event loop: %s", strerror(-rc)) : 0;
}
