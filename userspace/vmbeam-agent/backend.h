/* SPDX-License-Identifier: GPL-2.0 */
/* A guest VM's backends in this management VM, as the kernel has them. */
#ifndef VMBEAM_AGENT_BACKEND_H
#define VMBEAM_AGENT_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

/* Does the kernel's driver serve the device @kind ("vbd", "vif") @devid of the guest VM? */
bool backend_bound(const char *kind, uint32_t domid, uint32_t devid);
/* Is a disk of this guest VM off its driver? What the guest VM asks of it then waits until somebody binds it. */
bool backend_disk_off(uint32_t domid);
/*
 * Before a domain is destroyed: says "closed" for the backends that no driver serves any more, or the toolstack would
 * wait ten seconds for each to say it.
 */
void backend_forget(uint32_t domid);

#endif
