// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "events.h"
#include "drive.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "requests.h"
#include "requests_adopt.h"
#include "requests_history.h"
#include "requests_list.h"
#include "requests_migration.h"
#include "requests_plan.h"
#include "worker.h"

#define MAX_HELD 8

static const struct config *config;
static sd_event *loop;
static bool stopping;
/* What waits for an errand of the worker to be done, the first first. */
static struct held {
	struct client *client;
	struct json_object *json;
} held[MAX_HELD];
static size_t nr_held;

void requests_gone(struct client *c)
{
	requests_migration_gone(c);
	events_gone(c);
	requests_plan_gone(c);
	requests_list_gone(c);
	requests_adopt_gone(c);
	for (size_t i = 0; i < nr_held; i++)
		if (held[i].client == c)
			held[i].client = NULL;
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

static void hear_all(void)
{
	enum said what;
	char *text;

	while ((what = worker_hear(&text)) != SAID_NOTHING) {
		switch (what) {
		case SAID_PROGRESS:
			requests_migration_progress(text);
			break;
		case SAID_RESULT:
			requests_migration_result(text);
			break;
		case SAID_FORGOTTEN:
			requests_migration_forgotten(text);
			break;
		case SAID_ENDED:
			requests_migration_ended(text);
			break;
		default:
			break;
		}
		free(text);
		if (what == SAID_ENDED || what == SAID_ERRAND)
			idle();
	}
}

/* Again and again, so that what nobody asks about is seen all the same: an agent that is dead, a guest VM that runs twice. */
static int look(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)usec;
	(void)arg;
	if (!stopping && !worker_busy())
		requests_list_look();
	if (sd_event_source_set_time_relative(source, limit_s(LIMIT_LOOK) * 1000000ULL) < 0 ||
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
		log_warn("no timer: what nobody asks about is not looked at any more");
	return 0;
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

	if (problem)
		json_object_array_add(waiting, json_object_new_string(problem));
	if (asked)
		json_object_array_add(waiting, json_object_new_string(asked));
	json_object_object_add(o, "maintenance", drive);
	json_object_object_add(o, "waiting", waiting);
	requests_migration_add(o);
	if (stopping)
		js_add_bool(o, "stopping", true);
	return o;
}

/* Of names there is also the id of the migration under way. */
static void serve_list(struct client *c, bool names)
{
	struct json_object *more = json_object_new_object();

	if (names)
		requests_migration_add(more);
	request_list(c, names ? LIST_NAMES : LIST_REASONS, more);
}

/* Of two at once the later one is refused. But an operator who is asked what to do has to be able to look. */
static bool may_begin(struct client *c, bool check_only)
{
	struct worker_state now;

	/* What it said of the last one is for whoever asked for that, and may lead to something else. */
	hear_all();
	worker_state(&now);
	if (stopping)
		control_refuse(c, "refused", "vmbeamd is being stopped");
	else if (drive_busy() && !(check_only && drive_waits()))
		control_refuse(c, "refused", "%s is under way, and nothing else can be begun meanwhile: vmbeam status tells how far it is", drive_what());
	else if (worker_busy())
		control_refuse(c, "refused", "a migration of %s is under way, and there can be one at a time: vmbeam status tells how far it is",
			       *now.guest ? now.guest : "another guest VM");
	else
		return true;
	return false;
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
	else if (may_begin(c, false))
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
	/* What was seen last will do. */
	needs &= strcmp(js_str(json, "cmd", ""), "list") || !js_bool(json, "names");
	if (!worker_busy() || stopping || !(needs || adopts))
		return false;
	requests_list_make_room();
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
		serve_list(c, js_bool(json, "names"));
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
		request_history(c, json, config->history.path);
	} else if (!strcmp(cmd, "events")) {
		request_events(c);
	} else if (!strcmp(cmd, "migrate") || !strcmp(cmd, "check")) {
		if (may_begin(c, !strcmp(cmd, "check")))
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

int requests_open(sd_event *event, const struct config *c, struct journal *journal, int worker_fd,
		  struct json_object *last, struct error *err)
{
	int rc;

	loop = event;
	config = c;
	requests_migration_open(config, journal, last);
	requests_plan_open(config, journal);
	requests_list_open(config);
	requests_adopt_open(config);
	if (control_open(event, config->control, err))
		return -1;
	rc = sd_event_add_io(event, NULL, worker_fd, EPOLLIN, hear_worker, NULL);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, limit_s(LIMIT_LOOK) * 1000000ULL, 0, look, NULL);
	return rc < 0 ? error_set(err, "no event loop: %s", strerror(-rc)) : 0;
}
