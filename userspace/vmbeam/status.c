// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "show.h"
#include "table.h"

static const char help[] =
	"usage: vmbeam status [--json]\n\n"
	"Each host VM with its Xen, kernel, uptime, free memory and agent; what is under way, and how far; what waits for you,\n"
	"and what to type; how the last migration of this daemon went. Exits with 4 when something needs an operator, a guest VM\n"
	"may run on two host VMs, or the last migration lost its guest VM; with 5 when there is no daemon.\n";

int cli_status(int argc, char **argv)
{
	struct json_object *request, *result, *now, *last;
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
	if ((now && js_str(now, "waiting_for", NULL)) || js_str(now ? now : last, "lost", NULL) ||
	    js_len(js_array(result, "waiting")) || js_len(js_array(result, "doubles")))
		rc = CLI_STUCK;
	if (json)
		cli_print(result);
	else
		show_status(stdout, result, table_terminal(stdout));
	json_object_put(result);
	return rc;
}
