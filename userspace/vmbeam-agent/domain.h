/* SPDX-License-Identifier: GPL-2.0 */
/* Domains as the toolstack sees them. domain.c alone knows libxl. */
#ifndef VMBEAM_AGENT_DOMAIN_H
#define VMBEAM_AGENT_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT 37

struct domain {
	uint32_t domid;
	char name[128];
	char uuid[UUID_TEXT];
	bool pv, paused, shutdown, suspended, dying;
	uint64_t current_kib, max_kib;
};

/* All but domain 0. @list is to be freed. 0 or -errno. */
int domains_read(struct domain **list, size_t *nr);
/* 0, -ESRCH when there is no such domain, or -errno. A dying domain is still there. */
int domain_read(uint32_t domid, struct domain *d);

/*
 * For children only (see work.c): they tell what went wrong on stderr. 0 or not.
 * domain_save() writes xl's savefile header, the domain's configuration, then suspends the domain into @fd.
 */
int domain_save(uint32_t domid, int fd);
int domain_destroy(uint32_t domid);

#endif
