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

/* How a domain has ended, and what its configuration says is to become of it then. */
enum ending {
	ENDING_NONE,
	ENDING_UNKNOWN,		/* the toolstack does not tell */
	ENDING_GONE,		/* somebody has destroyed it */
	ENDING_DESTROY,
	ENDING_RESTART,
	ENDING_LEFT,		/* nothing: an operator looks at it; told on stderr */
};

/* Waits for that; a suspend is none. */
enum ending create_wait(uint32_t domid);

#endif
