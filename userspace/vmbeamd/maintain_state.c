// SPDX-License-Identifier: GPL-2.0
/* A maintenance's state: how it changes, how the journal has it, and what is told of it. */
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "maintain.h"
#include "text.h"

int maintain_init(struct maintenance *m, const char *id, struct plan *plan, int64_t now_ms)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->guests = calloc(plan->nr ?: 1, sizeof(*m->guests));
	if (!m->guests)
		return -1;
	m->plan = *plan;
	memset(plan, 0, sizeof(*plan));
	m->step = m->plan.what == PLAN_RETURN ? MAINTAIN_RETURN : MAINTAIN_EVACUATE;
	m->began_ms[m->step] = now_ms;
	return 0;
}

void maintain_clear(struct maintenance *m)
{
	for (size_t i = 0; m->guests && i < m->plan.nr; i++)
		free(m->guests[i].error);
	free(m->guests);
	plan_clear(&m->plan);
	memset(m, 0, sizeof(*m));
}

static void forget_tries(struct maintenance *m)
{
	for (size_t i = 0; i < m->plan.nr; i++)
		m->guests[i].tries = 0;
}

static void begin_step(struct maintenance *m, enum maintain_step step, const struct maintain_seen *seen, int64_t now_ms)
{
	m->step = step;
	m->began_ms[step] = now_ms;
	switch (step) {
	case MAINTAIN_EVACUATE:
	case MAINTAIN_RETURN:
		forget_tries(m);
		break;
	case MAINTAIN_STOP:
		m->stopping = false;
		m->ran = false;
		m->probed = false;
		m->starts = 0;
		snprintf(m->boot_before, sizeof(m->boot_before), "%s", seen->boot);
		/* What it had before is what it is to have again. */
		if (!m->aborting)
			snprintf(m->xen_before, sizeof(m->xen_before), "%s", seen->xen);
		break;
	case MAINTAIN_PROBE:
		snprintf(m->xen_after, sizeof(m->xen_after), "%s", seen->xen);
		break;
	default:
		break;
	}
}

bool maintain_do(struct maintenance *m, const struct maintain_action *a, const struct maintain_seen *seen, int64_t now_ms)
{
	switch (a->act) {
	case ACT_LOOK:
	case ACT_OVER:
		return false;
	case ACT_ASK:
		if (m->asked.text[0])
			return false;
		m->asked = a->why;
		/* Of an evacuation, what is about no guest VM of the plan is about those. */
		if (m->plan.what == PLAN_EVACUATE && a->guest == m->plan.nr)
			m->others_told = seen->others;
		return true;
	case ACT_STEP:
		begin_step(m, a->step, seen, now_ms);
		return true;
	case ACT_STOP_SYSTEM:
		m->stopping = true;
		return true;
	case ACT_START_SYSTEM:
		m->starts++;
		m->renewed = m->plan.config && !m->aborting;
		return true;
	case ACT_MOVE_AWAY:
	case ACT_MOVE_HOME:
	case ACT_SHUT_DOWN:
	case ACT_START_GUEST:
		m->guests[a->guest].tries++;
		return true;
	default:
		return true;
	}
}

static void set_error(struct maintain_guest *g, const char *error)
{
	free(g->error);
	g->error = error ? strdup(error) : NULL;
}

void maintain_ask(struct maintenance *m, const char *why)
{
	error_set(&m->asked, "%s", why);
}

void maintain_end(struct maintenance *m, const struct maintain_action *a, const char *error)
{
	bool goes_back = m->plan.config && !m->aborting;
	char why[MAINTAIN_REASON], where[512];

	text_short(why, sizeof(why), error ?: "");
	maintain_say_where(m, where, sizeof(where));
	switch (a->act) {
	case ACT_MOVE_AWAY:
	case ACT_MOVE_HOME:
	case ACT_SHUT_DOWN:
	case ACT_START_GUEST:
		set_error(&m->guests[a->guest], error);
		break;
	case ACT_RUN:
		m->ran = !error;
		/* An abort does not want it. */
		if (error && !m->aborting)
			error_set(&m->asked, "the command failed: %s; %s is down, and %s: vmbeam maintain --resume runs the command again, vmbeam maintain --abort starts %s%s and brings all home",
				  why, maintain_home(m), where, maintain_home(m),
				  goes_back ? " from its old configuration" : "");
		break;
	case ACT_PROBE:
		m->probed = !error;
		if (error && !m->aborting)
			error_set(&m->asked, "a guest VM could not be created on %s for a try: %s; %s: vmbeam maintain --resume tries again, vmbeam maintain --abort %s",
				  maintain_home(m), why, where, goes_back && m->renewed ?
				  "starts it from its old configuration and brings all home" : "brings all home without a try");
		break;
	case ACT_STOP_SYSTEM:
		if (error)
			error_set(&m->asked, "%s could not be stopped: %s; vmbeam maintain --resume tries again", maintain_home(m), why);
		break;
	case ACT_START_SYSTEM:
		if (error)
			error_set(&m->asked, "%s could not be started: %s; %s: put its configuration right and type vmbeam maintain --resume%s",
				  maintain_home(m), why, where,
				  goes_back ? "; vmbeam maintain --abort starts it from its old one" : "");
		break;
	default:
		break;
	}
}

void maintain_resume(struct maintenance *m)
{
	memset(&m->asked, 0, sizeof(m->asked));
	m->starts = 0;
	forget_tries(m);
}

int maintain_abort(struct maintenance *m)
{
	if (maintain_over(m))
		return -1;
	/* Of two aborts the first one's counts. */
	if (!m->aborting)
		m->reason = m->asked;
	m->aborting = true;
	maintain_resume(m);
	return 0;
}

int maintain_adopt(struct maintenance *m, const char *guest)
{
	for (size_t i = 0; i < m->plan.nr; i++) {
		if (strcmp(m->plan.guests[i].uuid, guest) && strcmp(m->plan.guests[i].name, guest))
			continue;
		m->guests[i].adopted = true;
		/* It may have been what an operator was asked about. */
		if (m->aborting || m->step == MAINTAIN_EVACUATE || m->step == MAINTAIN_RETURN)
			memset(&m->asked, 0, sizeof(m->asked));
		return 0;
	}
	return -1;
}

struct json_object *maintain_to_json(const struct maintenance *m)
{
	struct json_object *o = json_object_new_object(), *guests = json_object_new_array(),
			   *began = json_object_new_object();

	js_add_str(o, "maintenance", m->id);
	json_object_object_add(o, "plan", plan_to_json(&m->plan));
	js_add_str(o, "step", maintain_steps[m->step]);
	js_add_bool(o, "aborting", m->aborting);
	js_add_bool(o, "stopping", m->stopping);
	js_add_bool(o, "ran", m->ran);
	js_add_bool(o, "probed", m->probed);
	js_add_u64(o, "starts", m->starts);
	js_add_u64(o, "others_told", m->others_told);
	js_add_bool(o, "renewed", m->renewed);
	js_add_str(o, "boot_before", m->boot_before);
	js_add_str(o, "xen_before", m->xen_before);
	js_add_str(o, "xen_after", m->xen_after);
	js_add_str(o, "asked", m->asked.text);
	js_add_str(o, "reason", m->reason.text);
	for (int i = 0; i < MAINTAIN_STEPS; i++)
		if (m->began_ms[i])
			json_object_object_add(began, maintain_steps[i], json_object_new_int64(m->began_ms[i]));
	json_object_object_add(o, "began_ms", began);
	for (size_t i = 0; i < m->plan.nr; i++) {
		struct json_object *g = json_object_new_object();

		js_add_u64(g, "tries", m->guests[i].tries);
		js_add_bool(g, "adopted", m->guests[i].adopted);
		if (m->guests[i].error)
			js_add_str(g, "error", m->guests[i].error);
		json_object_array_add(guests, g);
	}
	json_object_object_add(o, "guests", guests);
	return o;
}

static void copy_text(char *out, size_t size, struct json_object *json, const char *key)
{
	snprintf(out, size, "%s", js_str(json, key, ""));
}

int maintain_from_json(struct maintenance *m, struct json_object *json, struct error *err)
{
	struct json_object *guests = js_array(json, "guests"), *began = js_get(json, "began_ms", json_type_object);
	int step = plan_word(maintain_steps, MAINTAIN_STEPS, js_str(json, "step", ""));
	struct plan plan;

	memset(m, 0, sizeof(*m));
	if (plan_from_json(&plan, js_get(json, "plan", json_type_object), err))
		return -1;
	if (step < 0 || js_len(guests) != plan.nr || !*js_str(json, "maintenance", "")) {
		plan_clear(&plan);
		return error_set(err, "the journal's record of maintenance %s lacks something or makes no sense",
				 js_str(json, "maintenance", "?"));
	}
	if (maintain_init(m, js_str(json, "maintenance", ""), &plan, 0)) {
		plan_clear(&plan);
		return error_set(err, "out of memory");
	}
	m->step = step;
	m->aborting = js_bool(json, "aborting");
	m->stopping = js_bool(json, "stopping");
	m->ran = js_bool(json, "ran");
	m->probed = js_bool(json, "probed");
	m->starts = js_u64(json, "starts", 0);
	m->others_told = js_u64(json, "others_told", 0);
	m->renewed = js_bool(json, "renewed");
	copy_text(m->boot_before, sizeof(m->boot_before), json, "boot_before");
	copy_text(m->xen_before, sizeof(m->xen_before), json, "xen_before");
	copy_text(m->xen_after, sizeof(m->xen_after), json, "xen_after");
	copy_text(m->asked.text, sizeof(m->asked.text), json, "asked");
	copy_text(m->reason.text, sizeof(m->reason.text), json, "reason");
	for (int i = 0; i < MAINTAIN_STEPS; i++)
		m->began_ms[i] = js_u64(began, maintain_steps[i], 0);
	for (size_t i = 0; i < m->plan.nr; i++) {
		struct json_object *g = json_object_array_get_idx(guests, i);

		m->guests[i].tries = js_u64(g, "tries", 0);
		m->guests[i].adopted = js_bool(g, "adopted");
		set_error(&m->guests[i], js_str(g, "error", NULL));
	}
	return 0;
}

static const char *where_name(const struct maintenance *m, enum maintain_where where)
{
	switch (where) {
	case WHERE_HOME: return maintain_home(m);
	case WHERE_REFUGE: return maintain_refuge(m);
	case WHERE_BOTH: return "both";
	case WHERE_NONE: return "none";
	case WHERE_UNKNOWN: break;
	}
	return "unknown";
}

static const char *outcome(const struct maintenance *m)
{
	if (m->step == MAINTAIN_DONE)
		return "done";
	return m->step == MAINTAIN_ABORTED ? "aborted" : "unfinished";
}

struct json_object *maintain_report(const struct maintenance *m, const struct maintain_seen *seen, int64_t now_ms)
{
	struct json_object *o = json_object_new_object(), *guests = json_object_new_array();
	int64_t first = m->began_ms[m->plan.what == PLAN_RETURN ? MAINTAIN_RETURN : MAINTAIN_EVACUATE];

	js_add_str(o, "kind", "maintenance");
	js_add_str(o, "id", m->id);
	js_add_str(o, "what", plan_whats[m->plan.what]);
	js_add_str(o, "outcome", outcome(m));
	js_add_str(o, "step", maintain_steps[m->step]);
	js_add_bool(o, "aborting", m->aborting);
	js_add_str(o, "from", m->plan.from);
	js_add_str(o, "to", m->plan.to);
	js_add_u64(o, "begun", first / 1000);
	js_add_u64(o, "ended", now_ms / 1000);
	js_add_u64(o, "total_ms", now_ms > first ? now_ms - first : 0);
	if (m->plan.what == PLAN_MAINTAIN) {
		js_add_str(o, "system", m->plan.from);
		js_add_str(o, "xen_before", m->xen_before);
		js_add_str(o, "xen_after", m->xen_after);
		/* From the order to stop to the answer of its agent. */
		if (m->began_ms[MAINTAIN_STOP] && m->began_ms[MAINTAIN_PROBE] > m->began_ms[MAINTAIN_STOP])
			js_add_u64(o, "down_ms", m->began_ms[MAINTAIN_PROBE] - m->began_ms[MAINTAIN_STOP]);
	}
	for (size_t i = 0; i < m->plan.nr; i++) {
		struct json_object *g = json_object_new_object();

		js_add_str(g, "guest", m->plan.guests[i].name);
		js_add_str(g, "uuid", m->plan.guests[i].uuid);
		js_add_str(g, "way", plan_ways[m->plan.guests[i].way]);
		if (seen)
			js_add_str(g, "where", where_name(m, seen->guests[i]));
		if (m->guests[i].adopted)
			js_add_bool(g, "adopted", true);
		if (m->guests[i].error)
			js_add_str(g, "error", m->guests[i].error);
		json_object_array_add(guests, g);
	}
	json_object_object_add(o, "guests", guests);
	if (m->aborting)
		js_add_str(o, "error", m->reason.text[0] ? m->reason.text : "an operator has called it off");
	if (m->asked.text[0])
		js_add_str(o, "waiting_for", m->asked.text);
	return o;
}
