/* SPDX-License-Identifier: GPL-2.0 */
/* What a daemon that died left behind. */
#ifndef VMBEAM_RECOVER_H
#define VMBEAM_RECOVER_H

#include "migration.h"

/* For journal_open(): remembers the last record in *(struct json_object **)@arg. */
int recover_remember(struct json_object *record, void *arg);
/* Is it the last record of a migration: nothing is left to finish? */
bool recover_over(struct json_object *record);
/* The same for the history, if it is over; or NULL. */
struct json_object *recover_history(struct json_object *record);
/*
 * 1: @m, which must be fresh from migration_init(), is an unfinished migration: finish() is to be called until it
 * is final. 0: there is none; m->fate is not FATE_OPEN if the last one is to be told of: it lost its guest VM, or was
 * cut off by a restart of the host. -1: the record makes no sense, see err.
 */
int recover(struct migration *m, struct json_object *last, const struct config *config, struct error *err);

#endif
