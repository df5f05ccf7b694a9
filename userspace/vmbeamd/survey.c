// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "js.h"
#include "look.h"
#include "migration.h"
#include "rules.h"
#include "sentences.h"
#include "survey.h"
#include "system.h"

/* A plan that is made from half of what there is would leave guest VMs behind. */
static void tell_what_is_missing(struct survey *s, struct json_object *h)
{
	struct json_object *problems = js_array(h, "problems");
	const char *name = js_str(h, "name", "?");

	for (size_t i = 0; i < js_len(problems); i++)
		sentences_add(s->problems, "%s: %s", name, sentences_said(problems, i));
	if (js_bool(h, "more"))
		sentences_add(s->problems, "%s has more guest VMs, or more that are away from it, than its agent can tell of: move some of them one by one first (vmbeam migrate)",
			      name);
}

/* The host VM, if its agent answers. */
static struct json_object *answers(struct survey *s, struct json_object *hostvms, const char *name)
{
	struct json_object *h = look_hostvm(hostvms, name);

	if (h && js_array(h, "guests")) {
		tell_what_is_missing(s, h);
		return h;
	}
	sentences_add(s->problems, "%s", js_str(h, "error", "there is no such host VM"));
	return NULL;
}

/* What plan_make() sums up: rules.c asks for as much of the destination. */
static uint64_t need_kib(struct json_object *needs, uint64_t otherwise)
{
	for (size_t i = 0; i < js_len(needs); i++) {
		struct json_object *item = json_object_array_get_idx(needs, i);

		if (!strcmp(js_str(item, "kind", ""), "memory"))
			return rule_memory_kib(item);
	}
	return otherwise;
}

/* Did both agents answer to the end, and was each thing that it needs compared? */
static bool is_compared(const struct migration *m)
{
	return !m->common && m->a.up && m->b.up && js_len(m->items) && js_len(m->items) == js_len(m->needs);
}

/* A check of the guest VM, by its UUID. */
static void check_one(struct survey *s, struct plan_candidate *c)
{
	struct migration *m = malloc(sizeof(*m));

	if (!m) {
		sentences_add(s->problems, "out of memory");
		return;
	}
	migration_init(m, s->journal);
	m->check_only = m->uncounted = true;
	migration_between(m, config_hostvm(s->config, s->from), config_hostvm(s->config, s->to));
	if (!migration_name(m, c->uuid))
		migrate(m);
	/* Nobody knows whether it can move: whatever is to become of those that cannot does not apply. */
	if (!is_compared(m)) {
		for (size_t i = 0; i < js_len(m->problems); i++)
			sentences_add(s->problems, "%s: %s", c->name,
				      json_object_get_string(json_object_array_get_idx(m->problems, i)));
		if (!js_len(m->problems))
			sentences_add(s->problems, "%s: %s", c->name,
				      m->error.text[0] ? m->error.text : "it could not be checked");
	}
	c->blockers = json_object_get(m->problems);
	c->need_kib = need_kib(m->needs, c->need_kib);
	migration_clear(m);
	free(m);
}

static double last_pause(const struct survey *s, const char *uuid)
{
	struct plan_pause p = { .uuid = uuid, .ms = -1 };

	history_read(s->config->history.path, NULL, plan_pause_of, &p);
	return p.ms;
}

static void add(struct survey *s, struct json_object *guest, const char *name, bool down)
{
	struct plan_candidate *c = &s->candidates[s->nr++];

	json_object_array_add(s->keep, json_object_get(guest));
	c->name = js_str(guest, name, "");
	c->uuid = js_str(guest, "uuid", "");
	c->need_kib = js_u64(guest, "memory_mib", 0) << 10;
	c->down = down;
	c->pause_ms = last_pause(s, c->uuid);
	if (!down)
		check_one(s, c);
}

/* Of a return: the one host VM that has the guest VMs that are away from s->to. */
static void find_refuge(struct survey *s, struct json_object *hostvms)
{
	struct json_object *to = look_hostvm(hostvms, s->to);

	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i), *guests = js_array(h, "guests");

		for (size_t k = 0; k < js_len(guests); k++) {
			if (h == to || !look_away(hostvms, to, json_object_array_get_idx(guests, k)))
				continue;
			if (s->from && strcmp(s->from, js_str(h, "name", "")))
				sentences_add(s->problems, "guest VMs of %s are on %s and on %s: name one of them (--from)",
					      s->to, s->from, js_str(h, "name", ""));
			s->from = config_hostvm(s->config, js_str(h, "name", ""))->name;
			break;
		}
	}
}

/* One that is away and nowhere stays away, and is not left out without a word. */
static void add_missing(struct survey *s, struct json_object *guest, const char *why)
{
	struct plan_candidate *c;
	char called[TEXT_SHORT];

	if (!s->from || !s->candidates) {
		text_short(called, sizeof(called), js_str(guest, "name", ""));
		sentences_add(s->problems, "%s: %s", called, why);
		return;
	}
	c = &s->candidates[s->nr++];
	json_object_array_add(s->keep, json_object_get(guest));
	c->name = js_str(guest, "name", "");
	c->uuid = js_str(guest, "uuid", "");
	c->pause_ms = -1;
	c->blockers = json_object_new_array();
	json_object_array_add(c->blockers, json_object_new_string(why));
}

/* Of a return: those whose home is @to and that are on no host VM. */
static void find_missing(struct survey *s, struct json_object *hostvms, struct json_object *to, bool named)
{
	struct json_object *away = js_array(to, "away");

	for (size_t i = 0; i < js_len(away); i++) {
		struct json_object *g = json_object_array_get_idx(away, i);
		const char *uuid = js_str(g, "uuid", ""), *name = js_str(g, "name", "");
		char which[500];
		struct error why;
		int has = look_has(to, uuid, name) ?: look_elsewhere(hostvms, s->to, uuid, name, which, sizeof(which));

		/* Of a host VM that was not asked for nothing need be known. */
		if (has > 0 || (has < 0 && named))
			continue;
		if (has)
			error_set(&why, "it is away from %s, and where it is is not known: no agent answers on %s", s->to, which);
		else
			error_set(&why, "it is away from %s, and on no host VM. Unless it is rebooting, it was shut down: start it on %s (xl create), or leave it out (--unmovable leave)",
				  s->to, s->to);
		add_missing(s, g, why.text);
	}
}

static void find_candidates(struct survey *s, struct json_object *hostvms, struct json_object *from, struct json_object *to)
{
	bool is_return = s->options.what == PLAN_RETURN;
	struct json_object *guests = js_array(from, "guests"), *down = is_return ? js_array(to, "down") : NULL;

	s->candidates = calloc(js_len(guests) + js_len(down) + js_len(js_array(to, "away")) + 1, sizeof(*s->candidates));
	if (!s->candidates) {
		sentences_add(s->problems, "out of memory");
		return;
	}
	for (size_t i = 0; i < js_len(guests); i++) {
		struct json_object *g = json_object_array_get_idx(guests, i);

		if (!is_return || look_away(hostvms, to, g))
			add(s, g, "guest", false);
	}
	/* One that did not shut down in time runs on, and may have moved since. */
	for (size_t i = 0; i < js_len(down); i++) {
		struct json_object *d = json_object_array_get_idx(down, i);

		if (!look_guest(from, js_str(d, "uuid", "")) && !look_guest(to, js_str(d, "uuid", "")) &&
		    !look_named(from, js_str(d, "name", "")) && !look_named(to, js_str(d, "name", "")))
			add(s, d, "name", true);
	}
}

/* What it is to be started from is looked at while it still runs. */
static void check_config(struct survey *s)
{
	const char *config = s->options.config ?: config_hostvm(s->config, s->from)->config;
	struct error err;

	if (config && system_check(s->from, config, &err))
		sentences_add(s->problems, "%s", err.text);
}

void survey_run(void *arg)
{
	struct survey *s = arg;
	struct look look = { .config = s->config };
	bool is_return = s->options.what == PLAN_RETURN, named = s->from;
	struct json_object *from, *to;

	s->problems = json_object_new_array();
	s->keep = json_object_new_array();
	if (s->options.what == PLAN_MAINTAIN)
		check_config(s);
	/* Of those that are away, any host VM may have one. */
	if (!is_return) {
		look.only[0] = s->from;
		look.only[1] = s->to;
	}
	look_run(&look);
	if (!s->from)
		find_refuge(s, look.hostvms);
	to = answers(s, look.hostvms, s->to);
	/* None is away: what was shut down may still be to be started. */
	if (!s->from && to && js_len(js_array(to, "down")) && js_len(look.hostvms) > 1)
		s->from = config_hostvm(s->config, look_hostvm(look.hostvms, s->to) == json_object_array_get_idx(look.hostvms, 0) ?
					js_str(json_object_array_get_idx(look.hostvms, 1), "name", "") :
					js_str(json_object_array_get_idx(look.hostvms, 0), "name", ""))->name;
	from = s->from ? answers(s, look.hostvms, s->from) : NULL;
	if (!s->from && to) {
		find_missing(s, look.hostvms, to, named);
		if (!js_len(s->problems))
			sentences_add(s->problems, "no guest VM is away from %s, by what the agents say: vmbeam list shows where each one belongs",
				      s->to);
	}
	if (from && to && !js_len(s->problems)) {
		s->free_kib = js_u64(to, "free_mib", 0) << 10;
		find_candidates(s, look.hostvms, from, to);
		if (is_return)
			find_missing(s, look.hostvms, to, named);
	}
	json_object_put(look.hostvms);
}

void survey_clear(struct survey *s)
{
	for (size_t i = 0; i < s->nr; i++)
		json_object_put(s->candidates[i].blockers);
	free(s->candidates);
	json_object_put(s->problems);
	json_object_put(s->keep);
	memset(s, 0, sizeof(*s));
}
