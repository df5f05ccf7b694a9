// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "js.h"
#include "target.h"

static const char help[] =
	"usage: vmbeam check [--json] HOSTVM/GUEST HOSTVM\n\n"
	"GUEST is the guest VM's name, its UUID, or #DOMID.\n"
	"Can the guest VM be moved to the other host VM? Says all that stands in the way, and touches nothing.\n"
	"Says, too, how many of its frames lie in pieces of 2 MiB, which can go as superpages.\n"
	"Exits with 0 when nothing does, with 2 otherwise.\n";

/* Whether the host VMs have superpages there, and every frame is free to go, is only known when it happens. */
static void said(struct json_object *result)
{
	struct json_object *frames = json_object_object_get(result, "frames");

	cli_say(stdout, "%s on %s can be moved to %s: %llu frames, of these %llu in pieces of 2 MiB\n",
		js_str(result, "guest", ""), js_str(result, "from", ""), js_str(result, "to", ""),
		(unsigned long long)js_u64(frames, "total", 0), (unsigned long long)js_u64(frames, "superpages", 0));
}

int cli_check(int argc, char **argv)
{
	struct json_object *request, *result, *problems;
	bool json;
	int rc = target_parse(argc, argv, help, &json, &request);

	if (!request)
		return rc;
	rc = cli_ask(request, NULL, NULL, &result);
	if (rc)
		return rc;
	rc = cli_outcome(result);
	problems = js_array(result, "problems");
	if (json)
		cli_print(result);
	else if (rc == CLI_OK)
		said(result);
	else if (!js_len(problems))
		cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "failed"));
	else
		for (size_t i = 0; i < js_len(problems); i++)
			cli_say(stderr, "%s\n", json_object_get_string(json_object_array_get_idx(problems, i)));
	json_object_put(result);
	return rc;
}
