/* SPDX-License-Identifier: GPL-2.0 */
/* The command adopt: a guest VM that is away stays where it is. */
#ifndef VMBEAM_REQUESTS_ADOPT_H
#define VMBEAM_REQUESTS_ADOPT_H

#include "config.h"
#include "control.h"

void requests_adopt_open(const struct config *config);
/* Whichever host VM waits for it is told, and the maintenance under way. When the worker has nothing to do. */
void request_adopt(struct client *c, const char *guest);
void requests_adopt_gone(struct client *c);

#endif
