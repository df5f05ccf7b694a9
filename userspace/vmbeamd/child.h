/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a program to its end, with a limit. What it says goes to the log, a line at a time. On the worker's thread. */
#ifndef VMBEAM_CHILD_H
#define VMBEAM_CHILD_H

#include "error.h"

/*
 * @argv[0] is looked for in PATH. It is a group of its own, killed as a whole after @limit_s seconds. 0 when it ended with
 * status 0; or -1 with the reason, and with the last line that it said.
 */
int child_run(char *const argv[], int limit_s, struct error *err);

#endif
