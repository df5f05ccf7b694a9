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

static void said_disk(struct json_object *d)
{
	struct json_object *ids = js_array(d, "same_ids");

	cli_say(stdout, "  disk %s, %s, %llu MiB: ", js_str(d, "disk", ""), js_str(d, "target", ""),
		(unsigned long long)js_u64(d, "bytes", 0) >> 20);
	for (size_t i = 0; i < js_len(ids); i++)
		cli_say(stdout, "the same %s, ", json_object_get_string(json_object_array_get_idx(ids, i)));
	printf("%llu of %llu blocks that were read are the same on both, %llu are empty\n",
	       (unsigned long long)js_u64(d, "blocks_agreed", 0), (unsigned long long)js_u64(d, "blocks_read", 0),
	       (unsigned long long)js_u64(d, "blocks_empty", 0));
}

/* Whether the host VMs have superpages there, and every frame is free to go, is only known when it happens. */
static void said(struct json_object *result)
{
	struct json_object *frames = json_object_object_get(result, "frames"), *disks = js_array(result, "disks"),
			   *warnings = js_array(result, "warnings");

	cli_say(stdout, "%s on %s can be moved to %s: %llu frames, of these %llu in pieces of 2 MiB\n",
		js_str(result, "guest", ""), js_str(result, "from", ""), js_str(result, "to", ""),
		(unsigned long long)js_u64(frames, "total", 0), (unsigned long long)js_u64(frames, "superpages", 0));
	for (size_t i = 0; i < js_len(disks); i++)
		said_disk(json_object_array_get_idx(disks, i));
	for (size_t i = 0; i < js_len(warnings); i++)
		cli_say(stdout, "  warning: %s\n", json_object_get_string(json_object_array_get_idx(warnings, i)));
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
