// SPDX-License-Identifier: GPL-2.0
/*
 * No device is lost on the way. The toolstack attaches and detaches while the guest VM runs, and also while it is
 * suspended; what the destination makes is what the configuration said when the save was begun.
 */
#include <stdio.h>
#include <string.h>

#include "devices.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"

/* What makes a device the one that it is. Its hotplug script may be another one on another host. */
static const char *const traits[] = { "backend", "target", "mode", "mac", "bridge" };

static bool compared(struct json_object *device)
{
	/* The toolstack makes the console anew for each domain. */
	return strcmp(js_str(device, "kind", "console"), "console");
}

static struct json_object *find(struct json_object *list, struct json_object *device)
{
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *d = json_object_array_get_idx(list, i);

		if (!strcmp(js_str(d, "kind", ""), js_str(device, "kind", "")) &&
		    js_u64(d, "devid", -1) == js_u64(device, "devid", -2))
			return d;
	}
	return NULL;
}

static const char *called(struct json_object *d)
{
	const char *kind = js_str(d, "kind", "device");
	static char text[400];

	if (!strcmp(kind, "vbd"))
		snprintf(text, sizeof(text), "the disk %s, %s,", js_str(d, "dev", "?"), js_str(d, "target", "?"));
	else if (!strcmp(kind, "vif"))
		snprintf(text, sizeof(text), "the network card %llu, %s,", (unsigned long long)js_u64(d, "devid", 0),
			 js_str(d, "mac", "?"));
	else
		snprintf(text, sizeof(text), "the device %.32s %llu", kind, (unsigned long long)js_u64(d, "devid", 0));
	return text;
}

static const char *trait_that_differs(struct json_object *a, struct json_object *b)
{
	for (size_t i = 0; i < sizeof(traits) / sizeof(traits[0]); i++)
		if (strcmp(js_str(a, traits[i], ""), js_str(b, traits[i], "")))
			return traits[i];
	return NULL;
}

static int compare_source(struct migration *m, struct json_object *now)
{
	for (size_t i = 0; i < js_len(now); i++) {
		struct json_object *d = json_object_array_get_idx(now, i);

		if (compared(d) && !find(m->devices, d))
			return error_set(&m->error, "%s: %s was attached to %s after the check, and would not have come along: migrate %s again",
					 m->from, called(d), m->guest, m->guest);
	}
	for (size_t i = 0; i < js_len(m->devices); i++) {
		struct json_object *d = json_object_array_get_idx(m->devices, i), *there = find(now, d);
		const char *trait = there ? trait_that_differs(d, there) : NULL;

		if (compared(d) && !there)
			return error_set(&m->error, "%s: %s was detached from %s after the check: migrate %s again", m->from,
					 called(d), m->guest, m->guest);
		if (compared(d) && trait)
			return error_set(&m->error, "%s: %s of %s has another %s than at the check: migrate %s again", m->from,
					 called(there), m->guest, trait, m->guest);
	}
	return 0;
}

static int compare_destination(struct migration *m, struct json_object *now)
{
	for (size_t i = 0; i < js_len(m->devices); i++) {
		struct json_object *d = json_object_array_get_idx(m->devices, i), *there = find(now, d);
		const char *trait = there ? trait_that_differs(d, there) : NULL;

		if (compared(d) && !there)
			return error_set(&m->error, "%s: the restored %s lacks %s which it has on %s: look at the toolstack's logs on %s (/var/log/xen)",
					 m->to, m->guest, called(d), m->from, m->to);
		if (compared(d) && trait)
			return error_set(&m->error, "%s: %s of the restored %s has another %s than on %s: look at the toolstack's logs on %s (/var/log/xen)",
					 m->to, called(there), m->guest, trait, m->from, m->to);
	}
	return 0;
}

/* Consumes the reply. */
static int take(struct migration *m, struct agent *a, struct message *reply,
		int (*compare)(struct migration *m, struct json_object *now))
{
	struct json_object *now = js_array(reply->json, "devices");
	int rc = now ? compare(m, now) : error_set(&m->error, "%s: the agent does not list the devices of %s", a->name,
						   m->guest);

	message_clear(reply);
	return rc;
}

int devices_still(struct migration *m)
{
	struct message reply;

	if (agent_call(&m->a, "devices", migration_domain(m, m->dom_a), limit_s(LIMIT_SHORT), &reply, &m->error))
		return -1;
	return take(m, &m->a, &reply, compare_source);
}

/* Every frame is on the destination: if the source dies now the guest VM goes on there, with what the suspend had. */
static int source_still(struct migration *m)
{
	if (!devices_still(m))
		return 0;
	if (!hostvm_is_dead(m->host_a))
		return -1;
	log_warn("%s has died (%s): %s goes on to %s", m->from, m->error.text, m->guest, m->to);
	m->error.text[0] = 0;
	return 0;
}

int devices_both(struct migration *m, bool with_source)
{
	struct message reply;

	if (agent_begin(&m->b, "devices", migration_domain(m, m->dom_b), &m->error) ||
	    (with_source && source_still(m)) ||
	    agent_end(&m->b, limit_s(LIMIT_SHORT), &reply, &m->error))
		return -1;
	return take(m, &m->b, &reply, compare_destination);
}
