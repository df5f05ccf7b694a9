/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The history: a file with a JSON object a line for each migration and each maintenance that is over. It is for people
 * and for the metrics; nothing is decided by it, so a record that cannot be written is a warning, and a line that cannot
 * be read is passed over. The journal says what is under way.
 *
 * The first line may be the totals of what has left the file: see tally.h. There is one writer, which holds the journal's
 * lock. When the file is to get shorter, a new one takes its place by rename, so a reader has the one or the other.
 */
#ifndef VMBEAM_HISTORY_H
#define VMBEAM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>

#include "error.h"

struct history {
	const char *path;
	unsigned int days;	/* older records leave the file */
	unsigned int kib;	/* of the file; beyond it, the older half leaves */
};

/*
 * From the configuration's object "history", which may be NULL: "file", "days" and "kib", each with a default. The path
 * is the object's. 0, or -1 with what is wrong with @where.
 */
int history_configure(struct history *h, struct json_object *section, const char *where, struct error *err);

/* The record of a migration that is over by its report, at @now, in seconds since 1970. NULL when out of memory. */
struct json_object *history_migration(struct json_object *report, int64_t now);

/* Appends; the record is on the disk when this returns 0. -errno: it is not in the file. */
int history_append(const struct history *h, struct json_object *record, int64_t now);

/* What to read; all zero: all of it. */
struct history_filter {
	const char *kind;	/* "migration" or "maintenance" */
	const char *guest;	/* a shell pattern for the guest VM's name, or its UUID */
	const char *hostvm;	/* from or to it */
	int64_t since, until;	/* when it ended; 0: any time */
	bool failed;		/* what was not done */
	size_t last;		/* that many at most, the latest */
};

#define HISTORY_LAST_MAX 10000

/* From a request {"kind", "guest", "hostvm", "since", "until", "failed", "last"}, whose strings it uses. 0 or -1. */
int history_filter_parse(struct history_filter *f, struct json_object *request, struct error *err);

/*
 * Calls @record for each that passes, the oldest first; the object is the history's. Totals pass no filter: they are
 * for whoever asks with @f NULL. 0; -errno of the file, but none for a file that is not there; or what @record returned.
 */
int history_read(const char *path, const struct history_filter *f,
		 int (*record)(struct json_object *json, void *arg), void *arg);

/*
 * Calls @each for each line of @f that has its end and is an object, until it returns something else than 0. A last line
 * without an end was torn by a crash, and never happened.
 */
int history_each_line(FILE *f, int (*each)(const char *line, size_t len, struct json_object *json, void *arg),
		      void *arg);

#endif
