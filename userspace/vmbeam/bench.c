// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "migrate.h"
#include "table.h"
#include "target.h"
#include "watch.h"

#define DEFAULT_RUNS	10
#define MAX_RUNS	1000

static const char help[] =
	"usage: vmbeam bench [--json] [--runs NUMBER] HOSTVM/GUEST HOSTVM\n\n"
	"Moves a running guest VM to the other host VM and back, NUMBER times (10), as vmbeam migrate does, and shows how long\n"
	"that takes on this machine: the whole, the downtime, and each phase, with the median of all migrations, the least and\n"
	"the most. The guest VM ends where it was. The first migration that fails ends the bench, and Ctrl-C does: it calls off\n"
	"the one under way.\n"
	"With --json, the figures and the report of each migration, also of a bench that was ended.\n\n"
	"exit codes: those of vmbeam migrate\n";

static int parse(int argc, char **argv, bool *json, uint64_t *runs, struct json_object **request)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "runs", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt;

	*request = NULL;
	while ((opt = getopt_long(argc, argv, "jr:h", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			*json = true;
			break;
		case 'r':
			if (!cli_number(optarg, MAX_RUNS, runs) || !*runs)
				return cli_misuse("--runs takes 1 to %d, not \"%s\"", MAX_RUNS, optarg);
			break;
		case 'h':
			fputs(help, stdout);
			return CLI_OK;
		default:
			return CLI_MISUSE;
		}
	}
	return target_take(argc, argv, "migrate", request);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of what all reports say under @key, in themselves or in their @part: adds median, least and most under that name. */
static void add_figure(struct json_object *figures, struct json_object *reports, const char *part, const char *key)
{
	struct json_object *figure = json_object_new_object();
	size_t nr = js_len(reports);
	double v[2 * MAX_RUNS];

	for (size_t i = 0; i < nr; i++) {
		struct json_object *report = json_object_array_get_idx(reports, i);

		v[i] = cli_double(part ? js_get(report, part, json_type_object) : report, key, 0);
	}
	qsort(v, nr, sizeof(*v), compare);
	json_object_object_add(figure, "median", json_object_new_double((v[(nr - 1) / 2] + v[nr / 2]) / 2));
	json_object_object_add(figure, "least", json_object_new_double(v[0]));
	json_object_object_add(figure, "most", json_object_new_double(v[nr - 1]));
	json_object_object_add(figures, key, figure);
}

/* Names as in a report; NULL if nothing was measured. */
static struct json_object *figures_of(struct json_object *reports)
{
	struct json_object *figures, *first = json_object_array_get_idx(reports, 0);

	if (!first)
		return NULL;
	figures = json_object_new_object();
	add_figure(figures, reports, NULL, "total_ms");
	add_figure(figures, reports, NULL, "downtime_ms");
	json_object_object_foreach(js_get(first, "phases_ms", json_type_object), phase, ms) {
		(void)ms;
		add_figure(figures, reports, "phases_ms", phase);
	}
	return figures;
}

static void show(FILE *f, struct json_object *figures, size_t width)
{
	static const char *const headings[] = { "WHAT", ">MEDIAN", ">LEAST", ">MOST" };
	struct table t;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_object_object_foreach(figures, key, figure) {
		if (!strcmp(key, "total_ms"))
			table_add(&t, "a whole migration");
		else if (!strcmp(key, "downtime_ms"))
			table_add(&t, "the downtime");
		else
			table_add(&t, "phase %s", key);
		table_add(&t, "%.1f ms", cli_double(figure, "median", 0));
		table_add(&t, "%.1f ms", cli_double(figure, "least", 0));
		table_add(&t, "%.1f ms", cli_double(figure, "most", 0));
	}
	table_print(&t, f, width);
}

/* One migration. Its report is added to @reports if it was done; else the reason was told. */
static int move(struct json_object *request, bool json, struct json_object *reports, bool *interrupted)
{
	struct watch_what what = { .undo = "cancel", .id = "migration", .guest = js_str(request, "guest", ""), .quiet = true,
				   .interrupted = interrupted };
	struct json_object *result;
	int rc = watch_ask(json_object_get(request), &what, json, &result);

	if (rc)
		return rc;
	rc = cli_outcome(result);
	if (!rc) {
		json_object_array_add(reports, result);
		return CLI_OK;
	}
	migrate_print_failure(result, rc);
	json_object_put(result);
	return rc;
}

static void say_moved(struct json_object *report, uint64_t nr, uint64_t of)
{
	cli_say(stdout, "%llu of %llu: %s to %s, %.1f ms, down for %.1f ms\n", (unsigned long long)nr, (unsigned long long)of,
		js_str(report, "guest", ""), js_str(report, "to", ""), cli_double(report, "total_ms", 0),
		cli_double(report, "downtime_ms", 0));
	fflush(stdout);
}

/* From where it is now to where it was: by its UUID, since a domid is another one there. */
static void turn_round(struct json_object *request, struct json_object *report)
{
	js_add_str(request, "guest", js_str(report, "uuid", ""));
	js_add_str(request, "from", js_str(report, "to", ""));
	js_add_str(request, "to", js_str(report, "from", ""));
}

/* What was measured, of a bench that was ended, too. */
static void print(struct json_object *reports, bool json)
{
	struct json_object *figures = figures_of(reports), *all;

	if (json) {
		all = json_object_new_object();
		json_object_object_add(all, "figures", json_object_get(figures));
		json_object_object_add(all, "reports", json_object_get(reports));
		cli_print(all);
		json_object_put(all);
	} else if (figures) {
		show(stdout, figures, table_terminal(stdout));
	}
	json_object_put(figures);
}

int cli_bench(int argc, char **argv)
{
	struct json_object *request, *report, *reports;
	bool json = false, interrupted = false;
	uint64_t runs = DEFAULT_RUNS;
	int rc = parse(argc, argv, &json, &runs, &request);

	if (!request)
		return rc;
	reports = json_object_new_array();
	for (uint64_t i = 1; i <= 2 * runs; i++) {
		rc = move(request, json, reports, &interrupted);
		if (rc)
			break;
		report = json_object_array_get_idx(reports, i - 1);
		turn_round(request, report);
		if (!json)
			say_moved(report, i, 2 * runs);
		if (interrupted) {
			rc = CLI_ROLLED_BACK;
			break;
		}
	}
	/* Somewhere else than where it was, and nothing is under way. */
	if ((rc == CLI_REFUSED || rc == CLI_ROLLED_BACK) && js_len(reports) % 2)
		cli_say(stderr, "vmbeam: it is on %s now: vmbeam return %s brings it back\n", js_str(request, "from", ""),
			js_str(request, "to", ""));
	print(reports, json);
	json_object_put(reports);
	json_object_put(request);
	return rc;
}
