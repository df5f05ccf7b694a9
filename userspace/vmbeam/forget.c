// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"

static const char help[] =
	"usage: vmbeam forget [--json] MIGRATION\n\n"
	"Have vmbeamd give up a migration that is stuck, or whose end waits for something that will never come: see\n"
	"vmbeam status, which tells its id, too. Whatever is left of it stays as it is and is yours from then on: the guest\n"
	"VM's domains (xl list in both host VMs), and the exports that pin its frames (vmbeam export list, release).\n"
	"Look first which side has the guest VM's memory: where pairs are stuck, neither side has all of it. A transaction\n"
	"that is stuck stays, too, and its host VMs can be in no other one: vmbeam transaction list, retry, forget.\n"
	"Exits with 0 when it is forgotten, with 2 when no such migration waits.\n";

int cli_forget(int argc, char **argv)
{
	struct json_object *request;
	char done[300];
	bool json;
	int rc;

	rc = cli_options(argc, argv, help, &json);
	if (rc >= 0)
		return rc;
	if (optind + 1 != argc)
		return cli_misuse("forget takes the id of a migration");
	request = json_object_new_object();
	js_add_str(request, "cmd", "forget");
	js_add_str(request, "migration", argv[optind]);
	snprintf(done, sizeof(done), "%s is forgotten", argv[optind]);
	return cli_do(request, json, done);
}
