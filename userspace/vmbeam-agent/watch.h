/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_WATCH_H
#define VMBEAM_AGENT_WATCH_H

#include <stdint.h>

/*
 * Leaves a process behind for a domain that was made here, as `xl create` does: until the domain is gone it destroys it when
 * it has shut down, or makes it anew when it reboots, as its configuration says. It outlives the agent, as the domain does.
 */
void watched(uint32_t domid);
/* That process. 0 or -1. */
int watch(uint32_t domid);

#endif
