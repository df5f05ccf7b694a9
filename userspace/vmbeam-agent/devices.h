/* SPDX-License-Identifier: GPL-2.0 */
/* A guest VM's devices, as the toolstack has them in xenstore. */
#ifndef VMBEAM_AGENT_DEVICES_H
#define VMBEAM_AGENT_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

/* Does the guest VM's kernel say that it takes suspend requests? */
bool devices_can_suspend(uint32_t domid);
/*
 * Appends the guest VM's devices. With @problems, disks are looked at, and there is a problem for each device that
 * cannot be moved. 0, or -errno: xenstore does not answer, or there are too many.
 */
int devices_list(uint32_t domid, struct json_object *devices, struct json_object *problems);

#endif
