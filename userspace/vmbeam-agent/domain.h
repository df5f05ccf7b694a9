/* SPDX-License-Identifier: GPL-2.0 */
/* Domains as the toolstack sees them. domain.c alone knows libxl. */
#ifndef VMBEAM_AGENT_DOMAIN_H
#define VMBEAM_AGENT_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "text.h"

#define UUID_TEXT 37

struct session;

struct domain {
	uint32_t domid;
	char *name;		/* as text_name() has it, of any length; NULL from domain_read() */
	char called[TEXT_SHORT];	/* the same for messages */
	char uuid[UUID_TEXT];
	bool pv, paused, shutdown, suspended, dying;
	const char *ended;	/* how, if it is shut down: "reboot", "crash"; "" otherwise */
	bool utf8;		/* is the name? */
	uint64_t current_kib, max_kib;
	uint32_t vcpus;		/* online */
	uint64_t cpu_ns;	/* how long they have run so far */
};

/* All but domain 0. @list is for domains_free(). 0 or -errno. */
int domains_read(struct domain **list, size_t *nr);
void domains_free(struct domain *list, size_t nr);
/*
 * names.c: the domain that an operator means, by its UUID, as #DOMID, by its name, or by its name as it is shown. In
 * this order: no name can stand in the way of a UUID. NULL: there is none; one that is dying is none.
 */
const struct domain *domains_find(const struct domain *list, size_t nr, const char *meant);
/*
 * names.c: can xl restore a domain of that name? libxl reads none that is not UTF-8, and xl makes a file's name of it. One
 * that cannot travels as its UUID, and gets its name when it is there.
 */
bool domain_name_travels(const char *name);
/* 0, -ESRCH when there is no such domain, or -errno. A dying domain is still there. */
int domain_read(uint32_t domid, struct domain *d);

/* The configuration as libxl has it in JSON, to be put; or -errno, and NULL, and @why. */
int domain_config(uint32_t domid, struct json_object **config, char *why, size_t size);
/* @form: the name as struct domain has it. Does nothing for a name that travels. 0 or -errno. */
int domain_rename(uint32_t domid, const char *form);
/* The same in a session that is open: 0, or an error of libxl's. */
int domain_give_name(struct session *s, uint32_t domid, const char *form);
/* The program that libxl runs to save and to restore. */
const char *domain_helper(void);

/*
 * For children only (see work.c): they tell what went wrong on stderr. 0 or not.
 * domain_save() writes xl's savefile header, the domain's configuration, then suspends the domain into @fd.
 */
int domain_save(uint32_t domid, int fd);
/* What create_domain() takes, to be put. @to_stay_down: fails for one that would not when it is shut down. */
int domain_keep(uint32_t domid, bool to_stay_down, struct json_object **kept);
/* Asks it to shut down, and waits until it has taken the request, at most a minute. */
int domain_shutdown(uint32_t domid);
int domain_destroy(uint32_t domid);
int domain_resume(uint32_t domid);
int domain_unpause(uint32_t domid);

#endif
