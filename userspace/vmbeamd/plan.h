/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plan of an evacuation, a return or a maintenance: which guest VMs, in which order, and what becomes of those that
 * cannot move. It is made once, from what the agents tell, before anything is touched. Pure: it asks nobody.
 */
#ifndef VMBEAM_PLAN_H
#define VMBEAM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#include "error.h"

enum plan_what { PLAN_EVACUATE, PLAN_RETURN, PLAN_MAINTAIN, PLAN_WHATS };
enum plan_unmovable { UNMOVABLE_REFUSE, UNMOVABLE_LEAVE, UNMOVABLE_SHUTDOWN, UNMOVABLES };

enum plan_way {
	PLAN_MOVE,
	PLAN_SHUTDOWN,		/* shut down, and started again at the return */
	PLAN_LEAVE,		/* cannot move and stays: the operator wants it so */
	PLAN_EXCLUDED,		/* --only or --except; stays */
	PLAN_WAYS
};

extern const char *const plan_whats[PLAN_WHATS];
extern const char *const plan_unmovables[UNMOVABLES];
extern const char *const plan_ways[PLAN_WAYS];

/* What the operator asks for. */
struct plan_options {
	enum plan_what what;
	enum plan_unmovable unmovable;
	struct json_object *only, *except;	/* arrays of shell patterns; NULL or empty: all, none */
	unsigned int retries;			/* of each guest VM, after its first try */
	bool no_return, no_probe;		/* of a maintenance */
	const char *config, *run;		/* likewise: of the host VM's new configuration; a command in between */
};

/* What is known of a guest VM that is on the host VM. */
struct plan_candidate {
	const char *name;			/* in the form of text_name() */
	const char *uuid;
	uint64_t need_kib;			/* what the destination must have free for it */
	double pause_ms;			/* as it was the last time; < 0: not known */
	struct json_object *blockers;		/* an array of sentences; NULL or empty: it can move */
	bool down;				/* for a return: the evacuation has shut it down, and it is to be started */
};

struct plan_guest {
	char *name;
	char uuid[40];
	enum plan_way way;
	uint64_t need_kib;
	double pause_ms;
	struct json_object *blockers;		/* why it cannot move, an array of sentences; NULL: it can, or it is excluded */
};

struct plan {
	enum plan_what what;
	char *from, *to;			/* host VMs: of a return, the one that has them and the one that they go to */
	struct plan_guest *guests;		/* in the order in which they go; a maintenance brings them back in reverse */
	size_t nr;
	unsigned int retries;
	bool no_return, no_probe;
	char *config, *run;			/* NULL: none */
	/* Of those that move. */
	size_t moving;
	uint64_t need_kib;
	double pause_ms;			/* the sum of those that are known */
	size_t unknown_pauses;
};

#define PLAN_MAX_GUESTS 1024
#define PLAN_MAX_RETRIES 10

/*
 * Makes a plan in @p, which is to be cleared, for moving from @from to @to, where @free_kib are free. @problems is an
 * array that gets all that stands in the way, of all guest VMs. 0; or -1: the plan must not be carried out, and is there
 * to be shown.
 */
int plan_make(struct plan *p, const struct plan_options *o, const char *from, const char *to,
	      const struct plan_candidate *candidates, size_t nr, uint64_t free_kib, struct json_object *problems);
void plan_clear(struct plan *p);

/* For the journal, and for --dry-run. NULL when out of memory. */
struct json_object *plan_to_json(const struct plan *p);
/* Fills a fresh one. 0, or -1 with what is wrong. */
int plan_from_json(struct plan *p, struct json_object *json, struct error *err);

/* Which of @names is it? -1: none. */
int plan_word(const char *const *names, int nr, const char *word);

/*
 * The last pause of the guest VM @uuid that is in the history, for plan_candidate: history_read() calls it. @arg is a
 * struct plan_pause.
 */
struct plan_pause {
	const char *uuid;
	double ms;				/* set to -1 before */
};
int plan_pause_of(struct json_object *record, void *arg);

#endif
