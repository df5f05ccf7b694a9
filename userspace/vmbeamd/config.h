/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's configuration: which host VMs there are, and how their agents are reached. */
#ifndef VMBEAM_CONFIG_H
#define VMBEAM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "history.h"

#define CONFIG_PATH "/etc/vmbeam/vmbeamd.conf"

#define CONFIG_MAX_HOSTVMS 32
#define CONFIG_MAX_NAME 127	/* bytes of a host VM's name */

struct config_hostvm {
	const char *name, *socket;
	const char *config;	/* its xl configuration, to start it anew with; NULL: not said */
	bool allow_missing_files;	/* guest VMs may come here whose kernel, for example, is not here */
};

struct config {
	struct config_hostvm hostvms[CONFIG_MAX_HOSTVMS];
	size_t nr_hostvms;
	const char *journal;
	const char *control;	/* the CLI's socket */
	struct history history;
	const char *metrics;	/* NULL: none are written */
	const char *hooks;	/* a directory */
	struct json_object *json;	/* what all of this points into */
};

/* What it points to lives as long as the process. */
int config_load(struct config *c, const char *path, struct error *err);
const struct config_hostvm *config_hostvm(const struct config *c, const char *name);

#endif
