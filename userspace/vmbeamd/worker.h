/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that runs the migration, one at a time, from its check to its end. What it does blocks: ioctls that swap or
 * put back a guest VM's frames, fsync(), libxl. The main thread never waits for it: it hands over a migration, hears of it
 * by lines of JSON, and reads copies of its report. No object is shared.
 */
#ifndef VMBEAM_WORKER_H
#define VMBEAM_WORKER_H

#include "migration.h"

/* The main thread's side. */

/* 0 or -errno. *@fd is readable when there is something to hear. */
int worker_start(int *fd);
/* Is there a migration that it has not come to the end of, or an errand? */
bool worker_busy(void);
/* When it is not busy. It owns @m, of the heap, from then on: a fresh one, or one that recover() found unfinished. */
void worker_begin(struct migration *m);

/*
 * Something else that takes long, likewise: @run(@arg) on its thread; then SAID_ERRAND, and before worker_hear() returns
 * with that, @done(@arg) on this one.
 */
void worker_errand(void (*run)(void *arg), void (*done)(void *arg), void *arg);

enum said {
	SAID_NOTHING,
	SAID_PROGRESS,	/* an event; of a check, a line for whoever asked for it */
	SAID_RESULT,	/* for whoever asked for the migration: its report, the last of these; its end may go on */
	SAID_FORGOTTEN,	/* the answer to worker_forget(): NULL, or why it cannot be */
	SAID_ERRAND,	/* the errand is done: it is not busy any more */
	SAID_ENDED,	/* its report once more, or NULL after a check: it is not busy any more */
};

/* The next thing that it says. @text is to be freed. */
enum said worker_hear(char **text);
/* The report of the migration under way, to be freed; NULL when there is none. */
char *worker_report(void);

/* How the migration under way is. */
struct worker_state {
	char id[33], guest[TEXT_SHORT];	/* "": there is none */
	bool waiting;			/* nothing of it is left but its end, which waits, perhaps for ever */
	bool stuck;			/* likewise, and there is nothing that the daemon could do */
	bool closing;			/* it cannot be called off any more: committed, or going back already */
};

void worker_state(struct worker_state *state);
/* Gives up the migration that waits. Answered with SAID_FORGOTTEN. */
void worker_forget(void);
/* What is under way is called off, if it still can be; an end that waits is tried for as long as the process is there. */
void worker_stop(void);

/* The worker's own side. */

/* An event that is no migration's, consumed. */
void worker_event(struct json_object *event);
/* An event, consumed: see SAID_PROGRESS. And what worker_report() gives from now on. */
void worker_progress(const struct migration *m, struct json_object *line);
/* What a status shows is what this was called with last. */
void worker_publish(const struct migration *m);

#endif
