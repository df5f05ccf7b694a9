/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_CLI_H
#define VMBEAM_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>

enum cli_exit {
	CLI_OK = 0,
	CLI_MISUSE = 1,
	CLI_REFUSED = 2,	/* before anything was touched */
	CLI_ROLLED_BACK = 3,	/* failed or called off, and everything is as before */
	CLI_STUCK = 4,		/* unfinished, or an operator is needed */
	CLI_NO_DAEMON = 5,
};

#define CLI_CONFIG "/etc/vmbeam/vmbeamd.conf"
#define CLI_SOCKET "/run/vmbeam/vmbeamd.sock"

/* Each gets its own argv, from its name on, and returns an exit code. */
int cli_check(int argc, char **argv);
int cli_migrate(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_evacuate(int argc, char **argv);
int cli_return(int argc, char **argv);
int cli_maintain(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_events(int argc, char **argv);
int cli_adopt(int argc, char **argv);
int cli_cancel(int argc, char **argv);
int cli_forget(int argc, char **argv);
int cli_swap(int argc, char **argv);
int cli_transaction(int argc, char **argv);
int cli_export(int argc, char **argv);

/* "committed", "stuck", ... for a VMBEAM_TXN_* state. */
const char *cli_txn_state(uint32_t state);

/* --json and --help, all that some commands take. -1: the rest is at optind; or an exit code, and it is over. */
int cli_options(int argc, char **argv, const char *help, bool *json);
/* Says it on stderr and returns CLI_MISUSE. */
int cli_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* printf() for text that the daemon, agents and guest VMs have a part in: only a line end at the end is taken as one. */
void cli_say(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What a step of a maintenance is, for people: "stop (the host VM is shut down)"; of one that is not known here, its name. */
const char *cli_step(const char *step);
/* Likewise where a guest VM is: a host VM's name stays as it is. */
const char *cli_where(const char *where);
/* A number, decimal or 0x..., of the whole string. */
bool cli_number(const char *text, uint64_t max, uint64_t *value);
void cli_print(struct json_object *json);
static inline double cli_double(struct json_object *o, const char *key, double otherwise)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_double(v) : otherwise;
}

/*
 * Sends @request to the daemon (consumed) and calls @progress, which may be NULL, for each line before the result.
 * 0 with *@result, or an exit code, the reason told on stderr.
 */
int cli_ask(struct json_object *request, void (*progress)(struct json_object *line, void *arg), void *arg,
	    struct json_object **result);
/* The exit code that goes with the daemon's result. */
int cli_outcome(struct json_object *result);
/* Asks, and prints the result, the reason why not, or @done. Consumes @request; returns an exit code. */
int cli_do(struct json_object *request, bool json, const char *done);

#endif
