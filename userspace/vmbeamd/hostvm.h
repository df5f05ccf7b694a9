/* SPDX-License-Identifier: GPL-2.0 */
/* What the host's toolstack knows about a host VM. */
#ifndef VMBEAM_HOSTVM_H
#define VMBEAM_HOSTVM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

int hostvm_domid(const char *name, uint32_t *domid, struct error *err);
/*
 * A host VM that is destroyed takes with it the frames that it holds of another's guest VM: whatever ends it must
 * leave it there. -1 with the setting that is wrong.
 */
int hostvm_check(const char *name, uint32_t domid, struct error *err);
/* The process that is its device model, by xenstore. @name is for the message. */
int hostvm_device_model(const char *name, uint32_t domid, pid_t *pid, struct error *err);
enum hostvm_state {
	HOSTVM_UNKNOWN,		/* the toolstack does not answer */
	HOSTVM_UP,
	HOSTVM_ENDED,		/* it has shut down or crashed, and is preserved; or is being destroyed */
	HOSTVM_NONE,		/* no domain has that name */
};

/* @domid: 0 if there is none. */
enum hostvm_state hostvm_state(const char *name, uint32_t *domid);
/* Will nothing run in it any more: has it crashed, shut down, or been destroyed? False when that cannot be found out. */
bool hostvm_is_dead(uint32_t domid);

#endif
