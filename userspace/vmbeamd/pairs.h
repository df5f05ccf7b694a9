/* SPDX-License-Identifier: GPL-2.0 */
/* Which frames change places: the lists of both sides' exports, and the pairs that come of them. */
#ifndef VMBEAM_PAIRS_H
#define VMBEAM_PAIRS_H

#include "migration.h"

/* All return 0, or -1 with m->error. @how: "p2m" for the source, whose table can be walked, "m2p" for the destination. */
int export_begin(struct migration *m, struct agent *a, uint32_t domid, const char *how, uint64_t *id);
/* Puts an export right for what has changed since it was made; @frames is emptied, to be read again, only if something has. */
int export_sync(struct migration *m, struct agent *a, uint32_t domid, const char *how, uint64_t id,
		struct vmbeam_extents *frames);
/* @list += the export's frames. */
int export_read(struct migration *m, struct agent *a, uint64_t id, struct vmbeam_extents *list);
/*
 * m->pairs: what B populated, on both sides. What it got as content is among them, but excluded, m->kept_pairs: a superpage
 * with such a frame goes whole, and only contents come back. A kept frame that is missing on a side stays where it is.
 */
int find_pairs(struct migration *m);

#endif
