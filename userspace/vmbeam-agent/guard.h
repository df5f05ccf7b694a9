/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guard: while a guest VM is away, its old system does not start it by itself. Two guest VMs would write to one disk.
 *
 * What starts guest VMs when a system boots is xendomains: it calls `xl create` for each file of /etc/xen/auto. The
 * guard moves those of a guest VM that is away into a directory beside it, where xendomains does not look, and puts them
 * back when the guest VM is. Who is away is written down first, in a file for each that stays over restarts: at each
 * boot, before xendomains, and whenever the agent starts, whatever has come to /etc/xen/auto since is moved aside as well.
 */
#ifndef VMBEAM_GUARD_H
#define VMBEAM_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "state_dir.h"
#include "xl_file.h"

struct guard {
	const char *autostart;	/* a directory: XENDOMAINS_AUTO */
	const char *saved;	/* a directory: XENDOMAINS_SAVE; NULL: there is none */
	const char *state;	/* a directory of the guard's own; made if it is not there */
};

#define GUARD_AUTOSTART	"/etc/xen/auto"
#define GUARD_SAVED	"/var/lib/xen/save"
#define GUARD_STATE	STATE_DIR
/* Behind the name of the directory of the autostart. In it, each file has the guest VM's UUID behind its name. */
#define GUARD_ASIDE	".vmbeam-away"

/* That of this system. */
extern struct guard guard_here;

/* A guest VM that is away. */
struct guard_away {
	char uuid[37];
	char *name;		/* in the form of text_name() */
	struct json_object *disks;	/* as struct xl_guest has them; NULL: not written down */
	int64_t since;		/* seconds since 1970 */
};

/*
 * The guest VM is going to leave: called before the commit, so that no restart of the system comes in between. Can be
 * repeated. 0, or -1: it is not guarded, and nothing has changed that guard_back()
 * would not put right.
 */
int guard_leave(const struct guard *g, const struct xl_guest *guest, int64_t now, struct error *err);
/*
 * It is back, or never left: puts its files back and forgets it. No error if it was not away. 0; 1: it is done, but another
 * file has come in the place of one, which stays aside, and @err says what an operator is to do; or -1.
 */
int guard_back(const struct guard *g, const char *uuid, struct error *err);
/* Calls @each for all those that stay so, with what an operator is to do. 0 or -1. */
int guard_left(const struct guard *g, void (*each)(const char *text, void *arg), void *arg, struct error *err);
/* Is it written down as away? False, too, when that cannot be seen. */
bool guard_is_away(const struct guard *g, const char *uuid);
/*
 * It stays where it is for good: forgets it, and leaves its files aside for an operator to throw away. What comes anew is
 * not guarded any more. No error if it was not away. 0 or -1.
 */
int guard_adopt(const struct guard *g, const char *uuid, struct error *err);
/* Moves the files aside of all that are away: at each boot. How many were moved, or -1. */
int guard_apply(const struct guard *g, struct error *err);
/* Calls @each for all that are away, until it returns something else than 0. 0, that, or -1 with err. */
int guard_list(const struct guard *g, int (*each)(const struct guard_away *away, void *arg), void *arg, struct error *err);

#endif
