/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest VM needs against what its destination offers, item by item. An item is an object with "kind", and "id" where
 * there are several of a kind; docs/protocol.md lists them. Nothing here asks anybody: pure functions.
 */
#ifndef VMBEAM_RULES_H
#define VMBEAM_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

enum verdict {
	VERDICT_OFFERED,
	VERDICT_WARNING,	/* it goes, and something will be lost or different: said */
	VERDICT_REFUSED,
};

extern const char *const verdict_names[];

/* Who is meant, in sentences. */
struct sides {
	const char *guest, *from, *to;
	int64_t clock_limit_ms;		/* how far the clocks of two systems may be apart */
	bool allow_missing_files;	/* an operator says that a guest VM may go where it could not boot again */
};

struct finding {
	enum verdict verdict;
	char item[200];		/* what it is called: "disk xvda" */
	char needs[300], offers[300];
	char why[1000];		/* a sentence, unless it is simply offered */
};

/* Compares one item. @offer may be NULL: nobody offered a thing. */
void rule_compare(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f);
/* How much must be free for a need of the kind "memory". */
uint64_t rule_memory_kib(struct json_object *need);
/* The item in the middle of a sentence: "the disk xvda, /dev/vdb,". @text has room for 400. */
void rule_called(struct json_object *item, char *text);

/*
 * The needs that were agreed on in the check against those that the source has now: none may have come, gone or changed.
 * 0, or -1 and the sentence in @f->why.
 */
int rule_still(struct json_object *agreed, struct json_object *now, const struct sides *s, struct finding *f);
/* The same against what the domain restored on the destination has: it must have all of them. */
int rule_restored(struct json_object *agreed, struct json_object *now, const struct sides *s, struct finding *f);

/* features.c: the names of the CPU features of @need that @offer lacks, with commas. How many. */
int features_missing(struct json_object *need, struct json_object *offer, char *text, size_t size);
/* How many features. */
int features_count(struct json_object *list);

#endif
