// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <time.h>

#include "cli.h"
#include "js.h"
#include "rate.h"
#include "show.h"
#include "table.h"

#define HEADINGS(...) ((const char *const[]){ __VA_ARGS__ }), \
	sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)

static struct json_object *at(struct json_object *array, size_t i)
{
	return json_object_array_get_idx(array, i);
}

static const char *text_at(struct json_object *array, size_t i)
{
	struct json_object *o = at(array, i);

	return json_object_is_type(o, json_type_string) ? json_object_get_string(o) : "";
}

/* A number that may not be known. */
static void add_number(struct table *t, struct json_object *o, const char *key)
{
	if (js_get(o, key, json_type_int))
		table_add(t, "%llu", (unsigned long long)js_u64(o, key, 0));
	else
		table_add(t, "-");
}

static void add_guest(struct table *t, const char *hostvm, struct json_object *g, const char *reason)
{
	table_add(t, "%s", hostvm);
	table_add(t, "%s", js_str(g, "guest", "?"));
	table_add(t, "%s", js_str(g, "state", "?"));
	add_number(t, g, "memory_mib");
	add_number(t, g, "vcpus");
	add_number(t, g, "disks");
	add_number(t, g, "vifs");
	/* Where it belongs, when it is away from there. */
	table_add(t, "%s", js_str(g, "home", ""));
	table_add(t, "%s", reason);
}

static void add_nobody(struct table *t, const char *hostvm, const char *why)
{
	struct json_object *nobody = json_object_new_object();

	js_add_str(nobody, "guest", "");
	js_add_str(nobody, "state", "");
	add_guest(t, hostvm, nobody, why);
	json_object_put(nobody);
}

/* A row for each reason; what is the same in them is said once. */
static void add_reason(struct table *t, const char *reason)
{
	for (int i = 0; i < 8; i++)
		table_add(t, "%s", "");
	table_add(t, "%s", reason);
}

void show_list(FILE *f, struct json_object *result, size_t width, bool reasons)
{
	struct json_object *hostvms = js_array(result, "hostvms");
	struct table t;

	table_init(&t, HEADINGS("HOST VM", "GUEST VM", "STATE", ">MIB", ">VCPUS", ">DISKS", ">VIFS", "HOME", "CAN MOVE"));
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = at(hostvms, i), *guests = js_array(h, "guests");
		const char *hostvm = js_str(h, "name", "?");

		if (!js_bool(h, "agent") || !js_len(guests))
			add_nobody(&t, hostvm, js_bool(h, "agent") ? "no guest VM" : "its agent does not answer");
		for (size_t k = 0; k < js_len(guests); k++) {
			struct json_object *g = at(guests, k), *why = js_array(g, "reasons");

			add_guest(&t, hostvm, g, js_bool(g, "movable") ? "yes" : js_len(why) ? text_at(why, 0) : "not known");
			for (size_t r = 1; reasons && r < js_len(why); r++)
				add_reason(&t, text_at(why, r));
		}
	}
	if (t.rows)
		table_print(&t, f, width);
	else
		fputs("no host VM\n", f);
}

/* One of each: a name may be away from several host VMs. */
static void show_away(FILE *f, struct json_object *hostvms)
{
	struct json_object *shown = json_object_new_object();

	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *away = js_array(at(hostvms, i), "away");

		for (size_t k = 0; k < js_len(away); k++) {
			const char *name = js_str(at(away, k), "name", "");

			if (!json_object_object_get_ex(shown, name, NULL))
				cli_say(f, "%s\n", name);
			js_add_bool(shown, name, true);
		}
	}
	json_object_put(shown);
}

void show_names(FILE *f, struct json_object *result, const char *what)
{
	struct json_object *hostvms = js_array(result, "hostvms");
	bool guests = !strcmp(what, "guests");

	if (!strcmp(what, "away")) {
		show_away(f, hostvms);
		return;
	}
	if (!strcmp(what, "migrations")) {
		if (js_str(js_get(result, "migration", json_type_object), "id", NULL))
			cli_say(f, "%s\n", js_str(js_get(result, "migration", json_type_object), "id", ""));
		return;
	}
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = at(hostvms, i), *list = js_array(h, "guests");

		if (!guests)
			cli_say(f, "%s\n", js_str(h, "name", ""));
		for (size_t k = 0; guests && k < js_len(list); k++)
			cli_say(f, "%s/%s\n", js_str(h, "name", ""), js_str(at(list, k), "guest", ""));
	}
}

static void add_duration(struct table *t, struct json_object *o, const char *key)
{
	uint64_t s = js_u64(o, key, 0);

	if (!js_get(o, key, json_type_int))
		table_add(t, "-");
	else if (s >= 86400)
		table_add(t, "%llu d %llu h", (unsigned long long)s / 86400, (unsigned long long)s / 3600 % 24);
	else
		table_add(t, "%llu:%02d h", (unsigned long long)s / 3600, (int)(s / 60 % 60));
}

static void show_hostvms(FILE *f, struct json_object *hostvms, size_t width)
{
	struct table t;

	table_init(&t, HEADINGS("HOST VM", ">DOMID", "XEN", "KERNEL", ">UP", ">FREE MIB", ">GUEST VMS", "AGENT"));
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = at(hostvms, i);

		table_add(&t, "%s", js_str(h, "name", "?"));
		add_number(&t, h, "domid");
		table_add(&t, "%s", js_str(h, "xen", "-"));
		table_add(&t, "%s", js_str(h, "kernel", "-"));
		add_duration(&t, h, "uptime_s");
		add_number(&t, h, "free_mib");
		if (js_array(h, "guests"))
			table_add(&t, "%zu", js_len(js_array(h, "guests")));
		else
			table_add(&t, "-");
		if (js_get(h, "agent", json_type_boolean))
			table_add(&t, "%s", js_bool(h, "agent") ? js_str(h, "version", "?") : "does not answer");
		else
			table_add(&t, "-");
	}
	table_print(&t, f, width);
}

/* What stands in its way. */
static void show_trouble(FILE *f, struct json_object *m)
{
	if (js_str(m, "error", NULL))
		cli_say(f, "  %s\n", js_str(m, "error", ""));
	if (js_str(m, "lost", NULL))
		cli_say(f, "  lost: %s\n", js_str(m, "lost", ""));
	if (js_str(m, "waiting_for", NULL))
		cli_say(f, "  not finished: %s\n", js_str(m, "waiting_for", ""));
	if (js_u64(m, "tries", 0))
		cli_say(f, "  tried %llu times, and again in %.1f s\n", (unsigned long long)js_u64(m, "tries", 0),
			cli_double(m, "next_try_ms", 0) / 1000);
}

static void show_id(FILE *f, struct json_object *m)
{
	if (js_str(m, "id", NULL))
		cli_say(f, " (%s)", js_str(m, "id", ""));
	fputc('\n', f);
}

/* Inside a phase: how much of how much. */
static void show_under_way(FILE *f, struct json_object *m)
{
	uint64_t done = js_u64(m, "done", 0), total = js_u64(m, "total", 0);
	const char *unit = js_str(m, "unit", "");
	char rate[80];

	cli_say(f, "under way: %s from %s to %s, %s", js_str(m, "guest", "?"), js_str(m, "from", "?"), js_str(m, "to", "?"),
		js_str(m, "phase", js_str(m, "state", "?")));
	if (total) {
		rate_text(rate, sizeof(rate), done, total, unit, cli_double(m, "phase_ms", 0));
		cli_say(f, ", %llu of %llu %s%s", (unsigned long long)done, (unsigned long long)total, unit, rate);
	}
	show_id(f, m);
	show_trouble(f, m);
}

static void show_last(FILE *f, struct json_object *m)
{
	cli_say(f, "last: %s from %s to %s, %s", js_str(m, "guest", "?"), js_str(m, "from", "?"), js_str(m, "to", "?"),
		js_str(m, "outcome", "?"));
	show_id(f, m);
	show_trouble(f, m);
}

static void show_maintenance(FILE *f, struct json_object *m)
{
	const char *what = js_str(m, "what", "?"), *from = js_str(m, "from", "?"), *to = js_str(m, "to", "?");
	struct json_object *guests = js_array(m, "guests");

	if (!strcmp(what, "return"))
		cli_say(f, "under way: the return from %s to %s", from, to);
	else if (!strcmp(what, "evacuate"))
		cli_say(f, "under way: the evacuation of %s to %s", from, to);
	else
		cli_say(f, "under way: the maintenance of %s via %s", from, to);
	cli_say(f, ", %sstep %s", js_bool(m, "aborting") ? "called off, " : "", cli_step(js_str(m, "step", "?")));
	show_id(f, m);
	for (size_t i = 0; i < js_len(guests); i++)
		cli_say(f, "  %s: %s%s%s\n", js_str(at(guests, i), "guest", "?"), cli_where(js_str(at(guests, i), "where", "unknown")),
			js_str(at(guests, i), "error", NULL) ? ", " : "", js_str(at(guests, i), "error", ""));
	if (js_u64(m, "held_up_ms", 0))
		cli_say(f, "  held up for %.0f s: %s\n", cli_double(m, "held_up_ms", 0) / 1000, js_str(m, "held_up_by", ""));
	else if (js_str(m, "held_up_by", NULL))
		cli_say(f, "  held up: %s\n", js_str(m, "held_up_by", ""));
}

void show_status(FILE *f, struct json_object *result, size_t width)
{
	struct json_object *m = js_get(result, "migration", json_type_object);
	struct json_object *maintenance = js_get(result, "maintenance", json_type_object);
	struct json_object *last = js_get(result, "last", json_type_object), *waiting = js_array(result, "waiting");
	struct json_object *warnings = js_array(result, "warnings");
	const char *said = js_str(m, "waiting_for", "");

	show_hostvms(f, js_array(result, "hostvms"), width);
	if (m)
		show_under_way(f, m);
	if (maintenance)
		show_maintenance(f, maintenance);
	for (size_t i = 0; i < js_len(waiting); i++)
		if (strcmp(text_at(waiting, i), said))
			cli_say(f, "waits for you: %s\n", text_at(waiting, i));
	for (size_t i = 0; i < js_len(warnings); i++)
		cli_say(f, "warning: %s\n", text_at(warnings, i));
	if (!m && !maintenance && !js_len(waiting))
		fputs("nothing is under way\n", f);
	if (last)
		show_last(f, last);
}

static void add_time(struct table *t, struct json_object *record)
{
	time_t ended = js_u64(record, "ended", 0);
	char text[32] = "-";
	struct tm tm;

	if (ended && localtime_r(&ended, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	table_add(t, "%s", text);
}

static void add_ms(struct table *t, struct json_object *o, const char *key, double scale, const char *unit)
{
	double v = cli_double(o, key, -1);

	if (v < 0)
		table_add(t, "%s", "");
	else
		table_add(t, "%.*f %s", scale > 1 ? 1 : 0, v / scale, unit);
}

static void add_migration(struct table *t, struct json_object *r)
{
	table_add(t, "migrate");
	table_add(t, "%s", js_str(r, "guest", "?"));
}

static void add_maintenance(struct table *t, struct json_object *r)
{
	table_add(t, "%s", js_str(r, "what", "?"));
	table_add(t, "%zu guest VMs", js_len(js_array(r, "guests")));
}

void show_history(FILE *f, struct json_object *records, size_t width)
{
	struct table t;

	table_init(&t, HEADINGS("ENDED", "WHAT", "GUEST VM", "FROM", "TO", "OUTCOME", ">DOWNTIME", ">TOOK", ">SWAPPED", ">KEPT",
				">EXCHANGED", "WHY"));
	for (size_t i = 0; i < js_len(records); i++) {
		struct json_object *r = at(records, i), *frames = js_get(r, "frames", json_type_object);
		bool migration = !strcmp(js_str(r, "kind", ""), "migration"), done = !strcmp(js_str(r, "outcome", ""), "done");

		add_time(&t, r);
		if (migration)
			add_migration(&t, r);
		else
			add_maintenance(&t, r);
		table_add(&t, "%s", js_str(r, "from", ""));
		table_add(&t, "%s", js_str(r, "to", ""));
		table_add(&t, "%s", js_str(r, "outcome", "?"));
		add_ms(&t, r, migration ? "downtime_ms" : "down_ms", 1, "ms");
		add_ms(&t, r, "total_ms", 1000, "s");
		if (frames && done) {
			add_number(&t, frames, "swapped");
			add_number(&t, frames, "kept");
			add_number(&t, frames, "exchanged");
		} else {
			for (int k = 0; k < 3; k++)
				table_add(&t, "%s", "");
		}
		table_add(&t, "%s", js_str(r, "lost", js_str(r, "error", js_str(r, "waiting_for", ""))));
	}
	if (t.rows)
		table_print(&t, f, width);
	else
		fputs("nothing yet\n", f);
}
