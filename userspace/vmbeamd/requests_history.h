/* SPDX-License-Identifier: GPL-2.0 */
/* The command history. */
#ifndef VMBEAM_REQUESTS_HISTORY_H
#define VMBEAM_REQUESTS_HISTORY_H

#include "control.h"

/* Answers with the records of the history file @path that fit. */
void request_history(struct client *c, struct json_object *json, const char *path);

#endif
