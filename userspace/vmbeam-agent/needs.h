/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_NEEDS_H
#define VMBEAM_AGENT_NEEDS_H

#include <json-c/json.h>

/* Where network interfaces are. Tests have a directory of their own. */
extern const char *needs_net;

/*
 * Has this host VM what the guest VM of the request needs besides memory and disks? "vifs": [{"bridge", "script"}] are
 * needed for it to run; "boot": [{"what", "path"}] when it is started the next time.
 */
void needs_check(struct json_object *request, struct json_object *problems, struct json_object *warnings);

#endif
