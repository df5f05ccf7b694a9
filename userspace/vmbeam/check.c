// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "js.h"
#include "target.h"

static const char help[] =
	"usage: vmbeam check [--json] HOSTVM/GUEST HOSTVM\n\n"
	"GUEST is the guest VM's name, its UUID, or #DOMID.\n"
	"Can the guest VM be moved to the other host VM? Prints what it needs and what is offered for that, a line for each\n"
	"item, says all that stands in the way or will be lost or different, and touches nothing.\n"
	"Says, too, how many of its frames lie in pieces of 2 MiB, which can go as superpages.\n"
	"Exits with 0 when the guest VM can be moved, with 2 when it cannot.\n";

/* How it is known that a disk is the same: the part of its line behind what is needed and offered. */
static void said_blocks(struct json_object *d)
{
	struct json_object *ids = js_array(d, "same_ids");

	cli_say(stdout, " (");
	for (size_t i = 0; i < js_len(ids); i++)
		cli_say(stdout, "the same %s, ", json_object_get_string(json_object_array_get_idx(ids, i)));
	cli_say(stdout, "%llu of %llu blocks that were read are the same on both, %llu are empty)",
		(unsigned long long)js_u64(d, "blocks_agreed", 0), (unsigned long long)js_u64(d, "blocks_read", 0),
		(unsigned long long)js_u64(d, "blocks_empty", 0));
}

static void said_item(struct json_object *item, struct json_object *disks)
{
	const char *needs = js_str(item, "needs", ""), *offers = js_str(item, "offers", "");
	struct json_object *need = js_get(item, "need", json_type_object);

	cli_say(stdout, "  %-8s %s", js_str(item, "verdict", "?"), js_str(item, "item", "?"));
	if (*needs || *offers)
		cli_say(stdout, ": needs %s; offered: %s", needs, offers);
	for (size_t i = 0; !strcmp(js_str(need, "kind", ""), "vbd") && i < js_len(disks); i++) {
		struct json_object *d = json_object_array_get_idx(disks, i);

		if (!strcmp(js_str(d, "disk", ""), js_str(need, "dev", "?")))
			said_blocks(d);
	}
	printf("\n");
}

/* Each need, and what will be lost or different although it can be moved. */
static void said_items(struct json_object *result)
{
	struct json_object *items = js_array(result, "items"), *warnings = js_array(result, "warnings");

	for (size_t i = 0; i < js_len(items); i++)
		said_item(json_object_array_get_idx(items, i), js_array(result, "disks"));
	for (size_t i = 0; i < js_len(warnings); i++)
		cli_say(stdout, "  warning: %s\n", json_object_get_string(json_object_array_get_idx(warnings, i)));
}

/* Whether the host VMs have superpages there, and every frame is free to go, is only known when it happens. */
static void said(struct json_object *result)
{
	struct json_object *frames = json_object_object_get(result, "frames");

	cli_say(stdout, "%s on %s can be moved to %s: %llu frames, of these %llu in pieces of 2 MiB\n",
		js_str(result, "guest", ""), js_str(result, "from", ""), js_str(result, "to", ""),
		(unsigned long long)js_u64(frames, "total", 0), (unsigned long long)js_u64(frames, "superpages", 0));
	said_items(result);
}

static void said_problems(struct json_object *result)
{
	struct json_object *problems = js_array(result, "problems");

	if (js_len(js_array(result, "items"))) {
		cli_say(stdout, "%s on %s cannot be moved to %s:\n", js_str(result, "guest", ""), js_str(result, "from", ""),
			js_str(result, "to", ""));
		said_items(result);
		fflush(stdout);
	}
	for (size_t i = 0; i < js_len(problems); i++)
		cli_say(stderr, "%s\n", json_object_get_string(json_object_array_get_idx(problems, i)));
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
		said_problems(result);
	json_object_put(result);
	return rc;
}
