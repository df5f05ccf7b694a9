/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_USERS_H
#define VMBEAM_AGENT_USERS_H

#include <stdint.h>
#include <json-c/json.h>

#include "disk.h"

#define NO_DOMAIN UINT32_MAX

/*
 * A problem for each other guest VM than @domid (NO_DOMAIN: for each) whose backend can write to the disk @d, or to a part of
 * it, or to what it lies on. @called is what messages call the disk.
 */
void users_check(const struct disk *d, const char *called, uint32_t domid, struct json_object *problems);

#endif
