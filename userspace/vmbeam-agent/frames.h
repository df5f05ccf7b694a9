/* SPDX-License-Identifier: GPL-2.0 */
/* Which frames a guest VM has. */
#ifndef VMBEAM_AGENT_FRAMES_H
#define VMBEAM_AGENT_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"
#include "vmbeam.h"

/* Ascending in pfn. */
struct frames {
	struct vmbeam_frame *v;
	size_t nr, room;
};

/* 0 or -errno. */
int frames_add(struct frames *f, uint64_t pfn, uint64_t gfn);
void frames_free(struct frames *f);
/*
 * Those of domain @domid, from its own table or, if @m2p, from Xen's; "pfns" is in the request. @visit gets each, ascending in
 * pfn, and says 0 or -errno. 0, or an error in @r.
 */
typedef int frames_visit(void *data, uint64_t pfn, uint64_t gfn);
int frames_walk(struct request *r, uint32_t domid, bool m2p, frames_visit *visit, void *data);
/* The same into a list. */
int frames_read(struct request *r, uint32_t domid, bool m2p, struct frames *f);

#endif
