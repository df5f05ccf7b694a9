/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a program to its end, with a limit. What it says goes to the log, a line at a time. On the worker's thread. */
#ifndef VMBEAM_CHILD_H
#define VMBEAM_CHILD_H

#include <sys/types.h>

#include "error.h"

/*
 * Starts one, with nothing to read and @out for all that it says; whoever calls waits for it. @argv[0] is looked for in PATH,
 * unless it is a path. 0 or an errno.
 */
int child_spawn(pid_t *pid, char *const argv[], char *const env[], int out);

/*
 * @argv[0] is looked for in PATH. It is a group of its own, killed as a whole after @limit_s seconds. 0 when it ended with
 * status 0; or -1 with the reason, and with the last line that it said.
 */
int child_run(char *const argv[], int limit_s, struct error *err);
/* Likewise; what it says goes to *@out, to be freed, and not to the log. */
int child_read(char *const argv[], int limit_s, char **out, struct error *err);

#endif
