/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_OFFERS_H
#define VMBEAM_AGENT_OFFERS_H

#include <json-c/json.h>

/* Appends an offer of this host VM for each of the needs, in their order. What is unknown is offered nothing. */
void offers_for(struct json_object *needs, struct json_object *offers);

#endif
