/* SPDX-License-Identifier: GPL-2.0 */
/* What the journal keeps of a migration, and tells a later daemon. */
#ifndef VMBEAM_RECORD_H
#define VMBEAM_RECORD_H

#include <stdint.h>
#include <json-c/json.h>

#include "error.h"
#include "state.h"

/* Of the form of a record. Those before 2 did not say which; what they have is the same. */
#define RECORD_VERSION 2

#define RECORD_HOSTVM 128	/* bytes of a host VM's name, with its end */

struct record {
	char id[33], uuid[40], boot_id[40];
	char *name;			/* of the guest VM, as its agent has it; before the check, as the operator has it */
	char from[RECORD_HOSTVM], to[RECORD_HOSTVM];	/* host VMs */
	char maintenance[33], what[12];	/* the evacuation, return or maintenance that it is a part of; "": none */
	uint32_t host_a, host_b;	/* their domids in the host */
	uint32_t dom_a, dom_b;		/* the guest VM's domids in them; 0: not known yet */
	uint64_t txn_id;		/* 0: there was none */
	enum state state;
	bool comes_home;		/* B has it as away: A is a refuge */
	bool went;			/* the guest may have been told to suspend */
	bool hooked;			/* the hooks before it were run, so those after it have to be */
	bool resumed;			/* the end has let it run: back on A, or on B */
	struct error error;		/* why it was not done; the first of the problems when it was refused */
	struct error lost;		/* the guest VM is on neither side any more: how, and what is left of it */
};

/* The record of @r in state @state. NULL when out of memory. */
struct json_object *record_to_json(const struct record *r, enum state state);
/* Fills a fresh @r; r->name is to be freed. 0, or -1 with what is wrong: from a later version, or no sense in it. */
int record_from_json(struct record *r, struct json_object *json, struct error *err);

#endif
