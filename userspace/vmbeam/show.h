/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's answers as tables: what `vmbeam list`, `status` and `history` print without --json. Pure. */
#ifndef VMBEAM_SHOW_H
#define VMBEAM_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <json-c/json.h>

/* @width: of the terminal; 0: it is none. @reasons: all of them, not the first alone. */
void show_list(FILE *f, struct json_object *result, size_t width, bool reasons);
/*
 * For the shell's completion, a name on a line: "hostvms"; "guests", as HOSTVM/GUEST; those that are "away" from home; or
 * "migrations", by their ids.
 */
void show_names(FILE *f, struct json_object *result, const char *what);
void show_status(FILE *f, struct json_object *result, size_t width);
/* @records: an array of records of the history. */
void show_history(FILE *f, struct json_object *records, size_t width);
/* Of an evacuation, a return or a maintenance: what is going to happen, and what became of each guest VM. */
void show_plan(FILE *f, struct json_object *plan, size_t width);
void show_report(FILE *f, struct json_object *report, size_t width);

#endif
