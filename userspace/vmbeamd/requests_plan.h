/* SPDX-License-Identifier: GPL-2.0 */
/* The commands evacuate, return and maintain, and what an operator says of one that is under way. */
#ifndef VMBEAM_REQUESTS_PLAN_H
#define VMBEAM_REQUESTS_PLAN_H

#include "control.h"
#include "survey.h"

void requests_plan_open(const struct config *config, struct journal *journal);
/* Makes the plan, and begins unless it is only to be shown. When the worker has nothing to do and nothing is under way. */
void request_plan(struct client *c, struct json_object *json, enum plan_what what);
/* "resume": whoever asks gets what whoever began it would. */
void request_resume(struct client *c);
void request_abort(struct client *c, const char *id);
/* For drive_open(). */
void requests_plan_told(struct json_object *report);
void requests_plan_gone(struct client *c);

#endif
