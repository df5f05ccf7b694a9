// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "state.h"

static const char *const state_names[STATES] = {
	[STATE_CHECK] = "check",
	[STATE_PREPARE] = "prepare",
	[STATE_SUSPEND] = "suspend",
	[STATE_STATE] = "state",
	[STATE_QUIESCE] = "quiesce",
	[STATE_SWAP] = "swap",
	[STATE_COMMITTING] = "committing",
	[STATE_COMMITTED] = "committed",
	[STATE_ROLLING_BACK] = "rolling-back",
	[STATE_STUCK] = "stuck",
	[STATE_ROLLED_BACK] = "rolled-back",
	[STATE_DONE] = "done",
	[STATE_LOST] = "lost",
	[STATE_FORGOTTEN] = "forgotten",
};

static const char *const word_names[TXN_WORDS] = {
	[TXN_NONE] = "no transaction",
	[TXN_OPEN] = "open",
	[TXN_COMMITTED] = "committed",
	[TXN_ROLLED_BACK] = "rolled back",
	[TXN_STUCK] = "stuck",
	[TXN_UNKNOWN] = "unknown",
	[TXN_SILENT] = "not loaded",
};

static const char *const way_names[] = {
	[WAY_BACK] = "back",
	[WAY_FORWARD] = "forward",
	[WAY_WAIT] = "wait",
	[WAY_STUCK] = "stuck",
	[WAY_OVER] = "over",
};

/*
 * The module's word counts, but for three states. After "committed" it was heard already. One that does not know the
 * transaction was loaded anew, and had rolled back before whatever was not committed: unless the commit was just being
 * made, or pairs were stuck.
 */
#define UNDECIDED(if_unknown) {			\
	[TXN_NONE] = WAY_BACK,			\
	[TXN_OPEN] = WAY_WAIT,			\
	[TXN_COMMITTED] = WAY_FORWARD,		\
	[TXN_ROLLED_BACK] = WAY_BACK,		\
	[TXN_STUCK] = WAY_STUCK,		\
	[TXN_UNKNOWN] = (if_unknown),		\
	[TXN_SILENT] = WAY_WAIT,		\
}
#define ALWAYS(way) { way, way, way, way, way, way, way }

static const enum way ways[STATES][TXN_WORDS] = {
	[STATE_CHECK] = UNDECIDED(WAY_BACK),
	[STATE_PREPARE] = UNDECIDED(WAY_BACK),
	[STATE_SUSPEND] = UNDECIDED(WAY_BACK),
	[STATE_STATE] = UNDECIDED(WAY_BACK),
	[STATE_QUIESCE] = UNDECIDED(WAY_BACK),
	[STATE_SWAP] = UNDECIDED(WAY_BACK),
	[STATE_COMMITTING] = UNDECIDED(WAY_STUCK),
	[STATE_COMMITTED] = ALWAYS(WAY_FORWARD),
	[STATE_ROLLING_BACK] = UNDECIDED(WAY_BACK),
	[STATE_STUCK] = UNDECIDED(WAY_STUCK),
	[STATE_ROLLED_BACK] = ALWAYS(WAY_OVER),
	[STATE_DONE] = ALWAYS(WAY_OVER),
	[STATE_LOST] = ALWAYS(WAY_OVER),
	[STATE_FORGOTTEN] = ALWAYS(WAY_OVER),
};

const char *state_name(enum state state)
{
	return state_names[state];
}

int state_of(const char *name)
{
	for (int i = 0; i < STATES; i++)
		if (!strcmp(name, state_names[i]))
			return i;
	return -1;
}

enum way state_way(enum state state, enum txn_word word)
{
	return ways[state][word];
}

void state_print_ways(FILE *f)
{
	fputs("| journal |", f);
	for (int word = 0; word < TXN_WORDS; word++)
		fprintf(f, " %s |", word_names[word]);
	fputs("\n|---|", f);
	for (int word = 0; word < TXN_WORDS; word++)
		fputs("---|", f);
	for (int state = 0; state < STATES; state++) {
		fprintf(f, "\n| %s |", state_names[state]);
		for (int word = 0; word < TXN_WORDS; word++)
			fprintf(f, " %s |", way_names[ways[state][word]]);
	}
	fputs("\n", f);
}
