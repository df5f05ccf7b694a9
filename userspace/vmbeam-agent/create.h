/* SPDX-License-Identifier: GPL-2.0 */
/* Domains that are made here, and stay paused. For children only (see work.c): they tell what went wrong on stderr. */
#ifndef VMBEAM_AGENT_CREATE_H
#define VMBEAM_AGENT_CREATE_H

#include <stdint.h>
#include <json-c/json.h>

/* Could the toolstack make a domain with this UUID from what domain_keep() gave: does it read it? 0 or not. */
int create_check(struct json_object *kept, const char *uuid);
/* From what domain_keep() gave. @form: the name as struct domain has it. 0 or not. */
int create_domain(struct json_object *kept, const char *form, uint32_t *domid);
/* A small PV guest VM without any device. The same. */
int create_small(const char *name, const char *uuid, const char *kernel, uint64_t kib, uint32_t *domid);
/*
 * Leaves a process behind for the domain, as `xl create` does: until the domain is gone it destroys it when it has shut down,
 * or makes it anew when it reboots, as its configuration says. It outlives the agent, as the domain does.
 */
void create_watched(uint32_t domid);
/* That process. */
int create_watch(uint32_t domid);

#endif
