// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <time.h>

#include "control.h"
#include "events.h"

/* Each takes a client's place, and the others are for those who ask for something. */
#define LISTENERS	8

/* NULL: the place is free. */
static struct client *subscribers[CONTROL_CLIENTS];
static bool listens[CONTROL_CLIENTS];
static struct client *asker;

static void subscribe(struct client *c, bool only_listens)
{
	int place = 0;

	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		if (subscribers[i] == c)
			return;
		if (!subscribers[i])
			place = i;
	}
	subscribers[place] = c;
	listens[place] = only_listens;
}

int events_listen(struct client *c)
{
	int nr = 0;

	for (int i = 0; i < CONTROL_CLIENTS; i++)
		nr += subscribers[i] && subscribers[i] != c && listens[i];
	if (nr >= LISTENERS)
		return -1;
	subscribe(c, true);
	return 0;
}

void events_watch(struct client *c)
{
	subscribe(c, false);
}

void events_asker(struct client *c)
{
	asker = c;
}

void events_gone(struct client *c)
{
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		if (subscribers[i] == c)
			subscribers[i] = NULL;
	if (asker == c)
		asker = NULL;
}

/* Its text, with the time. */
static const char *stamp(struct json_object *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_object_add(event, "time", json_object_new_int64(now.tv_sec * 1000LL + now.tv_nsec / 1000000));
	return json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);
}

void events_tell(struct client *c, struct json_object *event)
{
	control_send(c, "%s\n", stamp(event));
	json_object_put(event);
}

void events_send(struct json_object *event)
{
	const char *text = stamp(event);
	bool told = !asker;

	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		told = told || subscribers[i] == asker;
		control_send(subscribers[i], "%s\n", text);
	}
	if (!told)
		control_send(asker, "%s\n", text);
	json_object_put(event);
}
