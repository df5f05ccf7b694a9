/* SPDX-License-Identifier: GPL-2.0 */
/* What the agent must still know after a restart of this system. What is in RUN_DIR (work.h) is gone by then. */
#ifndef VMBEAM_AGENT_STATE_DIR_H
#define VMBEAM_AGENT_STATE_DIR_H

#include <json-c/json.h>

#include "error.h"

/* Tests have one of their own. */
#ifndef STATE_DIR
#define STATE_DIR	"/var/lib/vmbeam-agent"
#endif

/* Makes the directory, and the one that it is in, if they are not there. 0 or -1. */
int state_dir_make(const char *path, struct error *err);
/* The file is there whole afterwards, also after a restart, or as it was. 0 or -1. */
int state_write(const char *path, struct json_object *json, struct error *err);

#endif
