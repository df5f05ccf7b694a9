/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SCRIPT_H
#define VMBEAM_AGENT_SCRIPT_H

#include "rings.h"

/*
 * Runs the toolstack's hotplug script for a vif as the toolstack does: "online" or "offline". For children: what goes wrong
 * is told on stderr. 0; -1: it failed; -ETIMEDOUT: it had not ended at @until, and goes on by itself, within limits.
 */
int script_run(struct tools *t, const struct device *d, const char *what, int64_t until);

#endif
