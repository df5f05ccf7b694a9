// SPDX-License-Identifier: GPL-2.0
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
	struct json_object *request;
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
	return cli_do(request, json, "cancelled");
}
