/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_FILL_H
#define VMBEAM_AGENT_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct export {
	uint64_t id;
	int fd;			/* -1: the slot is free */
	uint32_t domid;
	char migration[MAX_MIGRATION + 1];
	struct filled *filled;
};

/* What the child that fills an export has to say; in memory that it shares with the agent. */
struct filled {
	uint64_t added, removed, refused;
};

/*
 * In a child, may say "again": makes the export what the domain has now. Done once more, it finds nothing to do. What was
 * done is in @e->filled. After a save of the domain, the save's list is used instead of its P2M.
 */
int export_fill(struct request *r, struct export *e, uint32_t domid, bool m2p);

#endif
