/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SYSTEM_H
#define VMBEAM_AGENT_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* The nested Xen's version, as "4.20", or @whole, as "4.20.0"; "" if this is no domain of any Xen. */
void system_xen(char *text, size_t len, bool whole);

#endif
