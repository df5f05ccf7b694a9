// SPDX-License-Identifier: GPL-2.0
/* vmbeam evacuate, return and maintain. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "js.h"
#include "options.h"
#include "show.h"
#include "table.h"
#include "watch.h"

#define HELP_WHO \
	"  --only PATTERN        these guest VMs alone: a name, a pattern as of the shell, or a UUID; may be given again\n" \
	"  --except PATTERN      not these\n"
#define HELP_HOW \
	"  --retries NUMBER      how often one that failed is tried again, at the end (0 to 10; 1)\n" \
	"  --dry-run             print the plan, with all that stands in the way, and stop\n" \
	"  --json                the result on standard output, and what happens as JSON lines on standard error\n\n" \
	"vmbeamd does the work, and goes on with it if this command dies (vmbeam status). Ctrl-C asks it to call this off and\n" \
	"bring all home; the second one leaves that to it.\n\n" \
	"exit codes: 0 done, 1 misuse, 2 refused before anything was touched, 3 called off, and all guest VMs are where they\n" \
	"were, 4 unfinished: an operator is needed, 5 vmbeamd cannot be reached\n"

static const char evacuate_help[] =
	"usage: vmbeam evacuate HOSTVM --to HOSTVM [OPTIONS]\n\n"
	"Moves all guest VMs of a host VM to another one, one after another, the largest first. All that stands in the way of\n"
	"any of them is told before anything is touched. vmbeam return brings them home.\n\n"
	HELP_WHO
	"  --unmovable WHAT      of a guest VM that cannot move: refuse (so that nothing is done at all), leave (it stays), or\n"
	"                        shutdown (it is started again at the return)\n"
	HELP_HOW;

static const char return_help[] =
	"usage: vmbeam return HOSTVM [OPTIONS]\n\n"
	"Brings all guest VMs home that have left a host VM, and starts those that were shut down for that.\n\n"
	"  --from HOSTVM         those that are there alone; otherwise wherever they are, which must be one host VM\n"
	HELP_WHO
	"  --unmovable WHAT      of a guest VM that cannot move: refuse (so that nothing is done at all), or leave (it stays)\n"
	HELP_HOW;

static const char maintain_help[] =
	"usage: vmbeam maintain HOSTVM --via HOSTVM [OPTIONS]\n"
	"       vmbeam maintain --resume | --abort [--json]\n\n"
	"Moves all guest VMs of a host VM to another one, restarts the host VM, sees that a guest VM runs in it, and brings all\n"
	"home, in reverse order. All that stands in the way is told before anything is touched.\n\n"
	"  --config FILE         restart the host VM with this xl configuration; otherwise with that which vmbeamd has for it\n"
	"  --run COMMAND         a command for the shell, which vmbeamd runs while the host VM is down\n"
	"  --no-probe            do not try whether a guest VM runs in it\n"
	"  --no-return           leave the guest VMs where they are then\n"
	"  --unmovable WHAT      of a guest VM that cannot move: refuse (so that nothing is done at all), or shutdown (it is\n"
	"                        started again at the return)\n"
	"  --resume              go on with a maintenance, an evacuation or a return that waits for an operator\n"
	"  --abort               call it off: all guest VMs come home; exits with 0 when they are\n"
	HELP_HOW;

static void show_problems(struct json_object *result)
{
	struct json_object *problems = js_array(result, "problems");

	for (size_t i = 0; i < js_len(problems); i++)
		cli_say(stderr, "vmbeam: %s\n", json_object_get_string(json_object_array_get_idx(problems, i)));
	if (!js_len(problems))
		cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "refused"));
}

static void show_plan_of(struct json_object *result)
{
	struct json_object *plan = js_get(result, "plan", json_type_object);

	if (plan)
		show_plan(stdout, plan, table_terminal(stdout));
	fflush(stdout);
}

static void say_done(struct json_object *r)
{
	const char *what = js_str(r, "what", ""), *before = js_str(r, "xen_before", ""), *after = js_str(r, "xen_after", "");
	double s = cli_double(r, "total_ms", 0) / 1000;

	if (!strcmp(what, "evacuate"))
		cli_say(stdout, "%s is evacuated to %s, in %.1f s.\n", js_str(r, "from", ""), js_str(r, "to", ""), s);
	else if (!strcmp(what, "return"))
		cli_say(stdout, "The guest VMs of %s are home, after %.1f s.\n", js_str(r, "to", ""), s);
	else
		cli_say(stdout, "%s was restarted: Xen %s before, %s now. It was down for %.1f s; all took %.1f s.\n",
			js_str(r, "system", js_str(r, "from", "")), *before ? before : "not known", *after ? after : "not known",
			cli_double(r, "down_ms", 0) / 1000, s);
}

static void say_not_done(struct json_object *r)
{
	const char *outcome = js_str(r, "outcome", "");

	fflush(stdout);
	if (!strcmp(outcome, "aborted"))
		cli_say(stderr, "vmbeam: called off; each guest VM is where the table says\n");
	else
		cli_say(stderr, "vmbeam: not finished: %s\n", js_str(r, "waiting_for", js_str(r, "error", "see vmbeam status")));
}

static int show_result(struct json_object *result, const struct maintain_options *o)
{
	const char *outcome = js_str(result, "outcome", "");
	int rc = cli_outcome(result);

	/* That is what it was asked for. */
	if (o->abort && !strcmp(outcome, "aborted"))
		rc = CLI_OK;
	if (o->json) {
		cli_print(result);
	} else if (rc == CLI_REFUSED || rc == CLI_MISUSE) {
		show_plan_of(result);
		show_problems(result);
		if (rc == CLI_REFUSED && !o->dry_run)
			fputs("vmbeam: refused, nothing was touched\n", stderr);
	} else if (o->dry_run) {
		show_plan_of(result);
	} else {
		show_report(stdout, result, table_terminal(stdout));
		if (!strcmp(outcome, "done"))
			say_done(result);
		else
			say_not_done(result);
	}
	return rc;
}

static int run(int argc, char **argv, const char *help)
{
	static const struct watch_what what = { .undo = "abort", .id = "maintenance" };
	struct maintain_options o;
	struct json_object *result;
	int rc = maintain_parse(argc, argv, help, &o);

	if (rc >= 0)
		return rc;
	/* A plan alone is nothing that could be called off. */
	rc = o.dry_run ? cli_ask(o.request, NULL, NULL, &result) : watch_ask(o.request, &what, o.json, &result);
	if (rc)
		return rc;
	rc = show_result(result, &o);
	json_object_put(result);
	return rc;
}

int cli_evacuate(int argc, char **argv)
{
	return run(argc, argv, evacuate_help);
}

int cli_return(int argc, char **argv)
{
	return run(argc, argv, return_help);
}

int cli_maintain(int argc, char **argv)
{
	return run(argc, argv, maintain_help);
}
