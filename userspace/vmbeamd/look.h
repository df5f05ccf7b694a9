/* SPDX-License-Identifier: GPL-2.0 */
/* What all host VMs and their guest VMs are like now, by what their agents and the toolstack say. */
#ifndef VMBEAM_LOOK_H
#define VMBEAM_LOOK_H

#include <stdbool.h>
#include <json-c/json.h>

#include "config.h"

struct look {
	const struct config *config;
	const char *only[2];		/* host VMs; both NULL: all of them */
	bool reasons;			/* also whether each guest VM can move, which takes longer */
	struct json_object *hostvms;	/* comes back: as the result of "list" has it */
};

/* On the worker's thread, for worker_errand(). @look is a struct look. One that does not answer is told of as such. */
void look_run(void *look);

/* The host VM of that name in look.hostvms; NULL: there is none. */
struct json_object *look_hostvm(struct json_object *hostvms, const char *name);
/* The guest VM @uuid on a host VM of look.hostvms. NULL: it is not there, or nobody knows. */
struct json_object *look_guest(struct json_object *hostvm, const char *uuid);
/* Likewise by its name, in the form of text_name(). */
struct json_object *look_named(struct json_object *hostvm, const char *name);
/* By its UUID, or else by its name. */
struct json_object *look_at(struct json_object *hostvm, const char *uuid, const char *name);
/*
 * What @home has of @guest, a guest VM on another host VM, as one that is away from it; NULL: nothing. By the UUID; or by the
 * name, if nothing has the UUID any more: then it was destroyed and created anew where it is.
 */
struct json_object *look_away(struct json_object *hostvms, struct json_object *home, struct json_object *guest);
/*
 * Has a host VM of look.hostvms that guest VM? By its name, too: without uuid= in its configuration xl gives it a new UUID at
 * each start. 1, 0, or -1: nobody knows, since its agent does not answer.
 */
int look_has(struct json_object *hostvm, const char *uuid, const char *name);
/* Has any but @home? The same; @which is the one that has it, or those of which nobody knows, as a list. */
int look_elsewhere(struct json_object *hostvms, const char *home, const char *uuid, const char *name, char *which, size_t size);

#endif
