/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_DEVICES_H
#define VMBEAM_DEVICES_H

#include "migration.h"

/*
 * The guest VM's devices against those that the check agreed on, m->devices: of the source after the suspend, and of
 * both before the commit. 0, or -1 with m->error naming the device that differs.
 */
int devices_still(struct migration *m);
/* @with_source: not when it has died. */
int devices_both(struct migration *m, bool with_source);

#endif
