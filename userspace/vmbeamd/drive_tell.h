/* SPDX-License-Identifier: GPL-2.0 */
/* What is told of a maintenance: to the log, the metrics and the history, and to whoever hears of events or waits for its end. */
#ifndef VMBEAM_DRIVE_TELL_H
#define VMBEAM_DRIVE_TELL_H

#include <json-c/json.h>

#include "control.h"
#include "maintain.h"

/* @told gets what drive_tell_result() is given, and the report when an operator is asked; consumed. */
void drive_tell_open(void (*told)(struct json_object *report));

/* As a sentence has it: "a maintenance of hv1". Lives until the next call. */
const char *drive_tell_what(const struct maintenance *m);
/* Its report now, with where the guest VMs were when that was last looked at. */
struct json_object *drive_tell_report(const struct maintenance *m);

/* It has begun, or goes on after an operator has said something. */
void drive_tell_goes_on(void);
void drive_tell_begins(const struct maintenance *m);
/* What @c, which watches it from now on, has not heard of it. */
void drive_tell_late(const struct maintenance *m, struct client *c);
/* Its next step has begun. */
void drive_tell_step(const struct maintenance *m);
/* An operator is waited for. */
void drive_tell_asked(const struct maintenance *m, const char *why);
void drive_tell_over(const struct maintenance *m, struct json_object *report);
/* The end of what those who wait for it hear. Consumed. */
void drive_tell_result(struct json_object *report);

#endif
