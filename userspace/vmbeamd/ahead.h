/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both agents say of the guest VM that goes next, asked for while this one is tidied up: its check then finds the answers
 * there. An agent serves one request at a time, and a host VM has one line to it. So no more than this can be overlapped:
 * the source looks at the next guest VM while the destination lets this one run, and the destination looks while the source
 * destroys what is left of this one. Touches nothing. On the worker's thread, all of it.
 */
#ifndef VMBEAM_AHEAD_H
#define VMBEAM_AHEAD_H

#include "migration.h"

/* m->next is to be looked at by the source, which has nothing to do. Waits for nothing. */
void ahead_begin(struct migration *m);
/* Waits for that. */
void ahead_hear(struct migration *m);
/* Has the destination look at it, too, if the source has told of it. */
void ahead_ask_destination(struct migration *m);

/*
 * The replies to guest-check and to dest-check that were asked for ahead of @m, to be put; NULL: ask for it. Old ones are not
 * given, and none outlives the first migration or check that begins afterwards.
 */
void ahead_take(const struct migration *m, struct json_object **guest, struct json_object **destination);

#endif
