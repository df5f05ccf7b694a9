/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_TARGET_H
#define VMBEAM_TARGET_H

#include "cli.h"

/* *@request is NULL when there is nothing to do but return the exit code: --help was given, or nonsense. */
int target_parse(int argc, char **argv, const char *help, bool *json, struct json_object **request);
/* Adds "guest", a name in the form in which it travels if it is not UTF-8. */
void target_add_guest(struct json_object *request, const char *guest);

#endif
