/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_CHECK_H
#define VMBEAM_CHECK_H

#include "migration.h"

/* The first step. Connects both agents and opens the device. 0, or -1 with m->problems and m->error. */
int check(struct migration *m);

#endif
