/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_HOOKS_RUN_H
#define VMBEAM_HOOKS_RUN_H

#include "hooks.h"

/*
 * All hooks of an event, on the worker's thread; each has the limit "hook". 0, or -1 with the reason: before something, it
 * must not happen; afterwards only what is wrong with the directory itself is an error.
 */
int hooks_run(const char *dir, const struct hook_facts *facts, struct error *err);

#endif
