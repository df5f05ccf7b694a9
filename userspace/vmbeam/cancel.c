// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"

static const char help[] =
	"usage: vmbeam cancel [--json] [MIGRATION]\n\n"
	"Call off the migration under way, or the one with that id (vmbeam status), and wait until the guest VM is on its\n"
	"host VM as before. Once it is committed it is too late: the guest VM then goes on to its destination.\n"
	"Exits with 0 when it was called off, with 2 when there is none or it was too late.\n";

int cli_cancel(int argc, char **argv)
{
	struct json_object *request, *result;
	bool json;
	int rc;

	rc = cli_options(argc, argv, help, &json);
	if (rc >= 0)
		return rc;
	if (argc - optind > 1)
		return cli_misuse("cancel takes the id of one migration");
	request = json_object_new_object();
	js_add_str(request, "cmd", "cancel");
	if (optind < argc)
		js_add_str(request, "migration", argv[optind]);
	rc = cli_ask(request, NULL, NULL, &result);
	if (rc)
		return rc;
	rc = cli_outcome(result);
	if (json)
		cli_print(result);
	else if (rc)
		cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "failed"));
	else
		puts("cancelled");
	json_object_put(result);
	return rc;
}
