// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"

static const char help[] =
	"usage: vmbeam status [--json]\n\n"
	"What vmbeamd is doing, and how the last migration of this daemon went. Exits with 4 when a migration needs an\n"
	"operator or the last one lost its guest VM, with 5 when there is no daemon.\n";

static void print_migration(const char *what, struct json_object *m)
{
	cli_say(stdout, "%s: %s of %s from %s to %s, %s (%s)\n", what, js_str(m, "id", ""), js_str(m, "guest", ""),
		js_str(m, "from", ""), js_str(m, "to", ""), js_str(m, "outcome", ""), js_str(m, "state", ""));
	if (js_str(m, "error", NULL))
		cli_say(stdout, "  %s\n", js_str(m, "error", ""));
	if (js_str(m, "lost", NULL))
		cli_say(stdout, "  lost: %s\n", js_str(m, "lost", ""));
	if (js_str(m, "waiting_for", NULL))
		cli_say(stdout, "  not finished: %s\n", js_str(m, "waiting_for", ""));
	if (js_u64(m, "tries", 0))
		cli_say(stdout, "  tried %llu times, and again in %.1f s\n", (unsigned long long)js_u64(m, "tries", 0),
			json_object_get_double(json_object_object_get(m, "next_try_ms")) / 1000);
}

int cli_status(int argc, char **argv)
{
	struct json_object *request, *result, *now, *last, *list;
	bool json;
	int rc;

	rc = cli_options(argc, argv, help, &json);
	if (rc >= 0)
		return rc;
	if (optind != argc)
		return cli_misuse("status takes no argument");
	request = json_object_new_object();
	js_add_str(request, "cmd", "status");
	rc = cli_ask(request, NULL, NULL, &result);
	if (rc)
		return rc;
	now = js_get(result, "migration", json_type_object);
	last = js_get(result, "last", json_type_object);
	list = js_array(result, "hostvms");
	if ((now && js_str(now, "waiting_for", NULL)) || js_str(now ? now : last, "lost", NULL))
		rc = CLI_STUCK;
	if (json) {
		cli_print(result);
	} else {
		printf("host VMs:");
		for (size_t i = 0; i < js_len(list); i++)
			cli_say(stdout, " %s", js_str(json_object_array_get_idx(list, i), "name", ""));
		putchar('\n');
		if (now)
			print_migration("under way", now);
		if (last)
			print_migration("last", last);
		if (!now && !last)
			puts("no migration yet");
	}
	json_object_put(result);
	return rc;
}
