// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "plan.h"
#include "sentences.h"
#include "text.h"

const char *const plan_whats[PLAN_WHATS] = {
	[PLAN_EVACUATE] = "evacuate",
	[PLAN_RETURN] = "return",
	[PLAN_MAINTAIN] = "maintain",
};

const char *const plan_unmovables[UNMOVABLES] = {
	[UNMOVABLE_REFUSE] = "refuse",
	[UNMOVABLE_LEAVE] = "leave",
	[UNMOVABLE_SHUTDOWN] = "shutdown",
};

const char *const plan_ways[PLAN_WAYS] = {
	[PLAN_MOVE] = "move",
	[PLAN_SHUTDOWN] = "shutdown",
	[PLAN_LEAVE] = "leave",
	[PLAN_EXCLUDED] = "excluded",
};

int plan_word(const char *const *names, int nr, const char *word)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(names[i], word))
			return i;
	return -1;
}

int plan_pause_of(struct json_object *record, void *arg)
{
	struct plan_pause *p = arg;
	struct json_object *v;

	if (!strcmp(js_str(record, "kind", ""), "migration") && !strcmp(js_str(record, "outcome", ""), "done") &&
	    !strcmp(js_str(record, "uuid", ""), p->uuid) && json_object_object_get_ex(record, "downtime_ms", &v))
		p->ms = json_object_get_double(v);
	return 0;
}

static bool matches(struct json_object *patterns, const struct plan_candidate *c)
{
	for (size_t i = 0; i < js_len(patterns); i++) {
		const char *pattern = json_object_get_string(json_object_array_get_idx(patterns, i));

		if (!fnmatch(pattern, c->name, 0) || !strcmp(pattern, c->uuid))
			return true;
	}
	return false;
}

static bool chosen(const struct plan_options *o, const struct plan_candidate *c)
{
	return (!js_len(o->only) || matches(o->only, c)) && !matches(o->except, c);
}

/* A pattern that fits nothing is a misspelt name: a guest VM would be left behind by it, or moved. */
static void unused_patterns(struct json_object *patterns, const char *option, const char *from,
			    const struct plan_candidate *candidates, size_t nr, struct json_object *problems)
{
	for (size_t i = 0; i < js_len(patterns); i++) {
		struct json_object *one = json_object_new_array();
		bool used = false;

		json_object_array_add(one, json_object_get(json_object_array_get_idx(patterns, i)));
		for (size_t k = 0; k < nr; k++)
			used |= matches(one, &candidates[k]);
		if (!used)
			sentences_add(problems, "%s %s: no guest VM on %s has such a name", option,
				      json_object_get_string(json_object_array_get_idx(patterns, i)), from);
		json_object_put(one);
	}
}

/* What becomes of one that cannot move. */
static enum plan_way unmovable(const struct plan_options *o, const struct plan_candidate *c, const char *from,
			       struct json_object *problems)
{
	char name[TEXT_SHORT];

	if (o->unmovable == UNMOVABLE_SHUTDOWN)
		return PLAN_SHUTDOWN;
	if (o->unmovable == UNMOVABLE_LEAVE && o->what != PLAN_MAINTAIN)
		return PLAN_LEAVE;
	text_short(name, sizeof(name), c->name);
	for (size_t i = 0; i < js_len(c->blockers); i++)
		sentences_add(problems, "%s: %s", name,
			      json_object_get_string(json_object_array_get_idx(c->blockers, i)));
	if (o->unmovable == UNMOVABLE_LEAVE)
		sentences_add(problems, "%s cannot move, and %s is going to be restarted: it can be shut down for that (--unmovable shutdown), not left",
			      name, from);
	return PLAN_MOVE;
}

/* The large ones first: it is seen early if they find no room, and they get the large pieces. Then by name, then by UUID. */
static int leaving(const void *a, const void *b)
{
	const struct plan_guest *x = a, *y = b;
	int by_name;

	if ((x->way == PLAN_MOVE) != (y->way == PLAN_MOVE))
		return x->way == PLAN_MOVE ? -1 : 1;
	if (x->need_kib != y->need_kib)
		return x->need_kib > y->need_kib ? -1 : 1;
	by_name = strcmp(x->name, y->name);
	return by_name ?: strcmp(x->uuid, y->uuid);
}

/* A return is the reverse, as at the end of a maintenance. */
static int returning(const void *a, const void *b)
{
	return leaving(b, a);
}

static void sum_up(struct plan *p)
{
	p->moving = 0;
	p->need_kib = 0;
	p->pause_ms = 0;
	p->unknown_pauses = 0;
	for (size_t i = 0; i < p->nr; i++) {
		if (p->guests[i].way != PLAN_MOVE)
			continue;
		p->moving++;
		p->need_kib += p->guests[i].need_kib;
		if (p->guests[i].pause_ms < 0)
			p->unknown_pauses++;
		else
			p->pause_ms += p->guests[i].pause_ms;
	}
}

static int copy_options(struct plan *p, const struct plan_options *o, const char *from, const char *to)
{
	memset(p, 0, sizeof(*p));
	p->what = o->what;
	p->retries = o->retries;
	p->no_return = o->no_return;
	p->no_probe = o->no_probe;
	p->from = strdup(from);
	p->to = strdup(to);
	p->config = o->config ? strdup(o->config) : NULL;
	p->run = o->run ? strdup(o->run) : NULL;
	return p->from && p->to && (!o->config || p->config) && (!o->run || p->run) ? 0 : -1;
}

static void check_options(const struct plan_options *o, const char *from, const char *to, struct json_object *problems)
{
	if (!strcmp(from, to))
		sentences_add(problems, "%s is where the guest VMs are already: name another host VM", from);
	if (o->retries > PLAN_MAX_RETRIES)
		sentences_add(problems, "--retries takes 0 to %d", PLAN_MAX_RETRIES);
	if (o->what == PLAN_MAINTAIN && (js_len(o->only) || js_len(o->except)))
		sentences_add(problems, "%s is going to be restarted, so all guest VMs must leave it: --only and --except are for vmbeam evacuate",
			      from);
	if (o->what != PLAN_MAINTAIN && (o->no_return || o->no_probe || o->config || o->run))
		sentences_add(problems, "--no-return, --no-probe, --config and --run are for vmbeam maintain");
	/* Nobody would start it again. */
	if (o->what == PLAN_RETURN && o->unmovable == UNMOVABLE_SHUTDOWN)
		sentences_add(problems, "--unmovable shutdown is for vmbeam evacuate and maintain: a return starts what they shut down");
}

int plan_make(struct plan *p, const struct plan_options *o, const char *from, const char *to,
	      const struct plan_candidate *candidates, size_t nr, uint64_t free_kib, struct json_object *problems)
{
	size_t before = js_len(problems);

	if (copy_options(p, o, from, to) || (nr && !(p->guests = calloc(nr, sizeof(*p->guests))))) {
		sentences_add(problems, "out of memory");
		return -1;
	}
	check_options(o, from, to, problems);
	if (nr > PLAN_MAX_GUESTS) {
		sentences_add(problems, "%s has %zu guest VMs, and a plan takes %d", from, nr, PLAN_MAX_GUESTS);
		return -1;
	}
	unused_patterns(o->only, "--only", from, candidates, nr, problems);
	unused_patterns(o->except, "--except", from, candidates, nr, problems);
	for (size_t i = 0; i < nr; i++) {
		const struct plan_candidate *c = &candidates[i];
		struct plan_guest *g = &p->guests[p->nr];

		g->name = strdup(c->name);
		if (!g->name) {
			sentences_add(problems, "out of memory");
			return -1;
		}
		p->nr++;
		snprintf(g->uuid, sizeof(g->uuid), "%s", c->uuid);
		g->need_kib = c->need_kib;
		g->pause_ms = c->pause_ms;
		if (js_len(c->blockers) && chosen(o, c) && !c->down)
			g->blockers = json_object_get(c->blockers);
		if (!chosen(o, c))
			g->way = PLAN_EXCLUDED;
		else if (c->down && o->what == PLAN_RETURN)
			g->way = PLAN_SHUTDOWN;
		else
			g->way = js_len(c->blockers) ? unmovable(o, c, from, problems) : PLAN_MOVE;
	}
	if (p->nr)
		qsort(p->guests, p->nr, sizeof(*p->guests), o->what == PLAN_RETURN ? returning : leaving);
	sum_up(p);
	/* Each leaves room where it was, not where it goes: all of them must fit. */
	if (p->need_kib > free_kib)
		sentences_add(problems, "%s has %llu MiB of memory free, and the %zu guest VMs of %s need %llu", to,
			      (unsigned long long)free_kib >> 10, p->moving, from,
			      (unsigned long long)p->need_kib >> 10);
	return js_len(problems) > before ? -1 : 0;
}

void plan_clear(struct plan *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		free(p->guests[i].name);
		json_object_put(p->guests[i].blockers);
	}
	free(p->guests);
	free(p->from);
	free(p->to);
	free(p->config);
	free(p->run);
	memset(p, 0, sizeof(*p));
}

static void add_pause(struct json_object *o, double ms)
{
	if (ms >= 0)
		json_object_object_add(o, "pause_ms", json_object_new_double(ms));
}

struct json_object *plan_to_json(const struct plan *p)
{
	struct json_object *o = json_object_new_object(), *guests = json_object_new_array(),
			   *sums = json_object_new_object();

	js_add_str(o, "what", plan_whats[p->what]);
	js_add_str(o, "from", p->from);
	js_add_str(o, "to", p->to);
	js_add_u64(o, "retries", p->retries);
	js_add_bool(o, "no_return", p->no_return);
	js_add_bool(o, "no_probe", p->no_probe);
	if (p->config)
		js_add_str(o, "config", p->config);
	if (p->run)
		js_add_str(o, "run", p->run);
	for (size_t i = 0; i < p->nr; i++) {
		struct json_object *g = json_object_new_object();

		js_add_str(g, "guest", p->guests[i].name);
		js_add_str(g, "uuid", p->guests[i].uuid);
		js_add_str(g, "way", plan_ways[p->guests[i].way]);
		js_add_u64(g, "need_kib", p->guests[i].need_kib);
		add_pause(g, p->guests[i].pause_ms);
		if (p->guests[i].blockers)
			json_object_object_add(g, "blockers", json_object_get(p->guests[i].blockers));
		json_object_array_add(guests, g);
	}
	json_object_object_add(o, "guests", guests);
	/* For people: they are made anew when it is read. */
	js_add_u64(sums, "moving", p->moving);
	js_add_u64(sums, "need_kib", p->need_kib);
	add_pause(sums, p->pause_ms);
	js_add_u64(sums, "unknown_pauses", p->unknown_pauses);
	json_object_object_add(o, "sums", sums);
	return o;
}

static int guest_from_json(struct plan_guest *g, struct json_object *json)
{
	const char *name = js_str(json, "guest", NULL), *uuid = js_str(json, "uuid", "");
	int way = plan_word(plan_ways, PLAN_WAYS, js_str(json, "way", ""));
	struct json_object *v;

	if (!name || way < 0 || !*uuid || strlen(uuid) >= sizeof(g->uuid))
		return -1;
	g->name = strdup(name);
	strcpy(g->uuid, uuid);
	g->way = way;
	g->need_kib = js_u64(json, "need_kib", 0);
	g->pause_ms = json_object_object_get_ex(json, "pause_ms", &v) ? json_object_get_double(v) : -1;
	g->blockers = json_object_get(js_array(json, "blockers"));
	return g->name ? 0 : -1;
}

int plan_from_json(struct plan *p, struct json_object *json, struct error *err)
{
	struct json_object *guests = js_array(json, "guests");
	const char *from = js_str(json, "from", NULL), *to = js_str(json, "to", NULL);
	int what = plan_word(plan_whats, PLAN_WHATS, js_str(json, "what", ""));
	uint64_t retries = js_u64(json, "retries", 0);
	struct plan_options o = {
		.what = what,
		.retries = retries,
		.no_return = js_bool(json, "no_return"),
		.no_probe = js_bool(json, "no_probe"),
		.config = js_str(json, "config", NULL),
		.run = js_str(json, "run", NULL),
	};

	memset(p, 0, sizeof(*p));
	if (what < 0 || !from || !to || !guests || js_len(guests) > PLAN_MAX_GUESTS || retries > PLAN_MAX_RETRIES)
		return error_set(err, "a plan lacks something or makes no sense");
	if (copy_options(p, &o, from, to))
		goto no_memory;
	if (js_len(guests) && !(p->guests = calloc(js_len(guests), sizeof(*p->guests))))
		goto no_memory;
	for (size_t i = 0; i < js_len(guests); i++) {
		if (guest_from_json(&p->guests[i], json_object_array_get_idx(guests, i))) {
			plan_clear(p);
			return error_set(err, "a plan's guest VM number %zu lacks something or makes no sense", i + 1);
		}
		p->nr++;
	}
	sum_up(p);
	return 0;
no_memory:
	plan_clear(p);
	return error_set(err, "out of memory");
}
