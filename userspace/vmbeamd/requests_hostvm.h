/* SPDX-License-Identifier: GPL-2.0 */
/* The host VMs that a request names. */
#ifndef VMBEAM_REQUESTS_HOSTVM_H
#define VMBEAM_REQUESTS_HOSTVM_H

#include "config.h"
#include "control.h"

/* The host VM of that name; or NULL, and the client is told. */
const struct config_hostvm *requests_hostvm(const struct config *config, struct client *c, const char *name);

#endif
