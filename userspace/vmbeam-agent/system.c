// SPDX-License-Identifier: GPL-2.0
/*
 * How this system is: what an operator is shown of it, and how somebody who restarts it sees that it was. Touches nothing.
 * What cannot be read is told as a problem: the rest is as it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "domain.h"
#include "down.h"
#include "guard.h"
#include "js.h"
#include "message.h"
#include "ops.h"
#include "placement.h"
#include "store.h"
#include "system.h"

/* Tests have one of their own. */
#ifndef XEN_VERSION_DIR
#define XEN_VERSION_DIR	"/sys/hypervisor/version"
#endif
#define BOOT_ID		"/proc/sys/kernel/random/boot_id"
#define MAX_GUESTS	256
#define MAX_LEFT	8
/* Names can be long. The rest is for what has a fixed size. */
#define GUESTS_ROOM	(MESSAGE_MAX_JSON * 3 / 4)
#define AWAY_ROOM	(MESSAGE_MAX_JSON / 8)

/* The file's first line; "" if there is none. */
static void read_line(const char *path, char *text, size_t len)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(text, len, f))
		*text = 0;
	text[strcspn(text, "\n")] = 0;
	if (f)
		fclose(f);
}

void system_put_xen(struct json_object *out)
{
	char major[16], minor[16], extra[64], both[32] = "", whole[100] = "";

	read_line(XEN_VERSION_DIR "/major", major, sizeof(major));
	read_line(XEN_VERSION_DIR "/minor", minor, sizeof(minor));
	read_line(XEN_VERSION_DIR "/extra", extra, sizeof(extra));
	if (*major && *minor)
		snprintf(both, sizeof(both), "%s.%s", major, minor);
	if (*both)
		snprintf(whole, sizeof(whole), "%s%s", both, extra);
	put_string(out, "hostvm_xen", both);
	put_string(out, "xen", whole);
}

static const char *state_of(const struct domain *d)
{
	if (d->dying)
		return "dying";
	if (d->suspended)
		return "suspended";
	if (d->shutdown)
		return strcmp(d->ended, "crash") ? "shutdown" : "crashed";
	return d->paused ? "paused" : "running";
}

/* How many devices of a kind the toolstack has for it. */
static unsigned int count(struct xs_handle *xs, uint32_t domid, const char *kind)
{
	unsigned int nr = 0;

	free(store_list(xs, &nr, "/libxl/%u/device/%s", domid, kind));
	return nr;
}

static struct json_object *describe(const struct domain *d, struct xs_handle *xs)
{
	struct json_object *obj = json_object_new_object();

	put_string(obj, "name", d->name);
	put_string(obj, "uuid", d->uuid);
	put_string(obj, "state", state_of(d));
	js_add_u64(obj, "domid", d->domid);
	js_add_u64(obj, "held_kib", d->current_kib);
	js_add_u64(obj, "max_kib", d->max_kib);
	js_add_u64(obj, "vcpus", d->vcpus);
	if (xs) {
		js_add_u64(obj, "disks", count(xs, d->domid, "vbd"));
		js_add_u64(obj, "vifs", count(xs, d->domid, "vif"));
	}
	return obj;
}

/* A list of which the reply has no more than it has room for. */
struct bounded {
	struct json_object *list;
	size_t room;
	bool cut;
};

static void add(struct bounded *b, struct json_object *obj)
{
	size_t len;

	json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &len);
	b->cut = b->cut || len + 1 > b->room || json_object_array_length(b->list) == MAX_GUESTS;
	if (b->cut) {
		json_object_put(obj);
		return;
	}
	b->room -= len + 1;
	json_object_array_add(b->list, obj);
}

static int list_guests(struct bounded *guests, struct json_object *problems)
{
	struct domain *domains = NULL;
	struct xs_handle *xs;
	size_t nr = 0;

	int rc = domains_read(&domains, &nr);

	if (rc)
		return rc;
	xs = store_open();
	if (!xs)
		add_problem(problems, "xenstore does not answer: how many devices the guest VMs have is not known");
	for (size_t i = 0; i < nr; i++)
		if (!probe_is(domains[i].uuid))
			add(guests, describe(&domains[i], xs));
	if (xs)
		store_close(xs);
	domains_free(domains, nr);
	return 0;
}

static void add_down(const char *uuid, const char *name, void *arg)
{
	struct json_object *obj = json_object_new_object();

	put_string(obj, "uuid", uuid);
	put_string(obj, "name", name);
	add(arg, obj);
}

static int add_away(const struct guard_away *away, void *arg)
{
	struct json_object *obj = json_object_new_object();

	put_string(obj, "uuid", away->uuid);
	put_string(obj, "name", away->name);
	json_object_object_add(obj, "since", json_object_new_int64(away->since));
	add(arg, obj);
	return 0;
}

/* Some are enough to begin with. */
static void add_left(const char *text, void *arg)
{
	if (json_object_array_length(arg) < MAX_LEFT)
		add_problem(arg, "%s", text);
}

static void put_memory(struct request *r, struct json_object *problems)
{
	struct json_object *here;
	char why[400];

	if (placement_here(&here, why, sizeof(why))) {
		add_problem(problems, "how much memory is free cannot be read: %s", why);
		return;
	}
	put_number(r, "free_kib", js_u64(here, "free_kib", 0));
	json_object_put(here);
}

int op_system(struct request *r)
{
	struct bounded guests = { .list = json_object_new_array(), .room = GUESTS_ROOM };
	struct bounded away = { .list = json_object_new_array(), .room = AWAY_ROOM };
	struct bounded down = { .list = json_object_new_array(), .room = AWAY_ROOM };
	struct json_object *problems = json_object_new_array(), *chores = json_object_new_array();
	struct utsname uts = {};
	struct timespec up = {};
	struct error err;
	char text[100];
	int rc;

	json_object_object_add(r->out, "guests", guests.list);
	json_object_object_add(r->out, "away", away.list);
	json_object_object_add(r->out, "down", down.list);
	json_object_object_add(r->out, "problems", problems);
	json_object_object_add(r->out, "chores", chores);
	put_string(r->out, "version", VMBEAM_VERSION);
	read_line(BOOT_ID, text, sizeof(text));
	put_string(r->out, "boot", text);
	system_put_xen(r->out);
	uname(&uts);
	put_string(r->out, "kernel", uts.release);
	clock_gettime(CLOCK_BOOTTIME, &up);
	put_number(r, "uptime_s", up.tv_sec);
	put_memory(r, problems);
	/* An empty list would say that there are none. */
	rc = list_guests(&guests, problems);
	if (rc)
		return fail(r, rc, "the guest VMs cannot be listed: is the toolstack of this host VM up?");
	if (down_list(add_down, &down, &err))
		add_problem(problems, "%s", err.text);
	if (guard_list(&guard_here, add_away, &away, &err))
		add_problem(problems, "%s", err.text);
	if (guard_left(&guard_here, add_left, chores, &err))
		add_problem(problems, "%s", err.text);
	if (guests.cut || away.cut || down.cut)
		put_bool(r, "more", true);
	return 0;
}
