/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_CHECK_H
#define VMBEAM_CHECK_H

#include "migration.h"

/* The first step. Connects both agents and opens the device. 0, or -1 with m->problems and m->error. */
int check(struct migration *m);

/* What check() and its parts say: what stands in the way, and what does not but should be known. */
void problem(struct migration *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void warning(struct migration *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * disks.c: is each disk of the guest VM, of the agent's @devices, the same on both sides? @offers has the destination's
 * in the order of disks_wanted().
 */
struct json_object *disks_wanted(struct json_object *devices);
void disks_compare(struct migration *m, struct json_object *devices, struct json_object *offers);

#endif
