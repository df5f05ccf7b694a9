// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "cli.h"
#include "js.h"
#include "show.h"
#include "table.h"

/* What the way of a guest VM in a plan means. */
static void add_way(struct table *t, struct json_object *plan, struct json_object *guest)
{
	const char *way = js_str(guest, "way", "?");
	bool home = !strcmp(js_str(plan, "what", ""), "return");

	if (!strcmp(way, "move"))
		table_add(t, "moves to %s", js_str(plan, "to", "?"));
	else if (!strcmp(way, "shutdown"))
		table_add(t, home ? "is started" : "is shut down");
	else if (!strcmp(way, "leave"))
		table_add(t, "stays");
	else if (!strcmp(way, "excluded"))
		table_add(t, "stays, as asked");
	else
		table_add(t, "%s", way);
}

/* Why one cannot move that is not going to. Of one that is to move all the same, it is among what is refused. */
static void show_blockers(FILE *f, struct json_object *guest)
{
	struct json_object *blockers = js_array(guest, "blockers");

	if (!strcmp(js_str(guest, "way", ""), "move"))
		return;
	for (size_t i = 0; i < js_len(blockers); i++)
		cli_say(f, "%s cannot move: %s\n", js_str(guest, "guest", "?"),
			json_object_get_string(json_object_array_get_idx(blockers, i)));
}

static void show_sums(FILE *f, struct json_object *plan)
{
	struct json_object *sums = js_get(plan, "sums", json_type_object);
	unsigned long long moving = js_u64(sums, "moving", 0), unknown = js_u64(sums, "unknown_pauses", 0);

	cli_say(f, "%llu guest VM%s to move to %s, %llu MiB", moving, moving == 1 ? "" : "s", js_str(plan, "to", "?"),
		(unsigned long long)js_u64(sums, "need_kib", 0) >> 10);
	if (moving > unknown)
		cli_say(f, ", down for about %.0f ms in all", cli_double(sums, "pause_ms", 0));
	if (moving > unknown && unknown)
		cli_say(f, " (not known of %llu)", unknown);
	fputc('\n', f);
}

/* In the order in which they go. */
void show_plan(FILE *f, struct json_object *plan, size_t width)
{
	static const char *const headings[] = { "GUEST VM", "PLAN", ">MIB", ">DOWNTIME" };
	struct json_object *guests = js_array(plan, "guests");
	struct table t;

	table_init(&t, headings, 4);
	for (size_t i = 0; i < js_len(guests); i++) {
		struct json_object *g = json_object_array_get_idx(guests, i);
		bool moves = !strcmp(js_str(g, "way", ""), "move");

		table_add(&t, "%s", js_str(g, "guest", "?"));
		add_way(&t, plan, g);
		table_add(&t, "%llu", (unsigned long long)js_u64(g, "need_kib", 0) >> 10);
		if (!moves)
			table_add(&t, "%s", "");
		else if (cli_double(g, "pause_ms", -1) < 0)
			table_add(&t, "not known");
		else
			table_add(&t, "%.0f ms", cli_double(g, "pause_ms", 0));
	}
	if (t.rows)
		table_print(&t, f, width);
	for (size_t i = 0; i < js_len(guests); i++)
		show_blockers(f, json_object_array_get_idx(guests, i));
	show_sums(f, plan);
}

void show_report(FILE *f, struct json_object *report, size_t width)
{
	static const char *const headings[] = { "GUEST VM", "WHERE", "NOTE", "WHY" };
	struct json_object *guests = js_array(report, "guests");
	struct table t;

	table_init(&t, headings, 4);
	for (size_t i = 0; i < js_len(guests); i++) {
		struct json_object *g = json_object_array_get_idx(guests, i);
		const char *way = js_str(g, "way", "");

		table_add(&t, "%s", js_str(g, "guest", "?"));
		table_add(&t, "%s", cli_where(js_str(g, "where", "")));
		table_add(&t, "%s", js_bool(g, "adopted") ? "adopted" : !strcmp(way, "shutdown") ? "was shut down" :
				    !strcmp(way, "leave") || !strcmp(way, "excluded") ? "stays" : "");
		table_add(&t, "%s", js_str(g, "error", ""));
	}
	if (t.rows)
		table_print(&t, f, width);
	else
		table_clear(&t);
}
