/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How far a migration is, and which way its end goes from there. The one table for that is in state.c; the journal, the
 * end, the recovery, the status and the documentation all go by it.
 */
#ifndef VMBEAM_STATE_H
#define VMBEAM_STATE_H

#include <stdbool.h>
#include <stdio.h>

/* What the journal says. The first six are steps that have begun. */
enum state {
	STATE_CHECK,		/* never in the journal: nothing was touched */
	STATE_PREPARE,
	STATE_SUSPEND,
	STATE_STATE,
	STATE_QUIESCE,
	STATE_SWAP,
	STATE_COMMITTING,	/* the module may have been asked to commit */
	STATE_COMMITTED,
	STATE_ROLLING_BACK,
	STATE_STUCK,		/* the module could not put pairs back */
	STATE_ROLLED_BACK,	/* this and the rest are final */
	STATE_DONE,
	STATE_LOST,
	STATE_FORGOTTEN,
	STATES
};

/* What vmbeam_host.ko says of the migration's transaction. */
enum txn_word {
	TXN_NONE,		/* no transaction was begun: it is not asked */
	TXN_OPEN,		/* another process has it */
	TXN_COMMITTED,
	TXN_ROLLED_BACK,
	TXN_STUCK,		/* it could not put pairs back */
	TXN_UNKNOWN,		/* it was loaded anew since, and does not know it */
	TXN_SILENT,		/* it is not loaded, or cannot be asked */
	TXN_WORDS
};

enum way {
	WAY_BACK,		/* the guest VM belongs to the source */
	WAY_FORWARD,		/* to the destination */
	WAY_WAIT,		/* it is not known yet: ask again */
	WAY_STUCK,		/* nobody knows, or neither side has all of it: touch nothing */
	WAY_OVER,		/* nothing is left to do */
};

const char *state_name(enum state state);
/* -1: there is none of that name. */
int state_of(const char *name);

enum way state_way(enum state state, enum txn_word word);

/* Is nothing left to do, whatever the module says? */
static inline bool state_over(enum state state)
{
	return state >= STATE_ROLLED_BACK;
}

/* The table as docs/architecture.md has it. */
void state_print_ways(FILE *f);

#endif
