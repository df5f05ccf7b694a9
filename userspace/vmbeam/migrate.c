// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "js.h"
#include "target.h"

static const char help[] =
	"usage: vmbeam migrate [--json] HOSTVM/GUEST HOSTVM\n\n"
	"GUEST is the guest VM's name, its UUID, or #DOMID.\n"
	"Moves a running guest VM to the other host VM. Its memory is not copied: the host hypervisor swaps the frames\n"
	"of the two host VMs. vmbeamd does the work; it goes on if this command is interrupted (vmbeam status).\n"
	"With --json, the report on standard output, and each phase as a JSON line on standard error.\n\n"
	"exit codes: 0 moved, 1 misuse, 2 refused before anything was touched, 3 failed and rolled back: the guest VM\n"
	"runs on where it was, 4 unfinished, lost, or an operator is needed, 5 vmbeamd cannot be reached\n";

static void progress(struct json_object *line, void *arg)
{
	const bool *json = arg;
	struct json_object *ms;

	if (*json) {
		fprintf(stderr, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
		return;
	}
	/* On a terminal the phase under way is shown and then written over. */
	if (json_object_object_get_ex(line, "ms", &ms))
		printf("%s  %-8s %10.1f ms\n", isatty(1) ? "\r" : "", js_str(line, "phase", ""), json_object_get_double(ms));
	else if (isatty(1))
		printf("  %-8s ...", js_str(line, "phase", ""));
	fflush(stdout);
}

static double number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_double(v) : 0;
}

static void print_done(struct json_object *r)
{
	struct json_object *frames = js_get(r, "frames", json_type_object);

	cli_say(stdout,
		"%s runs on %s. Of %llu frames %llu were swapped, %llu kept, %llu exchanged; %llu lay in superpages. "
		"Down for %.1f ms of %.1f.\n",
		js_str(r, "guest", ""), js_str(r, "to", ""), (unsigned long long)js_u64(frames, "total", 0),
		(unsigned long long)js_u64(frames, "swapped", 0), (unsigned long long)js_u64(frames, "kept", 0),
		(unsigned long long)js_u64(frames, "exchanged", 0),
		(unsigned long long)js_u64(frames, "superpages", 0), number(r, "downtime_ms"), number(r, "total_ms"));
}

static void print_failure(struct json_object *r, int rc)
{
	struct json_object *problems = js_array(r, "problems");
	const char *waiting = js_str(r, "waiting_for", NULL), *lost = js_str(r, "lost", NULL);

	if (isatty(1))
		putchar('\n');
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
	struct json_object *request, *result, *warnings;
	bool json;
	int rc = target_parse(argc, argv, help, &json, &request);

	if (!request)
		return rc;
	rc = cli_ask(request, progress, &json, &result);
	if (rc)
		return rc;
	rc = cli_outcome(result);
	if (json)
		cli_print(result);
	warnings = js_array(result, "warnings");
	for (size_t i = 0; !json && i < js_len(warnings); i++)
		cli_say(stderr, "vmbeam: warning: %s\n", json_object_get_string(json_object_array_get_idx(warnings, i)));
	if (rc != CLI_OK)
		print_failure(result, rc);
	else if (!json)
		print_done(result);
	json_object_put(result);
	return rc;
}
