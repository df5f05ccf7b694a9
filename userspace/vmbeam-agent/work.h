/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children: for what must not block the agent (a hotplug script, an unbind that waits for packets, the destruction of
 * a large domain), and so that libxl never shares a context, a lock or a child with another operation.
 */
#ifndef VMBEAM_AGENT_WORK_H
#define VMBEAM_AGENT_WORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "request.h"

/* Tests have one of their own. */
#ifndef RUN_DIR
#define RUN_DIR		"/run/vmbeam"
#endif

/*
 * fork() whose child has only stdin, stdout, stderr and @fds, which become 3, 4, ... Nothing else may live on in a
 * child: a copy of the port would keep the next agent out of it, a copy of a pipe's end would hide an EOF, and a copy
 * of an export's fd would keep its frames pinned.
 */
pid_t agent_fork(const int *fds, int nr);
/* The end of what a child wrote into the memfd @fd, as one line; "no message" if there is nothing. */
const char *log_tail(int fd);
/* Waits until @pid has ended, at most @ms. 1: ended, *@status is set; 0: not yet; or -errno. */
int wait_child(pid_t pid, int ms, int *status);
/* "exited with status 1", "was killed by signal 9" */
const char *exit_text(int status);
/*
 * Runs @fn(@arg) in a child, whose stderr becomes the error's text if it returns other than 0; waits up to AGAIN_MS
 * and then says "again". The next call with the same @key waits on for the same child: so @key names the op and what
 * it works on. The result is told once, and only to the request ("again" in it) that began or waited for the work.
 * Of the agent's fds the child has @fd alone, unless that is -1: as WORK_FD.
 */
#define WORK_FD 4
int work_run(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd);
/* Only begins it: a later request for the same @key, with "again" in it, gets the result. */
int work_begin(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd);
/* Is there a child for @key, at work or not asked about yet? */
bool work_pending(const char *key);
/* Ends the child for @key, if there is one. What it is in the middle of in the kernel still comes to its end, and nothing after that. */
void work_stop(const char *key);
/* Memory that a child shares with the agent, zeroed; NULL with the error in @r. */
void *work_share(struct request *r, size_t size);

#endif
