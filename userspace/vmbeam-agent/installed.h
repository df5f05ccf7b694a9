/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_INSTALLED_H
#define VMBEAM_AGENT_INSTALLED_H

#include <stdbool.h>
#include <json-c/json.h>

bool installed_helper(void);
/* A problem for each part of VMBeam that this management VM lacks. */
void check_installed(struct json_object *problems);

#endif
