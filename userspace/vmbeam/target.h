/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_TARGET_H
#define VMBEAM_TARGET_H

#include "cli.h"

/* HOSTVM/GUEST HOSTVM from optind on, as the request @cmd. An exit code; *@request is NULL when they are nonsense. */
int target_take(int argc, char **argv, const char *cmd, struct json_object **request);
/* With --json and --help before it. *@request is NULL when there is nothing to do but return the exit code. */
int target_parse(int argc, char **argv, const char *help, bool *json, struct json_object **request);
/* Adds "guest", a name in the form in which it travels if it is not UTF-8. */
void target_add_guest(struct json_object *request, const char *guest);

#endif
