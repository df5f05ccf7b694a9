// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <time.h>

#include "control.h"
#include "events.h"

/* Each takes a client's place, and the others are for those who ask for something. */
#define SUBSCRIBERS	8

/* NULL: the place is free. */
static struct client *subscribers[SUBSCRIBERS];
static struct client *asker;

int events_subscribe(struct client *c)
{
	struct client **place = NULL;

	for (int i = 0; i < SUBSCRIBERS; i++) {
		if (subscribers[i] == c)
			return 0;
		if (!subscribers[i])
			place = &subscribers[i];
	}
	if (!place)
		return -1;
	*place = c;
	return 0;
}

void events_asker(struct client *c)
{
	asker = c;
}

void events_gone(struct client *c)
{
	for (int i = 0; i < SUBSCRIBERS; i++)
		if (subscribers[i] == c)
			subscribers[i] = NULL;
	if (asker == c)
		asker = NULL;
}

void events_send(struct json_object *event)
{
	bool told = !asker;
	struct timespec now;
	const char *text;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_object_add(event, "time", json_object_new_int64(now.tv_sec * 1000LL + now.tv_nsec / 1000000));
	text = json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		told = told || subscribers[i] == asker;
		control_send(subscribers[i], "%s\n", text);
	}
	if (!told)
		control_send(asker, "%s\n", text);
	json_object_put(event);
}
