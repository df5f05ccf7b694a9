// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "ahead.h"
#include "check_ask.h"
#include "clock.h"
#include "js.h"
#include "log.h"

/*
 * As long as an answer is believed. What is needed is compared once more after the suspend; what is offered may be taken by
 * others between any check and its restore.
 */
#define FRESH_MS	60000

static struct {
	char uuid[40], from[RECORD_HOSTVM], to[RECORD_HOSTVM];
	int64_t heard_ms;
	struct json_object *guest, *destination;	/* NULL: not told */
} ahead;

static void forget(void)
{
	json_object_put(ahead.guest);
	json_object_put(ahead.destination);
	memset(&ahead, 0, sizeof(ahead));
}

void ahead_begin(struct migration *m)
{
	/* If it fails, the check asks again, and says so. */
	if (*m->next && m->a.up && !m->a.asked)
		check_ask_guest_begin(&m->a, m->next);
}

void ahead_hear(struct migration *m)
{
	struct error err;

	if (!check_ask_guest_is_under_way(&m->a))
		return;
	forget();
	ahead.guest = check_ask_guest_end(&m->a, &err);
	if (!ahead.guest) {
		log_warn("%s", err.text);
		return;
	}
	snprintf(ahead.uuid, sizeof(ahead.uuid), "%s", m->next);
	snprintf(ahead.from, sizeof(ahead.from), "%s", m->from);
	snprintf(ahead.to, sizeof(ahead.to), "%s", m->to);
	ahead.heard_ms = clock_ms();
}

void ahead_ask_destination(struct migration *m)
{
	struct error err;

	/* Not one that an earlier migration has left. */
	if (!*m->next || strcmp(ahead.uuid, m->next) || !ahead.guest || ahead.destination || !m->b.up)
		return;
	ahead.destination = check_ask_destination(&m->b, js_str(ahead.guest, "name", ""), js_str(ahead.guest, "uuid", ""),
						  js_array(ahead.guest, "needs"), &err);
	if (!ahead.destination)
		log_warn("%s", err.text);
}

void ahead_take(const struct migration *m, struct json_object **guest, struct json_object **destination)
{
	/* A check that somebody asked for is to say how it is now. */
	bool right = !m->check_only && ahead.guest && clock_ms() - ahead.heard_ms < FRESH_MS && !strcmp(ahead.uuid, m->name) &&
		     !strcmp(ahead.from, m->from) && !strcmp(ahead.to, m->to);

	*guest = right ? json_object_get(ahead.guest) : NULL;
	*destination = right ? json_object_get(ahead.destination) : NULL;
	forget();
}
