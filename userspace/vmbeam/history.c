// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "js.h"
#include "show.h"
#include "table.h"
#include "target.h"

static const char help[] =
	"usage: vmbeam history [--json] [--kind migration|maintenance] [--guest PATTERN] [--hostvm HOSTVM]\n"
	"                      [--since TIME] [--until TIME] [--failed] [--last NUMBER]\n\n"
	"Each migration and each maintenance that is over, the oldest first: when, what, how it ended, how long the guest VM or\n"
	"the host VM was down, frames by kind, and why it failed. With --json, a JSON object on a line for each.\n\n"
	"  --kind      the ones or the others alone\n"
	"  --guest     those with a guest VM of such a name, a pattern as of the shell, or of that UUID\n"
	"  --hostvm    from or to that host VM\n"
	"  --since     what ended at that time or later: \"2026-11-26\", \"2026-11-26 18:30\", or 90m, 12h, 7d ago\n"
	"  --until     what ended at that time or earlier\n"
	"  --failed    what was not done\n"
	"  --last      that many at most, the latest\n";

static bool parse_ago(const char *text, time_t *when)
{
	static const struct {
		char unit;
		unsigned int s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || !*end || end[1] || n > 1000000)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit) {
			*when = time(NULL) - (time_t)n * units[i].s;
			return true;
		}
	return false;
}

static bool parse_date(const char *text, time_t *when)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
					     "%Y-%m-%dT%H:%M:%S" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end) {
			*when = mktime(&tm);
			return *when != -1;
		}
	}
	return false;
}

static int add_time(struct json_object *request, const char *key, const char *text)
{
	time_t when;

	if (!parse_ago(text, &when) && !parse_date(text, &when))
		return cli_misuse("--%s takes a time like \"2026-11-26 18:30\" or 12h, not \"%s\"", key, text);
	json_object_object_add(request, key, json_object_new_int64(when));
	return -1;
}

static int add_option(struct json_object *request, int opt, const char *value)
{
	uint64_t n;

	switch (opt) {
	case 'k':
		js_add_str(request, "kind", value);
		return strcmp(value, "migration") && strcmp(value, "maintenance") ?
		       cli_misuse("--kind takes migration or maintenance, not \"%s\"", value) : -1;
	case 'g': target_add_guest(request, value); return -1;
	case 'H': js_add_str(request, "hostvm", value); return -1;
	case 's': return add_time(request, "since", value);
	case 'u': return add_time(request, "until", value);
	case 'f': js_add_bool(request, "failed", true); return -1;
	case 'l':
		if (!cli_number(value, 10000, &n) || !n)
			return cli_misuse("--last takes 1 to 10000, not \"%s\"", value);
		js_add_u64(request, "last", n);
		return -1;
	case 'h': fputs(help, stdout); return CLI_OK;
	default: return CLI_MISUSE;
	}
}

/* -1; or an exit code, and it is over. */
static int parse(int argc, char **argv, struct json_object *request, bool *json)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "kind", required_argument, NULL, 'k' },
		{ "guest", required_argument, NULL, 'g' },
		{ "hostvm", required_argument, NULL, 'H' },
		{ "since", required_argument, NULL, 's' },
		{ "until", required_argument, NULL, 'u' },
		{ "failed", no_argument, NULL, 'f' },
		{ "last", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt, rc = -1;

	while (rc < 0 && (opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (opt == 'j')
			*json = true;
		else
			rc = add_option(request, opt, optarg);
	}
	if (rc < 0 && optind != argc)
		return cli_misuse("history takes no argument: --guest and --hostvm choose");
	return rc;
}

struct taken {
	bool json;
	struct json_object *records;
};

static void take(struct json_object *line, void *arg)
{
	struct json_object *record = js_get(line, "record", json_type_object);
	struct taken *t = arg;

	if (record && t->json)
		cli_print(record);
	else if (record)
		json_object_array_add(t->records, json_object_get(record));
}

int cli_history(int argc, char **argv)
{
	struct json_object *request = json_object_new_object(), *result;
	struct taken t = { 0 };
	int rc;

	js_add_str(request, "cmd", "history");
	rc = parse(argc, argv, request, &t.json);
	if (rc >= 0) {
		json_object_put(request);
		return rc;
	}
	t.records = json_object_new_array();
	rc = cli_ask(request, take, &t, &result);
	if (!rc) {
		rc = cli_outcome(result);
		if (rc)
			cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "failed"));
		else if (!t.json)
			show_history(stdout, t.records, table_terminal(stdout));
		json_object_put(result);
	}
	json_object_put(t.records);
	return rc;
}
