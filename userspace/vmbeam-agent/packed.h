/* SPDX-License-Identifier: GPL-2.0 */
/* Blobs of requests that cross the line packed, with "unpacked", their length, beside them: see pack.h. */
#ifndef VMBEAM_AGENT_PACKED_H
#define VMBEAM_AGENT_PACKED_H

#include "request.h"

/* Packs what is sent back, unless that would not make it smaller. 0, or an error told in @r. */
int packed_put(struct request *r);

/*
 * What the request brought. *@piece are *@len bytes, at most @max: in *@unpacked, which is to be freed, or in the request. 0, or
 * an error told in @r.
 */
int packed_get(struct request *r, size_t max, uint8_t **unpacked, const uint8_t **piece, size_t *len);

#endif
