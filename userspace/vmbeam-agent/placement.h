/* SPDX-License-Identifier: GPL-2.0 */
/* Where guest VMs run: memory, CPUs, cpupools and pins. */
#ifndef VMBEAM_AGENT_PLACEMENT_H
#define VMBEAM_AGENT_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

/*
 * {"cpupool": NAME, "online": NUMBER, "vcpus": [{"hard": CPUS, "soft": CPUS}]}, CPUS being "0-2,5" or "all". To be put;
 * or -errno, and NULL, and @why.
 */
int placement_of(uint32_t domid, struct json_object **placement, char *why, size_t size);
/* {"free_kib": NUMBER, "cpupools": [{"name": NAME, "cpus": CPUS}]}. The same. */
int placement_here(struct json_object **here, char *why, size_t size);

struct session;
/*
 * Puts into a configuration what was set since the guest VM was created, and what the toolstack does not write down: its
 * cpupool and its pins. Whoever restores it sets them again.
 */
int placement_carry(struct session *s, uint32_t domid, void *config);

#endif
