/* SPDX-License-Identifier: GPL-2.0 */
/* Network interfaces of this management VM. */
#ifndef VMBEAM_AGENT_NET_H
#define VMBEAM_AGENT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <json-c/json.h>

#define NET_MAX_NAME 15

/* Where they are in sysfs. Tests have a directory of their own. */
extern const char *net_sysfs;

/* The interface's name in a vif's "bridge"; Open vSwitch's script takes a VLAN tag and trunks behind it. False: it is none. */
bool net_bridge(const char *bridge, const char *script, char name[NET_MAX_NAME + 1]);
bool net_exists(const char *name);
bool net_filters_vlans(const char *bridge);
/*
 * What somebody has set for the interface of a guest VM's network card, or has come to be known of it, which a new interface
 * does not have: "tc", the kinds of its queueing disciplines; "behind", addresses besides @mac that the bridge knows there.
 */
void net_describe(const char *name, const char *bridge, const char *mac, struct json_object *obj);

#endif
