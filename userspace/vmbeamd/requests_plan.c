// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "drive_tell.h"
#include "events.h"
#include "js.h"
#include "requests_hostvm.h"
#include "requests_plan.h"
#include "worker.h"

static const struct config *config;
static struct journal *migrations;
/* Who waits for the plan or for its end. NULL: the place is free. */
#define WATCHERS	16
static struct client *watchers[WATCHERS];
/* Whose place is taken next if there is none. */
static unsigned int next_to_go;
/* The plan that is being made, and the request, which it points into. */
static struct survey survey;
static struct json_object *request;

void requests_plan_open(const struct config *c, struct journal *journal)
{
	config = c;
	migrations = journal;
}

void requests_plan_gone(struct client *c)
{
	for (int i = 0; i < WATCHERS; i++)
		if (watchers[i] == c)
			watchers[i] = NULL;
}

/* What somebody says now counts more than who looks on: one of those is sent away. */
static struct client **place(void)
{
	struct client **place, *c;

	for (int i = 0; i < WATCHERS; i++)
		if (!watchers[i])
			return &watchers[i];
	place = &watchers[next_to_go++ % WATCHERS];
	c = *place;
	*place = NULL;
	events_gone(c);
	control_refuse(c, "unfinished", "%d others watch, too, and this one had to make room: vmbeam status tells how it goes on",
		       WATCHERS - 1);
	return place;
}

/* @c hears of all that happens, and gets the result. */
static void watch(struct client *c)
{
	*place() = c;
	events_watch(c);
}

void requests_plan_told(struct json_object *report)
{
	for (int i = 0; i < WATCHERS; i++) {
		struct client *c = watchers[i];

		watchers[i] = NULL;
		if (!c)
			continue;
		events_gone(c);
		control_result(c, json_object_get(report));
	}
	json_object_put(report);
}

/* The plan as it would be, or why not. @plan is cleared. */
static void show(struct plan *plan, struct json_object *problems)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", js_len(problems) ? "refused" : "ok");
	if (js_len(problems)) {
		js_add_str(o, "error", json_object_get_string(json_object_array_get_idx(problems, 0)));
		json_object_object_add(o, "problems", json_object_get(problems));
	}
	if (plan->from)
		json_object_object_add(o, "plan", plan_to_json(plan));
	requests_plan_told(o);
	plan_clear(plan);
}

static void surveyed(void *arg)
{
	struct plan plan = { 0 };
	struct error err;

	(void)arg;
	if (!js_len(survey.problems))
		plan_make(&plan, &survey.options, survey.from, survey.to, survey.candidates, survey.nr, survey.free_kib,
			  survey.problems);
	if (js_len(survey.problems) || js_bool(request, "dry_run")) {
		show(&plan, survey.problems);
	} else if (drive_begin(&plan, &err)) {
		struct json_object *o = json_object_new_object();

		js_add_str(o, "outcome", "refused");
		js_add_str(o, "error", err.text);
		requests_plan_told(o);
		plan_clear(&plan);
	}
	survey_clear(&survey);
	json_object_put(request);
	request = NULL;
}

/* Patterns; what is no string would be a crash in the plan. */
static bool are_patterns(struct json_object *list)
{
	for (size_t i = 0; i < js_len(list); i++)
		if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
			return false;
	return true;
}

static int take_options(struct client *c, struct json_object *json, struct plan_options *o)
{
	int unmovable = plan_word(plan_unmovables, UNMOVABLES, js_str(json, "unmovable", "refuse"));

	o->unmovable = unmovable;
	o->only = js_array(json, "only");
	o->except = js_array(json, "except");
	o->retries = js_u64(json, "retries", 1);
	o->no_return = js_bool(json, "no_return");
	o->no_probe = js_bool(json, "no_probe");
	o->config = js_str(json, "config", NULL);
	o->run = js_str(json, "run", NULL);
	if (unmovable >= 0 && are_patterns(o->only) && are_patterns(o->except))
		return 0;
	control_refuse(c, "misuse", "the request is not as the protocol has it");
	return -1;
}

void request_plan(struct client *c, struct json_object *json, enum plan_what what)
{
	const char *from = js_str(json, "from", NULL);
	const struct config_hostvm *h;

	memset(&survey, 0, sizeof(survey));
	survey.config = config;
	survey.journal = migrations;
	survey.options.what = what;
	if (take_options(c, json, &survey.options))
		return;
	h = requests_hostvm(config, c, js_str(json, "to", ""));
	if (!h)
		return;
	survey.to = h->name;
	/* A return may leave it out. */
	if (from || what != PLAN_RETURN) {
		h = requests_hostvm(config, c, from ? from : "");
		if (!h)
			return;
		survey.from = h->name;
		if (what == PLAN_MAINTAIN && !survey.options.config && !h->config) {
			control_refuse(c, "refused", "nothing says from what %s is to be created again: name its xl configuration as \"config\" of the host VM in vmbeamd's, or with --config",
				       h->name);
			return;
		}
	}
	watch(c);
	request = json_object_get(json);
	worker_errand(survey_run, surveyed, &survey);
}

/* @c watches, and what it wants cannot be. */
static void not_now(struct client *c, const struct error *err)
{
	requests_plan_gone(c);
	events_gone(c);
	control_refuse(c, "refused", "%s", err->text);
}

static void none(struct client *c)
{
	const char *problem = drive_problem();

	control_refuse(c, "refused", "%s", problem ? problem : "no evacuation, return or maintenance is under way");
}

void request_resume(struct client *c)
{
	struct error err;

	if (!drive_busy()) {
		none(c);
		return;
	}
	watch(c);
	drive_tell_late(drive_under_way(), c);
	if (drive_resume(&err))
		not_now(c, &err);
}

void request_abort(struct client *c, const char *id)
{
	struct error err;

	if (!drive_busy()) {
		none(c);
		return;
	}
	watch(c);
	drive_tell_late(drive_under_way(), c);
	if (drive_abort(id, &err))
		not_now(c, &err);
}
