/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the records of the history add up to. Counters must never go down, and the history is bounded: what leaves it is
 * added to a record of its own, the totals, which stay.
 */
#ifndef VMBEAM_TALLY_H
#define VMBEAM_TALLY_H

#include <stdint.h>
#include <json-c/json.h>

enum tally_outcome {
	TALLY_DONE,
	TALLY_REFUSED,
	TALLY_ROLLED_BACK,
	TALLY_LOST,
	TALLY_STUCK,
	TALLY_FORGOTTEN,
	TALLY_ABORTED,
	TALLY_OTHER,	/* of a later version */
	TALLY_OUTCOMES
};

enum tally_kind { TALLY_SWAPPED, TALLY_KEPT, TALLY_EXCHANGED, TALLY_KINDS };
enum tally_what { TALLY_EVACUATE, TALLY_RETURN, TALLY_MAINTAIN, TALLY_WHATS };

#define TALLY_BUCKETS 13

/* Upper bounds of the pauses that a bucket counts, in seconds. */
extern const double tally_bounds[TALLY_BUCKETS];
extern const char *const tally_outcomes[TALLY_OUTCOMES];
extern const char *const tally_kinds[TALLY_KINDS];
extern const char *const tally_whats[TALLY_WHATS];

struct tally {
	uint64_t migrations[TALLY_OUTCOMES];
	uint64_t maintenances[TALLY_WHATS][TALLY_OUTCOMES];
	uint64_t frames[TALLY_KINDS];
	uint64_t pauses[TALLY_BUCKETS + 1];	/* the last: longer than all bounds */
	double pauses_s;			/* their sum */
};

/* Adds a record of the history, totals included. One of another kind adds nothing. */
void tally_add(struct tally *t, struct json_object *record);
/* The totals record. NULL when out of memory. */
struct json_object *tally_to_json(const struct tally *t);

#endif
