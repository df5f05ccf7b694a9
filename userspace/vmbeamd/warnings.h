/* SPDX-License-Identifier: GPL-2.0 */
/* What somebody should look at, by what all host VMs are like: for an operator in words, and for the metrics as a number. */
#ifndef VMBEAM_WARNINGS_H
#define VMBEAM_WARNINGS_H

#include <json-c/json.h>

/* Adds "warnings" and "doubles", as docs/protocol.md has them. @hostvms: as look.hostvms. */
void warnings_add(struct json_object *o, struct json_object *hostvms);
/* Tells the metrics of doubles. Of a host VM that did not answer nothing new is known. */
void warnings_count(struct json_object *hostvms);

#endif
