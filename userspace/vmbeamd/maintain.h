/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An evacuation, a return or a maintenance under way: what to do next. Pure: whoever drives it looks where the guest VMs
 * are and how the host VM is, asks maintain_next(), calls maintain_do() and writes the journal, carries the action out,
 * calls maintain_end() and writes the journal again, and looks anew.
 *
 * Nothing is believed because it was begun: each action is asked for again until what is seen says that it is done. So
 * the driver can be killed at any moment, and what the journal has is enough to go on. The table of what follows from
 * what is in maintain.c, and in docs/architecture.md.
 *
 * The *home* of the guest VMs is the host VM that is emptied, the *refuge* the one where they are meanwhile.
 */
#ifndef VMBEAM_MAINTAIN_H
#define VMBEAM_MAINTAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>

#include "error.h"
#include "plan.h"

/* The most that a reason takes of a sentence that goes on with what to type: that must not be what is cut off. */
#define MAINTAIN_REASON 500

enum maintain_step {
	MAINTAIN_EVACUATE,	/* the guest VMs leave their home */
	MAINTAIN_STOP,		/* the host VM is shut down */
	MAINTAIN_RUN,		/* the operator's command */
	MAINTAIN_START,		/* the host VM is created */
	MAINTAIN_AGENT,		/* its agent is waited for */
	MAINTAIN_PROBE,		/* a guest VM is created there and destroyed */
	MAINTAIN_RETURN,	/* the guest VMs come home */
	MAINTAIN_DONE,		/* this and the last are final */
	MAINTAIN_ABORTED,
	MAINTAIN_STEPS
};

enum maintain_act {
	ACT_LOOK,		/* wait, and look again; if that lasts beyond a limit, maintain_ask() with action.why */
	ACT_STEP,		/* nothing but the journal: action.step begins */
	ACT_MOVE_AWAY,		/* the guest VM, from its home to the refuge */
	ACT_SHUT_DOWN,		/* the guest VM */
	ACT_STOP_SYSTEM,	/* the host VM: ends with SYSTEM_GONE, whatever it was before */
	ACT_RUN,		/* the operator's command; may happen twice, if the daemon dies before its end is known */
	ACT_START_SYSTEM,	/* the host VM; what is preserved of the one before is destroyed first */
	ACT_PROBE,
	ACT_MOVE_HOME,
	ACT_START_GUEST,	/* one that was shut down */
	ACT_ASK,		/* an operator: action.why says what for, and what to type */
	ACT_OVER,
	ACTS
};

enum maintain_where {
	WHERE_UNKNOWN,		/* an agent that may have it does not answer */
	WHERE_HOME,
	WHERE_REFUGE,
	WHERE_BOTH,
	WHERE_NONE,
};

/* Of the home's name. */
enum maintain_system {
	SYSTEM_UNKNOWN,
	SYSTEM_UP,
	SYSTEM_GONE,		/* there is no domain, or one that has shut down or crashed and is preserved */
};

/* What is seen now, while no action is under way, a migration with all its tidying up included. */
struct maintain_seen {
	const enum maintain_where *guests;	/* as many as the plan has, in its order */
	enum maintain_system system;
	bool agent;				/* the home's agent answers */
	const char *boot;			/* a name of the boot of its management VM, from its agent; "": not known */
	const char *xen;			/* the nested Xen's version; "": not known */
	unsigned int others;			/* guest VMs at home that the plan does not have; if its agent answers */
};

struct maintain_guest {
	unsigned int tries;			/* in this step */
	bool adopted;				/* an operator says that it may stay where it is */
	char *error;				/* why the last try failed; NULL: it did not */
};

struct maintenance {
	char id[33];
	struct plan plan;
	struct maintain_guest *guests;		/* as many as the plan has, in its order */
	enum maintain_step step;
	bool aborting;				/* all are to come home, and that is all */
	bool stopping;				/* the host VM may have been told to shut down */
	bool ran, probed;
	unsigned int starts;			/* of the host VM */
	unsigned int others_told;		/* of the guest VMs at home that the plan does not have: an operator knows of them */
	bool renewed;				/* it was last started from the plan's configuration */
	char boot_before[64], xen_before[32], xen_after[32];
	int64_t began_ms[MAINTAIN_STEPS];	/* wall-clock time; 0: not yet */
	struct error asked;			/* what an operator is asked for; "": nothing */
	struct error reason;			/* why it is being aborted: what an operator was asked for then; "": for nothing */
};

struct maintain_action {
	enum maintain_act act;
	size_t guest;				/* index, where the action is about one */
	enum maintain_step step;		/* of ACT_STEP */
	struct error why;			/* of ACT_LOOK and ACT_ASK */
};

extern const char *const maintain_steps[MAINTAIN_STEPS];
extern const char *const maintain_acts[ACTS];

/* Takes over the plan. 0, or -1 when out of memory. */
int maintain_init(struct maintenance *m, const char *id, struct plan *plan, int64_t now_ms);
void maintain_clear(struct maintenance *m);

static inline const char *maintain_home(const struct maintenance *m)
{
	return m->plan.what == PLAN_RETURN ? m->plan.to : m->plan.from;
}

static inline const char *maintain_refuge(const struct maintenance *m)
{
	return m->plan.what == PLAN_RETURN ? m->plan.from : m->plan.to;
}

static inline bool maintain_over(const struct maintenance *m)
{
	return m->step >= MAINTAIN_DONE;
}

/* Where its guest VMs are while their home is down, as a part of a sentence. */
void maintain_say_where(const struct maintenance *m, char *text, size_t size);

/* Where a guest VM is by what either agent says: 1 there, 0 not there, -1 it does not answer. */
enum maintain_where maintain_where(int at_home, int at_refuge);

struct maintain_action maintain_next(const struct maintenance *m, const struct maintain_seen *seen);
/* What the journal must say before @a is carried out. Is it to be written? */
bool maintain_do(struct maintenance *m, const struct maintain_action *a, const struct maintain_seen *seen, int64_t now_ms);
/* @a is over; @error says why it failed, or is NULL. The journal is to be written. */
void maintain_end(struct maintenance *m, const struct maintain_action *a, const char *error);
/* An operator is waited for from now on, because of @why. The journal is to be written. */
void maintain_ask(struct maintenance *m, const char *why);

/* What an operator says. The journal is to be written. */
void maintain_resume(struct maintenance *m);
/* 0, or -1: it is over. */
int maintain_abort(struct maintenance *m);
/* The guest VM with that UUID, or with that name, may stay where it is. 0, or -1: the plan has none. */
int maintain_adopt(struct maintenance *m, const char *guest);

/* For the journal. NULL when out of memory. */
struct json_object *maintain_to_json(const struct maintenance *m);
/* Fills a fresh one. 0, or -1 with what is wrong. */
int maintain_from_json(struct maintenance *m, struct json_object *json, struct error *err);
/* For the history, and the result that the command gets; @seen NULL: where the guest VMs are is not told. */
struct json_object *maintain_report(const struct maintenance *m, const struct maintain_seen *seen, int64_t now_ms);

/* The table as docs/architecture.md has it. */
void maintain_print_table(FILE *f);

#endif
