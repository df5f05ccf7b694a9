/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drives an evacuation, a return or a maintenance: looks, asks maintain_next(), writes the journal, carries the action out
 * on the worker, and looks again. In the main thread, which waits for nobody. What it does next is in maintain.c alone.
 */
#ifndef VMBEAM_DRIVE_H
#define VMBEAM_DRIVE_H

#include <systemd/sd-event.h>

#include "config.h"
#include "journal.h"
#include "maintain.h"

/*
 * @migrations: the journal that they write. That of a maintenance is beside it. Goes on with what an earlier daemon has
 * not come to the end of. What is wrong with that journal is no error, but drive_problem(): a migration that is not over has to
 * be brought to its end all the same. @told gets the report when one is over, and when an operator is asked; consumed.
 */
int drive_open(sd_event *event, const struct config *config, struct journal *migrations,
	       void (*told)(struct json_object *report), struct error *err);

/*
 * Why none can begin, with what an operator is to do; NULL: one can. Looks again whether that has been done: then what is in
 * the journal goes on. Lives until the next call.
 */
const char *drive_problem(void);
/* Is one under way? */
bool drive_busy(void);
/* Likewise, and does it wait for an operator? Then nothing of it is done. */
bool drive_waits(void);
/* As a sentence has it: "a maintenance of hv1"; only while one is under way. */
const char *drive_what(void);
/* The report of the one under way; NULL: there is none. */
struct json_object *drive_report(void);

/* Begins, if the hooks before the first step let it: takes over the plan. 0 or -1. */
int drive_begin(struct plan *plan, struct error *err);
/* drive_operator.c: what an operator says of the one under way. 0 or -1. */
int drive_resume(struct error *err);
/* @id: of the one that is meant; "": the one under way. */
int drive_abort(const char *id, struct error *err);
int drive_adopt(const char *uuid, struct error *err);

/* What drive_operator.c does that with. The one under way; NULL: there is none. */
struct maintenance *drive_under_way(void);
/* It was changed, and goes on. -1: not before its journal can be written. */
int drive_go_on(struct error *err);
/* A move away from its home is called off, if one is under way and still can be. */
void drive_call_off(void);

/* The worker has nothing to do. */
void drive_go(void);
/* A migration is over that drive_go() may have begun. */
void drive_migrated(struct json_object *report);
/* Nothing more is begun: the next daemon goes on. */
void drive_stop(void);

#endif
