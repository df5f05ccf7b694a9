// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "show.h"
#include "table.h"

static const char help[] =
	"usage: vmbeam list [--json] [--reasons] [HOSTVM]\n"
	"       vmbeam list --names hostvms|guests|away|migrations\n\n"
	"Every guest VM of all host VMs, or of one: state, memory, vCPUs, disks and network cards, the host VM where it belongs\n"
	"if it is away from there, and whether it can move; if it cannot, the first reason why, or all with --reasons.\n"
	"--names prints a name on a line and nothing else, for scripts and shells: host VMs; guest VMs as HOSTVM/GUEST; guest\n"
	"VMs that are away from home, which adopt takes; or the id of the migration under way.\n";

struct list_options {
	bool json, reasons;
	const char *names, *hostvm;	/* NULL: not given */
};

static int parse(int argc, char **argv, struct list_options *o)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "reasons", no_argument, NULL, 'r' },
		{ "names", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt;

	memset(o, 0, sizeof(*o));
	while ((opt = getopt_long(argc, argv, "jrn:h", options, NULL)) != -1) {
		switch (opt) {
		case 'j': o->json = true; break;
		case 'r': o->reasons = true; break;
		case 'n': o->names = optarg; break;
		case 'h': fputs(help, stdout); return CLI_OK;
		default: return CLI_MISUSE;
		}
	}
	if (argc - optind > 1)
		return cli_misuse("list takes the name of one host VM");
	o->hostvm = argv[optind];
	if (o->names && strcmp(o->names, "hostvms") && strcmp(o->names, "guests") && strcmp(o->names, "away") &&
	    strcmp(o->names, "migrations"))
		return cli_misuse("--names takes hostvms, guests, away or migrations, not \"%s\"", o->names);
	if (o->names && (o->json || o->reasons))
		return cli_misuse("--names goes with no other option");
	return -1;
}

/* Leaves that host VM alone in the list. false: there is none of that name. */
static bool choose(struct json_object *result, const char *name)
{
	struct json_object *all = js_array(result, "hostvms"), *chosen = json_object_new_array();

	for (size_t i = 0; i < js_len(all); i++) {
		struct json_object *h = json_object_array_get_idx(all, i);

		if (!strcmp(js_str(h, "name", ""), name))
			json_object_array_add(chosen, json_object_get(h));
	}
	json_object_object_add(result, "hostvms", chosen);
	return js_len(chosen);
}

static int print(struct json_object *result, const struct list_options *o)
{
	int rc = cli_outcome(result);

	if (!rc && o->hostvm && !choose(result, o->hostvm)) {
		cli_say(stderr, "vmbeam: there is no host VM \"%s\" in the configuration: vmbeam status lists those that are\n",
			o->hostvm);
		return CLI_REFUSED;
	}
	if (o->json)
		cli_print(result);
	else if (rc)
		cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "failed"));
	else if (o->names)
		show_names(stdout, result, o->names);
	else
		show_list(stdout, result, table_terminal(stdout), o->reasons);
	return rc;
}

int cli_list(int argc, char **argv)
{
	struct json_object *request, *result;
	struct list_options o;
	int rc = parse(argc, argv, &o);

	if (rc >= 0)
		return rc;
	request = json_object_new_object();
	js_add_str(request, "cmd", "list");
	/* Whether they can move is not asked then, for that takes time. */
	if (o.names)
		js_add_bool(request, "names", true);
	rc = cli_ask(request, NULL, NULL, &result);
	if (rc)
		return rc;
	rc = print(result, &o);
	json_object_put(result);
	return rc;
}
