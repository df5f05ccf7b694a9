/* SPDX-License-Identifier: GPL-2.0 */
/* The commands list and status: what there is, by the agents' word. */
#ifndef VMBEAM_REQUESTS_LIST_H
#define VMBEAM_REQUESTS_LIST_H

#include "config.h"
#include "control.h"

enum list {
	LIST_NAMES,		/* what was seen last will do: it is to be quick */
	LIST_SYSTEMS,
	LIST_REASONS,		/* also whether each guest VM can move, which takes longer */
};

void requests_list_open(const struct config *config);
/*
 * Looks, and answers. @more: what the answer has besides the host VMs; consumed. When the worker has nothing to do; if it
 * has, the answer is what was seen last.
 */
void request_list(struct client *c, enum list list, struct json_object *more);
/* What somebody else has seen of some host VMs: what was seen last, from now on. */
void requests_list_seen(struct json_object *hostvms);
/* Looks although nobody asks, for the metrics. When the worker has nothing to do. */
void requests_list_look(void);
/* Somebody asks for something meanwhile: a look that nobody asked for is given up, and changes nothing. */
void requests_list_make_room(void);
void requests_list_gone(struct client *c);

#endif
