/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SYSTEM_H
#define VMBEAM_AGENT_SYSTEM_H

struct json_object;

/* The nested Xen's version: @hostvm_xen as "4.20", @xen as "4.20.0"; "" if this is no domain of any Xen. */
void system_put_xen(struct json_object *out);

#endif
