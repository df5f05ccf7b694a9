// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "drive_seen.h"
#include "js.h"
#include "look.h"

static struct json_object *seen;	/* the host VMs as look.c has them; NULL: nobody has looked */
static enum maintain_where *where;	/* of each guest VM of the plan */

static int is_on(const char *name, const struct plan_guest *g)
{
	return look_has(look_hostvm(seen, name), g->uuid, g->name);
}

int drive_seen_take(const struct maintenance *m, struct json_object *hostvms)
{
	drive_seen_forget();
	seen = hostvms;
	where = calloc(m->plan.nr ?: 1, sizeof(*where));
	if (!where)
		return -1;
	for (size_t i = 0; i < m->plan.nr; i++)
		where[i] = maintain_where(is_on(maintain_home(m), &m->plan.guests[i]),
					  is_on(maintain_refuge(m), &m->plan.guests[i]));
	return 0;
}

void drive_seen_forget(void)
{
	json_object_put(seen);
	seen = NULL;
	free(where);
	where = NULL;
}

static bool is_planned(const struct maintenance *m, const char *uuid)
{
	for (size_t i = 0; i < m->plan.nr; i++)
		if (!strcmp(m->plan.guests[i].uuid, uuid))
			return !m->guests[i].adopted;	/* which takes no part, and is in the way if it is at home */
	return false;
}

struct maintain_seen drive_seen(const struct maintenance *m)
{
	struct json_object *home = look_hostvm(seen, maintain_home(m)), *guests = js_array(home, "guests");
	const char *state = js_str(home, "state", "unknown");
	struct maintain_seen s = {
		.guests = where,
		.system = !strcmp(state, "up") ? SYSTEM_UP : !strcmp(state, "unknown") ? SYSTEM_UNKNOWN : SYSTEM_GONE,
		.agent = js_bool(home, "agent"),
		.boot = js_str(home, "boot", ""),
		.xen = js_str(home, "xen", ""),
	};

	for (size_t i = 0; i < js_len(guests); i++)
		s.others += !is_planned(m, js_str(json_object_array_get_idx(guests, i), "uuid", ""));
	return s;
}

uint32_t drive_seen_domid(const struct maintenance *m, size_t guest)
{
	return js_u64(look_guest(look_hostvm(seen, maintain_home(m)), m->plan.guests[guest].uuid), "domid", 0);
}

struct maintain_action drive_seen_next(const struct maintenance *m, const struct maintain_action *a)
{
	struct maintain_seen s = drive_seen(m);
	enum maintain_where now = where[a->guest];
	struct maintain_action next;

	where[a->guest] = a->act == ACT_MOVE_AWAY ? WHERE_REFUGE : WHERE_HOME;
	next = maintain_next(m, &s);
	where[a->guest] = now;
	return next;
}
