// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "js.h"
#include "target.h"

static const char help[] =
	"usage: vmbeam adopt [--json] GUEST\n\n"
	"GUEST is the guest VM's name, its UUID, or # and its domid. It was evacuated or migrated, and stays where it is from\n"
	"now on: no return brings it home, a maintenance does not wait for it, and the system that it came from does not keep a\n"
	"place for it. Also for one that was destroyed meanwhile, and will not come back.\n"
	"Exits with 0 when that is so, with 2 when it is not away, is on two host VMs, or its home could not be told.\n";

int cli_adopt(int argc, char **argv)
{
	struct json_object *request;
	char done[300];
	bool json;
	int rc;

	rc = cli_options(argc, argv, help, &json);
	if (rc >= 0)
		return rc;
	if (optind + 1 != argc || !*argv[optind])
		return cli_misuse("adopt takes the name, the UUID or the #DOMID of a guest VM");
	request = json_object_new_object();
	js_add_str(request, "cmd", "adopt");
	target_add_guest(request, argv[optind]);
	snprintf(done, sizeof(done), "%s stays where it is", argv[optind]);
	return cli_do(request, json, done);
}
