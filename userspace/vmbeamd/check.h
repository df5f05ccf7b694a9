/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_CHECK_H
#define VMBEAM_CHECK_H

#include "migration.h"
#include "rules.h"

/* The first step. Connects both agents and opens the device. 0, or -1 with m->problems and m->error. */
int check(struct migration *m);

/* What check() and its parts say: what stands in the way, and what does not but should be known. */
void problem(struct migration *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void warning(struct migration *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For the sentences of rules.c. */
struct sides check_sides(const struct migration *m);

/*
 * disks.c: do the blocks of a disk say that it is the same on both sides? For one whose size and names do. Adds to
 * m->disks what came of it; otherwise, and where nothing is known, the finding says so.
 */
void disk_compare(struct migration *m, struct json_object *need, struct json_object *offer, struct finding *f);

#endif
