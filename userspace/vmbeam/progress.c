// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "js.h"
#include "progress.h"
#include "rate.h"
#include "table.h"
#include "text.h"

#define MAX_GUESTS	1024
#define MAX_BAR		40
#define MIN_BAR		5

/* Of a migration, in their order: how far it is when one begins. */
static const char *const phases[] = { "check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume" };
#define NR_PHASES (sizeof(phases) / sizeof(phases[0]))

static struct progress_guest *guest_of(struct progress *p, struct json_object *event)
{
	const char *name = js_str(event, "guest", NULL), *uuid = js_str(event, "uuid", "");
	struct progress_guest *more, *g;

	if (!name)
		return NULL;
	/* Two may have one name; one that is asked for by its UUID gets its name later. */
	for (size_t i = 0; i < p->nr; i++) {
		g = &p->guests[i];
		if (*uuid && *g->uuid ? !strcmp(g->uuid, uuid) : !strcmp(g->name, name))
			return g;
	}
	more = p->nr < MAX_GUESTS ? realloc(p->guests, (p->nr + 1) * sizeof(*more)) : NULL;
	if (!more)
		return NULL;
	p->guests = more;
	g = &p->guests[p->nr];
	*g = (struct progress_guest){ .name = strdup(name), .uuid = strdup(uuid), .pause_ms = -1, .need_kib = 1 };
	if (g->name && g->uuid) {
		p->nr++;
		return g;
	}
	free(g->name);
	free(g->uuid);
	return NULL;
}

static void take_plan(struct progress *p, struct json_object *plan)
{
	struct json_object *guests = js_array(plan, "guests");

	p->comes_back = !strcmp(js_str(plan, "what", ""), "maintain") && !js_bool(plan, "no_return");
	for (size_t i = 0; i < js_len(guests); i++) {
		struct json_object *json = json_object_array_get_idx(guests, i);
		struct progress_guest *g;

		if (strcmp(js_str(json, "way", ""), "move"))
			continue;
		g = guest_of(p, json);
		if (!g)
			continue;
		g->need_kib = js_u64(json, "need_kib", 1) ?: 1;
		/* Home again, of one that left. */
		g->state = PROGRESS_WAITING;
	}
}

static void take_phase(struct progress_guest *g, struct json_object *event, int64_t now_ms)
{
	const char *phase = js_str(event, "phase", "");

	if (g->state != PROGRESS_MOVING || strcmp(g->phase, phase)) {
		g->phase_began_ms = now_ms;
		g->done = 0;
		g->total = 0;
	}
	g->state = PROGRESS_MOVING;
	snprintf(g->phase, sizeof(g->phase), "%s", phase);
	snprintf(g->unit, sizeof(g->unit), "%s", js_str(event, "unit", ""));
	g->total = js_u64(event, "total", g->total);
	g->done = js_u64(event, "done", g->done);
	if (g->done > g->total)
		g->done = g->total;
}

static void take_outcome(struct progress_guest *g, struct json_object *event)
{
	bool done = !strcmp(js_str(event, "outcome", ""), "done");

	g->state = done ? PROGRESS_DONE : PROGRESS_FAILED;
	snprintf(g->phase, sizeof(g->phase), "%s", js_str(event, "outcome", ""));
	g->pause_ms = cli_double(event, "downtime_ms", -1);
	free(g->error);
	g->error = js_str(event, "error", NULL) ? strdup(js_str(event, "error", "")) : NULL;
}

void progress_event(struct progress *p, struct json_object *event, int64_t now_ms)
{
	const char *kind = js_str(event, "event", "");
	struct progress_guest *g;

	if (!p->began_ms)
		p->began_ms = now_ms;
	if (!strcmp(kind, "plan")) {
		take_plan(p, js_get(event, "plan", json_type_object));
	} else if (!strcmp(kind, "step")) {
		snprintf(p->step, sizeof(p->step), "%s", js_str(event, "step", ""));
		/* What a step takes says nothing of how long the next one does. */
		p->began_ms = now_ms;
		free(p->waiting);
		p->waiting = NULL;
		for (size_t i = 0; i < p->nr && !strcmp(p->step, "return"); i++)
			p->guests[i].state = PROGRESS_WAITING;
	} else if (!strcmp(kind, "waiting")) {
		free(p->waiting);
		p->waiting = strdup(js_str(event, "why", ""));
	} else if (!strcmp(kind, "phase")) {
		g = guest_of(p, event);
		if (g)
			take_phase(g, event, now_ms);
	} else if (!strcmp(kind, "outcome")) {
		g = guest_of(p, event);
		if (g)
			take_outcome(g, event);
	} else if (!strcmp(kind, "there")) {
		g = guest_of(p, event);
		if (g)
			g->state = PROGRESS_DONE;
	}
}

static double part_of(const struct progress_guest *g)
{
	double inside = g->total ? (double)g->done / g->total : 0;

	if (g->state == PROGRESS_DONE)
		return 1;
	if (g->state != PROGRESS_MOVING)
		return 0;
	for (size_t i = 0; i < NR_PHASES; i++)
		if (!strcmp(g->phase, phases[i]))
			return (i + inside) / NR_PHASES;
	return 0;
}

/* Of the moves there, or of those back. */
static double part_of_way(const struct progress *p)
{
	double all = 0, done = 0;

	for (size_t i = 0; i < p->nr; i++) {
		all += p->guests[i].need_kib;
		done += part_of(&p->guests[i]) * p->guests[i].need_kib;
	}
	return all ? done / all : 0;
}

double progress_part(const struct progress *p)
{
	double part = part_of_way(p);

	if (!p->comes_back)
		return part;
	return !strcmp(p->step, "return") || !strcmp(p->step, "done") ? (1 + part) / 2 : part / 2;
}

static void bar(FILE *f, double part, size_t width)
{
	size_t full = part * width;

	fputc('[', f);
	for (size_t i = 0; i < width; i++)
		fputc(i < full ? '#' : '.', f);
	fputc(']', f);
}

/* What stands behind a guest VM's bar. */
static void describe(char *out, size_t size, const struct progress_guest *g, int64_t now_ms)
{
	char rate[80];

	switch (g->state) {
	case PROGRESS_WAITING:
		snprintf(out, size, "waiting");
		return;
	case PROGRESS_FAILED:
		snprintf(out, size, "%s%s%s", g->phase, g->error ? ": " : "", g->error ?: "");
		return;
	case PROGRESS_DONE:
		if (g->pause_ms >= 0)
			snprintf(out, size, "done, down for %.0f ms", g->pause_ms);
		else
			snprintf(out, size, "done");
		return;
	case PROGRESS_MOVING:
		break;
	}
	rate_text(rate, sizeof(rate), g->done, g->total, g->unit, now_ms - g->phase_began_ms);
	snprintf(out, size, "%s%s", g->phase, rate);
}

/* A line of the block, in the place of what was there. */
static void draw_line(FILE *f, const char *name, size_t name_width, double part, const char *text, size_t width)
{
	size_t bar_width = width / 3 < MAX_BAR ? width / 3 : MAX_BAR, used = name_width + 1;
	char clean[512];

	text_clean(clean, sizeof(clean), name);
	fputc('\r', f);
	table_cell(f, clean, name_width, 0);
	fputc(' ', f);
	if (bar_width >= MIN_BAR && used + bar_width + 10 < width) {
		bar(f, part, bar_width);
		fprintf(f, " %3.0f %%  ", part * 100);
		used += bar_width + 2 + 8;
	}
	text_clean(clean, sizeof(clean), text);
	/* A line that is full would make the terminal go to the next one by itself. */
	if (used + 1 < width)
		fprintf(f, "%.*s", (int)table_fit(clean, width - used - 1), clean);
	fputs("\x1b[K\n", f);
}

static size_t name_width(const struct progress *p, size_t width)
{
	size_t widest = strlen("total"), most = width / 4 > widest ? width / 4 : widest;

	for (size_t i = 0; i < p->nr; i++) {
		char clean[512];
		size_t w;

		text_clean(clean, sizeof(clean), p->guests[i].name);
		w = table_width(clean);
		if (w > widest)
			widest = w;
	}
	return widest < most ? widest : most;
}

static void draw_total(const struct progress *p, FILE *f, size_t names, size_t width, int64_t now_ms)
{
	double part = part_of_way(p), s = (now_ms - p->began_ms) / 1000.0;
	char text[512], left[40] = "";
	size_t done = 0;

	for (size_t i = 0; i < p->nr; i++)
		done += p->guests[i].state == PROGRESS_DONE;
	if (part > 0 && part < 1 && s >= 1) {
		strcpy(left, ", ");
		rate_duration(left + 2, sizeof(left) - 2, s * (1 - part) / part);
		strcat(left, " left");
	}
	if (p->waiting)
		snprintf(text, sizeof(text), "waiting: %s", p->waiting);
	else
		snprintf(text, sizeof(text), "%s%s%zu of %zu%s", p->step, *p->step ? ", " : "", done, p->nr, left);
	draw_line(f, "total", names, progress_part(p), text, width);
}

/* Is it of interest where there is no room for all? */
static bool is_told(const struct progress_guest *g)
{
	return g->state == PROGRESS_MOVING || g->state == PROGRESS_FAILED;
}

void progress_draw(struct progress *p, FILE *f, size_t width, size_t height, int64_t now_ms)
{
	bool total = p->nr > 1 || *p->step || p->waiting;
	/* The last line of the terminal is the cursor's. */
	size_t names = name_width(p, width), room = height > 2 ? height - 2 : 1, drawn = 0, told = 0;
	bool all = p->nr <= room;

	for (size_t i = 0; i < p->nr; i++)
		told += is_told(&p->guests[i]);
	if (p->drawn)
		fprintf(f, "\x1b[%zuA", p->drawn);
	for (size_t i = 0; i < p->nr; i++) {
		char text[512];

		/* The latest of those that are told. */
		if (!all && (!is_told(&p->guests[i]) || told-- > room))
			continue;
		describe(text, sizeof(text), &p->guests[i], now_ms);
		draw_line(f, p->guests[i].name, names, part_of(&p->guests[i]), text, width);
		drawn++;
	}
	if (total) {
		draw_total(p, f, names, width, now_ms);
		drawn++;
	}
	/* What is left of a block that had more lines. */
	if (drawn < p->drawn)
		fputs("\x1b[J", f);
	p->drawn = drawn;
	fflush(f);
}

void progress_say(FILE *f, struct json_object *event)
{
	const char *kind = js_str(event, "event", ""), *guest = js_str(event, "guest", "");

	if (!strcmp(kind, "step")) {
		cli_say(f, "step: %s\n", cli_step(js_str(event, "step", "")));
	} else if (!strcmp(kind, "waiting")) {
		cli_say(f, "waiting: %s\n", js_str(event, "why", ""));
	} else if (!strcmp(kind, "there")) {
		cli_say(f, "%s: there already\n", guest);
	} else if (!strcmp(kind, "phase") && cli_double(event, "ms", -1) >= 0) {
		cli_say(f, "%s: %s, %.1f ms\n", guest, js_str(event, "phase", ""), cli_double(event, "ms", 0));
	} else if (!strcmp(kind, "outcome")) {
		cli_say(f, "%s: %s%s%s\n", guest, js_str(event, "outcome", ""), js_str(event, "error", NULL) ? ": " : "",
			js_str(event, "error", ""));
	}
	fflush(f);
}

void progress_clear(struct progress *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		free(p->guests[i].name);
		free(p->guests[i].uuid);
		free(p->guests[i].error);
	}
	free(p->guests);
	free(p->waiting);
	memset(p, 0, sizeof(*p));
}
