/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest VM needs of a host VM, item by item. docs/protocol.md lists the kinds. */
#ifndef VMBEAM_AGENT_NEEDS_H
#define VMBEAM_AGENT_NEEDS_H

#include "domain.h"

/* All of it. 0, or -errno: it cannot be listed. */
int needs_all(const struct domain *d, struct json_object *items);
/* What can change while the guest VM runs, and must be the same afterwards. */
int needs_now(const struct domain *d, struct json_object *items);

#endif
