/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SCRIPT_H
#define VMBEAM_AGENT_SCRIPT_H

#include "rings.h"

/*
 * Runs the toolstack's hotplug script for a vif as the toolstack does: "offline", then "online", whatever came of the first.
 * For children: what goes wrong is told on stderr. 0; -1: "online" failed; -ETIMEDOUT: it had not ended at @until, and both go
 * on by themselves, within limits.
 */
int script_reconnect(struct tools *t, const struct device *d, int64_t until);

#endif
