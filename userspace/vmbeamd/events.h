/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: what happens, as lines of JSON, for whoever wants to hear of all and for whoever asked for what is under way.
 * See docs/protocol.md. In the main thread alone.
 */
#ifndef VMBEAM_EVENTS_H
#define VMBEAM_EVENTS_H

#include <json-c/json.h>

struct client;

/* @c, which only listens, hears of all from now on. -1: so many do already that it cannot. */
int events_listen(struct client *c);
/* Likewise for one who waits for a result: there is room for each. */
void events_watch(struct client *c);
/* @c asked for what is under way, and hears of that. NULL: it has its result, or nobody asked. */
void events_asker(struct client *c);
/* Neither any more. */
void events_gone(struct client *c);

/* Sends @event, which is consumed, with the time added. Whoever does not read is dropped. */
void events_send(struct json_object *event);
/* For @c alone, which comes late. Consumed. */
void events_tell(struct client *c, struct json_object *event);

#endif
