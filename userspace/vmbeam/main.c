// SPDX-License-Identifier: GPL-2.0
/* vmbeam: the command. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "check", cli_check, "can a guest VM be moved? touches nothing" },
	{ "migrate", cli_migrate, "move a running guest VM to another host VM" },
	{ "bench", cli_bench, "how long the migrations of a guest VM take here" },
	{ "evacuate", cli_evacuate, "move all guest VMs of a host VM to another one" },
	{ "return", cli_return, "bring home what has left a host VM" },
	{ "maintain", cli_maintain, "evacuate a host VM, restart it, and bring all home" },
	{ "list", cli_list, "all host VMs and their guest VMs, and which of these can be moved" },
	{ "status", cli_status, "the host VMs, what is under way, and what waits for you" },
	{ "history", cli_history, "what was migrated and maintained, and how it went" },
	{ "events", cli_events, "what happens, as it happens" },
	{ "adopt", cli_adopt, "let a guest VM that has left its home stay where it is" },
	{ "cancel", cli_cancel, "call off the migration under way, until it is committed" },
	{ "forget", cli_forget, "give up a migration that cannot be finished" },
	{ "swap", cli_swap, "swap frames of two domains (for tests; in the host management VM)" },
	{ "transaction", cli_transaction, "swaps that could not be undone (in the host management VM)" },
	{ "export", cli_export, "pinned frames of guest VMs (in a guest management VM)" },
};

int cli_misuse(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_say(stderr, "vmbeam: %s\n", text);
	fputs("Try --help.\n", stderr);
	return CLI_MISUSE;
}

int cli_options(int argc, char **argv, const char *help, bool *json)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt;

	*json = false;
	while ((opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return CLI_OK;
		}
		if (opt != 'j')
			return CLI_MISUSE;
		*json = true;
	}
	return -1;
}

bool cli_number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*value = strtoull(text, &end, 0);
	return !*end && *value <= max;
}

void cli_print(struct json_object *json)
{
	puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
}

static void usage(FILE *f)
{
	fputs("usage: vmbeam COMMAND [ARGUMENTS]\n\n", f);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(f, "  %-11s %s\n", commands[i].name, commands[i].what);
	fputs("\nEach command takes --help and --json.\n\n"
	      "exit codes: 0 done, 1 misuse, 2 refused before anything was touched, 3 rolled back or called off,\n"
	      "4 unfinished or an operator is needed, 5 vmbeamd cannot be reached\n", f);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return CLI_MISUSE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("vmbeam " VMBEAM_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return cli_misuse("there is no command \"%s\"", argv[1]);
}
