// SPDX-License-Identifier: GPL-2.0
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "look.h"
#include "monitor.h"
#include "text.h"
#include "visit.h"

static const char *const states[] = {
	[HOSTVM_UNKNOWN] = "unknown",
	[HOSTVM_UP] = "up",
	[HOSTVM_ENDED] = "ended",
	[HOSTVM_NONE] = "none",
};

static void copy(struct json_object *to, struct json_object *from, const char *key)
{
	struct json_object *v;

	if (json_object_object_get_ex(from, key, &v))
		json_object_object_add(to, key, json_object_get(v));
}

/* The sentences of a reply to guest-check: those of no item, and those of each. */
static void add_reasons(struct json_object *guest, struct json_object *reply)
{
	struct json_object *reasons = json_object_new_array();
	struct json_object *needs = js_array(reply, "needs");

	for (size_t i = 0; i <= js_len(needs); i++) {
		struct json_object *from = i < js_len(needs) ? json_object_array_get_idx(needs, i) : reply;
		struct json_object *problems = js_array(from, "problems");

		for (size_t k = 0; k < js_len(problems); k++)
			json_object_array_add(reasons, json_object_get(json_object_array_get_idx(problems, k)));
	}
	js_add_bool(guest, "movable", !json_object_array_length(reasons));
	json_object_object_add(guest, "reasons", reasons);
}

static void look_at_reasons(struct agent *a, struct json_object *guest)
{
	struct json_object *args = json_object_new_object();
	struct message reply;
	struct error err;

	js_add_str(args, "name", js_str(guest, "uuid", ""));
	if (agent_call(a, "guest-check", args, limit_s(LIMIT_CHECK), &reply, &err))
		return;
	add_reasons(guest, reply.json);
	message_clear(&reply);
}

static struct json_object *describe_guest(struct json_object *g)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "guest", js_str(g, "name", ""));
	for (const char *const *key = (const char *const[]){ "uuid", "domid", "state", "vcpus", "disks", "vifs", NULL }; *key; key++)
		copy(o, g, *key);
	/* What it has now, not what it may have; an older agent tells that alone. */
	js_add_u64(o, "memory_mib", js_u64(g, "held_kib", js_u64(g, "max_kib", 0)) >> 10);
	return o;
}

/* These stand in commands that an operator is told to type. */
static bool uuids_are_words(struct json_object *list)
{
	for (size_t i = 0; i < js_len(list); i++)
		if (!text_is_word(js_str(json_object_array_get_idx(list, i), "uuid", "")))
			return false;
	return true;
}

static void take_system(const struct look *l, struct agent *a, struct json_object *h, struct json_object *reply)
{
	struct json_object *list = js_array(reply, "guests"), *guests = json_object_new_array();
	struct json_object *problems = json_object_get(js_array(reply, "problems")) ?: json_object_new_array();

	for (const char *const *key = (const char *const[]){ "version", "boot", "xen", "hostvm_xen", "kernel", "uptime_s", "away", "down",
	     "more", "chores", NULL }; *key; key++)
		copy(h, reply, *key);
	js_add_u64(h, "free_mib", js_u64(reply, "free_kib", 0) >> 10);
	if (!uuids_are_words(list) || !uuids_are_words(js_array(h, "away")) || !uuids_are_words(js_array(h, "down"))) {
		json_object_object_del(h, "away");
		json_object_object_del(h, "down");
		list = NULL;
		json_object_array_add(problems, json_object_new_string("the agent gives something else as a UUID of a guest VM: its lists are not used"));
	}
	json_object_object_add(h, "problems", problems);
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *g = json_object_array_get_idx(list, i);

		/* Until what pins its frames lets go, the source of a migration is there as a dying domain. */
		if (!strcmp(js_str(g, "state", ""), "dying"))
			continue;
		g = describe_guest(g);
		if (l->reasons)
			look_at_reasons(a, g);
		json_object_array_add(guests, g);
	}
	json_object_object_add(h, "guests", guests);
	monitor_away(js_str(h, "name", ""), js_len(js_array(reply, "away")));
}

/* Of one host VM. */
struct part {
	const struct config_hostvm *config;
	pthread_t thread;
	struct json_object *hostvm;
	struct visit visit;
	struct error error;
};

/*
 * On a thread of its own: waits for its agent to answer at all, which the agents of others that are dead must not keep it
 * from, but not for what it says.
 */
static void *begin(void *arg)
{
	struct part *p = arg;
	const struct config_hostvm *c = p->config;
	enum hostvm_state state;
	uint32_t domid;

	p->hostvm = json_object_new_object();
	js_add_str(p->hostvm, "name", c->name);
	js_add_str(p->hostvm, "socket", c->socket);
	state = hostvm_state(c->name, &domid);
	js_add_str(p->hostvm, "state", states[state]);
	if (domid)
		js_add_u64(p->hostvm, "domid", domid);
	visit_init(&p->visit, c);
	if ((state == HOSTVM_UP || state == HOSTVM_UNKNOWN) &&
	    !agent_connect(&p->visit.agent, limit_s(LIMIT_CHECK_CONNECT), &p->error))
		agent_begin(&p->visit.agent, "system", NULL, &p->error);
	/* It need not be asked. */
	if (state == HOSTVM_ENDED || state == HOSTVM_NONE)
		monitor_agent(c->name, NULL);
	return NULL;
}

static struct json_object *end(const struct look *l, struct part *p)
{
	struct agent *a = &p->visit.agent;
	struct message reply;

	if (a->up && !agent_end(a, limit_s(LIMIT_SHORT), &reply, &p->error)) {
		take_system(l, a, p->hostvm, reply.json);
		message_clear(&reply);
	} else if (p->error.text[0]) {
		js_add_str(p->hostvm, "error", p->error.text);
	}
	js_add_bool(p->hostvm, "agent", a->up);
	agent_close(a);
	return p->hostvm;
}

struct json_object *look_hostvm(struct json_object *hostvms, const char *name)
{
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i);

		if (!strcmp(js_str(h, "name", ""), name))
			return h;
	}
	return NULL;
}

static struct json_object *by(struct json_object *list, const char *key, const char *value)
{
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (!strcmp(js_str(o, key, ""), value))
			return o;
	}
	return NULL;
}

struct json_object *look_guest(struct json_object *hostvm, const char *uuid)
{
	return by(js_array(hostvm, "guests"), "uuid", uuid);
}

struct json_object *look_named(struct json_object *hostvm, const char *name)
{
	return by(js_array(hostvm, "guests"), "guest", name);
}

struct json_object *look_at(struct json_object *hostvm, const char *uuid, const char *name)
{
	return look_guest(hostvm, uuid) ?: look_named(hostvm, name);
}

int look_has(struct json_object *h, const char *uuid, const char *name)
{
	const char *state = js_str(h, "state", "unknown");

	if (!strcmp(state, "ended") || !strcmp(state, "none"))
		return 0;
	return js_array(h, "guests") && !js_bool(h, "more") ? !!look_at(h, uuid, name) : -1;
}

int look_elsewhere(struct json_object *hostvms, const char *home, const char *uuid, const char *name, char *which, size_t size)
{
	int found = 0;

	*which = 0;
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i);
		int has = strcmp(js_str(h, "name", ""), home) ? look_has(h, uuid, name) : 0;
		size_t len = strlen(which);

		if (has > 0) {
			snprintf(which, size, "%s", js_str(h, "name", ""));
			return 1;
		}
		if (has < 0)
			snprintf(which + len, size - len, "%s%s", len ? ", " : "", js_str(h, "name", ""));
		found |= has;
	}
	return found;
}

/* Is any guest VM's UUID this one? */
static bool is_there(struct json_object *hostvms, const char *uuid)
{
	for (size_t i = 0; i < js_len(hostvms); i++)
		if (look_guest(json_object_array_get_idx(hostvms, i), uuid))
			return true;
	return false;
}

struct json_object *look_away(struct json_object *hostvms, struct json_object *home, struct json_object *guest)
{
	struct json_object *away = js_array(home, "away"), *a = by(away, "uuid", js_str(guest, "uuid", ""));

	for (size_t i = 0; !a && i < js_len(away); i++) {
		struct json_object *other = json_object_array_get_idx(away, i);

		if (!strcmp(js_str(other, "name", ""), js_str(guest, "guest", "?")) && !is_there(hostvms, js_str(other, "uuid", "")))
			a = other;
	}
	return a;
}

/* The host VM from which a guest VM is away is its home. Of several, that which it left first: it was a guest on the others. */
static void find_home(struct json_object *hostvms, struct json_object *at, struct json_object *guest)
{
	uint64_t since = UINT64_MAX;

	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *home = json_object_array_get_idx(hostvms, i);
		struct json_object *away = home == at ? NULL : look_away(hostvms, home, guest);

		if (!away || js_u64(away, "since", 0) >= since)
			continue;
		since = js_u64(away, "since", 0);
		js_add_str(guest, "home", js_str(home, "name", ""));
	}
}

static void find_homes(struct json_object *hostvms)
{
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *at = json_object_array_get_idx(hostvms, i), *guests = js_array(at, "guests");

		for (size_t k = 0; k < js_len(guests); k++)
			find_home(hostvms, at, json_object_array_get_idx(guests, k));
	}
}

static bool is_wanted(const struct look *l, const char *name)
{
	return !l->only[0] || !strcmp(name, l->only[0]) || (l->only[1] && !strcmp(name, l->only[1]));
}

/* All of them are at it at a time. */
void look_run(void *arg)
{
	struct look *l = arg;
	struct part *parts = calloc(l->config->nr_hostvms, sizeof(*parts));
	size_t nr = 0;

	l->hostvms = json_object_new_array();
	if (!parts)
		abort();	/* the next daemon goes on from the journal */
	for (size_t i = 0; i < l->config->nr_hostvms; i++)
		if (is_wanted(l, l->config->hostvms[i].name))
			parts[nr++].config = &l->config->hostvms[i];
	for (size_t i = 0; i < nr; i++)
		if (pthread_create(&parts[i].thread, NULL, begin, &parts[i]))
			abort();
	for (size_t i = 0; i < nr; i++)
		pthread_join(parts[i].thread, NULL);
	for (size_t i = 0; i < nr; i++)
		json_object_array_add(l->hostvms, end(l, &parts[i]));
	free(parts);
	find_homes(l->hostvms);
}
