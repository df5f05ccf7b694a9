/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a program to its end, with a limit. What it says goes to the log, a line at a time. On the worker's thread. */
#ifndef VMBEAM_CHILD_H
#define VMBEAM_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/*
 * What was killed and is still there after this time hangs in the kernel, in a sleep that no signal ends. Its program does
 * nothing more, but for the system call that it is in, so nobody waits for it. It is not reaped when it ends later.
 */
#ifndef CHILD_KILLED_MS
#define CHILD_KILLED_MS	30000
#endif

/*
 * Starts one, with nothing to read and @out for all that it says; whoever calls waits for it. @argv[0] is looked for in PATH,
 * unless it is a path. 0 or an errno.
 */
int child_spawn(pid_t *pid, char *const argv[], char *const env[], int out);

enum child_end {
	CHILD_ENDED,	/* by itself */
	CHILD_KILLED,	/* its time was over */
	CHILD_LEFT	/* and it has not even ended then */
};

/*
 * Waits for its end. @hear is called now and then, and when there is something in *@output; @late when clock_ms() has
 * passed @until_ms, to kill it. @status is not written if it was left.
 */
enum child_end child_wait(pid_t pid, const int *output, int64_t until_ms, void (*hear)(void *arg), void (*late)(void *arg),
			  void *arg, int *status);

/*
 * @argv[0] is looked for in PATH. It is a group of its own, killed as a whole after @limit_s seconds. 0 when it ended with
 * status 0; or -1 with the reason, and with the last line that it said.
 */
int child_run(char *const argv[], int limit_s, struct error *err);
/* Likewise; what it says goes to *@out, to be freed, and not to the log. */
int child_read(char *const argv[], int limit_s, char **out, struct error *err);

#endif
