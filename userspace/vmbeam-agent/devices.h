/* SPDX-License-Identifier: GPL-2.0 */
/* A guest VM's devices, as the toolstack has them in xenstore. */
#ifndef VMBEAM_AGENT_DEVICES_H
#define VMBEAM_AGENT_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

/*
 * Appends the guest VM's devices. With @looked, they are looked into, and have a problem where they cannot be moved.
 * 0, or -errno: xenstore does not answer, or there are too many.
 */
int devices_list(uint32_t domid, struct json_object *items, bool looked);

#endif
