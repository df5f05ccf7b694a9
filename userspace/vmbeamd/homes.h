/* SPDX-License-Identifier: GPL-2.0 */
/* The homes of guest VMs, and what these keep for them while they are away (the guard of docs/architecture.md). */
#ifndef VMBEAM_HOMES_H
#define VMBEAM_HOMES_H

#include "look.h"

/* "guard-back" or "guard-adopt" to the agent of a host VM. 0 or -1. On the worker's thread. */
int homes_tell(const struct config *config, const char *hostvm, const char *uuid, const char *op, struct error *err);
/*
 * As look_run(), of all host VMs. Besides, a guest VM that is home again without a migration, since somebody started it
 * there, is away no more: what starts it there by itself is put back. But only if all others have said that they do not
 * have it.
 */
void homes_look(void *look);

#endif
