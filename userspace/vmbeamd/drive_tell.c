// SPDX-License-Identifier: GPL-2.0
#include "clock.h"
#include "config.h"
#include "drive_seen.h"
#include "drive_tell.h"
#include "events.h"
#include "js.h"
#include "log.h"
#include "monitor.h"

static void (*tell)(struct json_object *report);

void drive_tell_open(void (*told)(struct json_object *report))
{
	tell = told;
}

const char *drive_tell_what(const struct maintenance *m)
{
	static char text[64 + CONFIG_MAX_NAME];
	static const char *const nouns[PLAN_WHATS] = { "an evacuation of", "a return to", "a maintenance of" };

	snprintf(text, sizeof(text), "%s %s", nouns[m->plan.what], maintain_home(m));
	return text;
}

struct json_object *drive_tell_report(const struct maintenance *m)
{
	struct maintain_seen s = drive_seen(m);

	return maintain_report(m, s.guests ? &s : NULL, clock_real_ms());
}

static struct json_object *event(const struct maintenance *m, const char *what)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "event", what);
	js_add_str(o, "maintenance", m->id);
	return o;
}

static struct json_object *plan_event(const struct maintenance *m)
{
	struct json_object *o = event(m, "plan");

	json_object_object_add(o, "plan", plan_to_json(&m->plan));
	return o;
}

static struct json_object *step_event(const struct maintenance *m)
{
	struct json_object *o = event(m, "step");

	js_add_str(o, "step", maintain_steps[m->step]);
	return o;
}

void drive_tell_goes_on(void)
{
	monitor_maintenance(true, false);
}

void drive_tell_begins(const struct maintenance *m)
{
	drive_tell_goes_on();
	log_info("%s begins: %zu of %zu guest VMs are to be moved", drive_tell_what(m), m->plan.moving, m->plan.nr);
	events_send(plan_event(m));
	events_send(step_event(m));
}

/* Is it where the step, or the next one of its kind, wants it? */
static bool is_there(const struct maintenance *m, enum maintain_where where, size_t i)
{
	return m->plan.guests[i].way == PLAN_MOVE && !m->guests[i].adopted &&
	       where == (m->step == MAINTAIN_RETURN ? WHERE_HOME : WHERE_REFUGE);
}

void drive_tell_late(const struct maintenance *m, struct client *c)
{
	struct maintain_seen s = drive_seen(m);

	events_tell(c, plan_event(m));
	events_tell(c, step_event(m));
	for (size_t i = 0; s.guests && i < m->plan.nr; i++) {
		struct json_object *o;

		if (!is_there(m, s.guests[i], i))
			continue;
		o = event(m, "there");
		js_add_str(o, "guest", m->plan.guests[i].name);
		js_add_str(o, "uuid", m->plan.guests[i].uuid);
		events_tell(c, o);
	}
}

void drive_tell_step(const struct maintenance *m)
{
	log_info("%s: %s", drive_tell_what(m), maintain_steps[m->step]);
	events_send(step_event(m));
}

void drive_tell_asked(const struct maintenance *m, const char *why)
{
	struct json_object *o = event(m, "waiting");

	log_warn("%s waits for an operator: %s", drive_tell_what(m), why);
	monitor_maintenance(true, true);
	js_add_str(o, "why", why);
	events_send(o);
	drive_tell_result(drive_tell_report(m));
}

void drive_tell_over(const struct maintenance *m, struct json_object *report)
{
	monitor_over(json_object_get(report));
	monitor_maintenance(false, false);
	log_info("%s is over: %s", drive_tell_what(m), js_str(report, "outcome", "?"));
}

void drive_tell_result(struct json_object *report)
{
	tell(report);
}
