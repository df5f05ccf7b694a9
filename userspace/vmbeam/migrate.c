// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "js.h"
#include "migrate.h"
#include "target.h"
#include "watch.h"

static const char help[] =
	"usage: vmbeam migrate [--json] HOSTVM/GUEST HOSTVM\n\n"
	"GUEST is the guest VM's name, its UUID, or #DOMID.\n"
	"Moves a running guest VM to the other host VM. Its memory is not copied: the host hypervisor swaps the frames\n"
	"of the two host VMs. vmbeamd does the work, and goes on with it if this command dies (vmbeam status). Ctrl-C asks it to\n"
	"call the migration off; the second one leaves that to it.\n"
	"The host VM that the guest VM leaves remains its home, but does not start it by itself any more: vmbeam return brings\n"
	"the guest VM back there. If the guest VM is to stay where it went, type vmbeam adopt GUEST afterwards.\n"
	"With --json, the report on standard output, and each phase as a JSON line on standard error.\n\n"
	"exit codes: 0 moved, 1 misuse, 2 refused before anything was touched, 3 failed and rolled back: the guest VM\n"
	"runs on where it was, 4 unfinished, lost, or an operator is needed, 5 vmbeamd cannot be reached\n";

static void print_done(struct json_object *r)
{
	struct json_object *frames = js_get(r, "frames", json_type_object);

	cli_say(stdout,
		"%s runs on %s. Of %llu frames %llu were swapped, %llu kept, %llu exchanged; %llu lay in superpages. "
		"It was down for %.1f ms; the migration took %.1f ms.\n",
		js_str(r, "guest", ""), js_str(r, "to", ""), (unsigned long long)js_u64(frames, "total", 0),
		(unsigned long long)js_u64(frames, "swapped", 0), (unsigned long long)js_u64(frames, "kept", 0),
		(unsigned long long)js_u64(frames, "exchanged", 0),
		(unsigned long long)js_u64(frames, "superpages", 0), cli_double(r, "downtime_ms", 0), cli_double(r, "total_ms", 0));
}

void migrate_print_failure(struct json_object *r, int rc)
{
	struct json_object *problems = js_array(r, "problems");
	const char *waiting = js_str(r, "waiting_for", NULL), *lost = js_str(r, "lost", NULL);

	fflush(stdout);
	if (js_len(problems))
		for (size_t i = 0; i < js_len(problems); i++)
			cli_say(stderr, "vmbeam: %s\n", json_object_get_string(json_object_array_get_idx(problems, i)));
	else if (js_str(r, "error", NULL) || !lost)
		cli_say(stderr, "vmbeam: %s\n", js_str(r, "error", "failed"));
	if (rc == CLI_REFUSED)
		fprintf(stderr, "vmbeam: refused, nothing was touched\n");
	else if (rc == CLI_ROLLED_BACK)
		cli_say(stderr, "vmbeam: rolled back, %s is on %s as before\n", js_str(r, "guest", ""), js_str(r, "from", ""));
	else if (lost)
		cli_say(stderr, "vmbeam: lost: %s\n", lost);
	if (waiting)
		cli_say(stderr, "vmbeam: not finished: %s\n", waiting);
}

int cli_migrate(int argc, char **argv)
{
	struct watch_what what = { .undo = "cancel", .id = "migration" };
	struct json_object *request, *result, *warnings;
	bool json;
	int rc = target_parse(argc, argv, help, &json, &request);

	if (!request)
		return rc;
	what.guest = js_str(request, "guest", "");
	rc = watch_ask(json_object_get(request), &what, json, &result);
	json_object_put(request);
	if (rc)
		return rc;
	rc = cli_outcome(result);
	if (json)
		cli_print(result);
	warnings = js_array(result, "warnings");
	for (size_t i = 0; !json && i < js_len(warnings); i++)
		cli_say(stderr, "vmbeam: warning: %s\n", json_object_get_string(json_object_array_get_idx(warnings, i)));
	if (rc != CLI_OK)
		migrate_print_failure(result, rc);
	else if (!json)
		print_done(result);
	json_object_put(result);
	return rc;
}
