/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_CONFIG_H
#define VMBEAM_AGENT_CONFIG_H

#include <json-c/json.h>

/*
 * Appends what a guest VM's configuration, as libxl has it in JSON, says that it needs: the files that it boots from, and an
 * item with a problem for each key that cannot be carried over, or that nobody here knows.
 */
void config_needs(struct json_object *config, struct json_object *items);
/* What it can write to: a list of paths, or of what else its disks are called there. To be put. */
struct json_object *config_written_disks(struct json_object *config);

#endif
