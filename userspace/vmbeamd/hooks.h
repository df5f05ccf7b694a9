/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks: executables in a directory that an operator puts there, run one after the other in the order of their names.
 * What happens is in their environment. For an event loop: a hook is started, and whoever started it is told by its loop
 * that it said something, that it ended, or that its time is over.
 *
 * Before something happens, a hook that fails keeps it from happening, and the rest are not run. Afterwards it is a
 * warning, and the rest are run.
 */
#ifndef VMBEAM_HOOKS_H
#define VMBEAM_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

enum hook_event {
	HOOK_GUEST_BEFORE,	/* a guest VM is going to be moved, shut down or started */
	HOOK_GUEST_AFTER,
	HOOK_STEP_BEFORE,	/* a step of a maintenance begins: see maintain.h */
	HOOK_STEP_AFTER,
	HOOK_EVENTS
};

/* What happens; NULL: not said. Each is a variable: VMBEAM_GUEST and so on. VMBEAM_EVENT is "guest-before", ... */
struct hook_facts {
	enum hook_event event;
	const char *guest, *uuid, *from, *to;
	const char *maintenance, *what, *step;
	const char *outcome, *error;		/* afterwards */
	bool restarted;				/* likewise: by another daemon than ran those before; VMBEAM_RESTARTED=yes */
};

struct hooks {
	char *dir;
	char **names;		/* of those that are left, sorted, behind those that are done */
	size_t nr, at;
	char **env;
	bool before;
	pid_t pid;		/* of the one that runs, and its group; 0: none */
	int output;		/* what it says; -1: it has closed it, or none runs */
	bool late;		/* it was killed because its time was over */
	char line[1024];	/* the begin of one, without its end */
	size_t have;
	struct error failed;	/* how the one that ended last has failed; "": it has not */
	struct error error;	/* why it must not happen */
};

/*
 * Which hooks there are; all of @h is set. A directory that is not there has none. 0; or -1 with h->error: one is not
 * safe to run, since others than root can write to it or to the directory. hooks_clear() in either case.
 */
int hooks_init(struct hooks *h, const char *dir, const struct hook_facts *facts);
/*
 * Starts the next one. 1: it runs; watch h->pid and h->output, and its limit. 0: all are done. -1: h->error says why
 * what was to happen must not.
 */
int hooks_next(struct hooks *h);
/* h->output can be read: its lines go to the log. Does not wait. */
void hooks_read(struct hooks *h);
/* The limit of @seconds is over: it and what it has started are killed; its end comes as any other. */
void hooks_late(struct hooks *h, int seconds);
/* It ended with @status, as waitpid() has it; now hooks_next(). */
void hooks_ended(struct hooks *h, int status);
/* Which one runs, or is to be started next. */
const char *hooks_name(const struct hooks *h);
/* Kills what runs, which the loop then waits for by itself. */
void hooks_clear(struct hooks *h);

extern const char *const hook_events[HOOK_EVENTS];

#endif
