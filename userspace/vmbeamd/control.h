/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CLI's socket: JSON lines. What a client asks for goes to requests.c, which answers with the functions here. All of
 * it is in the main thread, which waits for nobody: a client that does not read is dropped.
 */
#ifndef VMBEAM_CONTROL_H
#define VMBEAM_CONTROL_H

#include <systemd/sd-event.h>
#include <json-c/json.h>

#include "error.h"

/* So many at a time: those who hear of events, see events.h; those who watch, see requests_plan.c; and the rest for others. */
#define CONTROL_CLIENTS	32

/* Lives until requests_gone(), which may come from within each of the functions here that send. */
struct client;

/* Makes the socket @path, which must have no other daemon, and adds it to the event loop. */
int control_open(sd_event *event, const char *path, struct error *err);

/* @c may be NULL: nobody is there to read it. */
void control_send(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The end of an answer; @result is consumed. */
void control_result(struct client *c, struct json_object *result);
/* The same, with an outcome and why. */
void control_refuse(struct client *c, const char *outcome, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
