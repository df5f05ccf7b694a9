// SPDX-License-Identifier: GPL-2.0
/*
 * No device is lost on the way, and no setting. The toolstack attaches and detaches while the guest VM runs, and also while it is
 * suspended; what the destination makes is what the configuration said when the save was begun.
 */
#include <stdio.h>
#include <string.h>

#include "js.h"
#include "rules.h"

#define MAX_TRAITS 6

/*
 * What of an item must be the same, later and on the other side. A hotplug script may be another one on another host. Kinds
 * that are not here change all the time, or are of the configuration, which was taken along: nobody lists them again.
 */
static const struct {
	const char *kind;
	const char *on_source[MAX_TRAITS], *on_destination[MAX_TRAITS];
} again[] = {
	/*
	 * Not on the destination: its toolstack makes them of the configuration that came along, and what changed since
	 * is seen on the source. The daemon looks at the name there by itself.
	 */
	{ "name", { "name" }, { NULL } },
	{ "target", { "target_kib", "static_max_kib" }, { NULL } },
	{ "available", { "vcpus" }, { NULL } },
	{ "vbd", { "backend", "target", "mode", "backend_domid" }, { "backend", "target", "mode", "backend_domid" } },
	{ "vif", { "mac", "bridge", "backend_domid" }, { "mac", "bridge", "backend_domid" } },
	{ "vcpus", { "number", "online" }, { "number" } },
	{ "cpupool", { "name" }, { "name" } },
	{ "pin", { "hard", "soft" }, { NULL } },
	{ "cpu", { NULL }, { NULL } },
};

#define NR_AGAIN (sizeof(again) / sizeof(again[0]))

/* A kind that nobody knows is one more that came. */
static bool listed_again(struct json_object *item)
{
	static const char *const once[] = { "memory", "file", "clock", "key" };

	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (!strcmp(js_str(item, "kind", "?"), once[i]))
			return false;
	return true;
}

static struct json_object *find(struct json_object *list, struct json_object *item)
{
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *other = json_object_array_get_idx(list, i);

		if (!strcmp(js_str(other, "kind", ""), js_str(item, "kind", "?")) &&
		    !strcmp(js_str(other, "id", ""), js_str(item, "id", "")))
			return other;
	}
	return NULL;
}

static bool same(struct json_object *a, struct json_object *b, const char *key)
{
	struct json_object *x = NULL, *y = NULL;

	json_object_object_get_ex(a, key, &x);
	json_object_object_get_ex(b, key, &y);
	return x && y ? json_object_equal(x, y) : x == y;
}

/* An operator changes it, and is told from what to what. */
static bool is_setting(struct json_object *item)
{
	const char *kind = js_str(item, "kind", "");

	return !strcmp(kind, "name") || !strcmp(kind, "target") || !strcmp(kind, "available");
}

/* NULL: all is the same. */
static const char *trait_that_differs(struct json_object *a, struct json_object *b, bool on_source)
{
	for (size_t i = 0; i < NR_AGAIN; i++) {
		const char *const *traits = on_source ? again[i].on_source : again[i].on_destination;

		if (strcmp(js_str(a, "kind", ""), again[i].kind))
			continue;
		for (; *traits; traits++)
			if (!same(a, b, *traits))
				return *traits;
	}
	return NULL;
}

static void say_changed(struct json_object *agreed, struct json_object *now, const char *called, const struct sides *s,
			struct finding *f)
{
	struct finding was, is;

	rule_compare(agreed, NULL, s, &was);
	rule_compare(now, NULL, s, &is);
	snprintf(f->why, sizeof(f->why), "%s: %s of %s was changed from %.200s to %.200s after the check, and that would have been lost: %s stays on %s with it. Migrate %s again",
		 s->from, called, s->guest, was.needs, is.needs, s->guest, s->from, s->guest);
}

int rule_still(struct json_object *agreed, struct json_object *now, const struct sides *s, struct finding *f)
{
	char text[400];

	memset(f, 0, sizeof(*f));
	f->verdict = VERDICT_REFUSED;
	for (size_t i = 0; i < js_len(now); i++) {
		struct json_object *item = json_object_array_get_idx(now, i);

		rule_called(item, text);
		if (listed_again(item) && !find(agreed, item)) {
			snprintf(f->why, sizeof(f->why), "%s: %s was attached to %s after the check, and would not have come along: migrate %s again",
				 s->from, text, s->guest, s->guest);
			return -1;
		}
	}
	for (size_t i = 0; i < js_len(agreed); i++) {
		struct json_object *item = json_object_array_get_idx(agreed, i), *there = find(now, item);
		const char *trait = there ? trait_that_differs(item, there, true) : NULL;

		if (!listed_again(item))
			continue;
		rule_called(there ?: item, text);
		if (!there)
			snprintf(f->why, sizeof(f->why), "%s: %s was detached from %s after the check: migrate %s again", s->from, text,
				 s->guest, s->guest);
		else if (trait && is_setting(item))
			say_changed(item, there, text, s, f);
		else if (trait)
			snprintf(f->why, sizeof(f->why), "%s: %s of %s has another %s than at the check: migrate %s again", s->from,
				 text, s->guest, trait, s->guest);
		else if (!strcmp(js_str(there, "state", ""), "detaching"))
			snprintf(f->why, sizeof(f->why), "%s: %s is being detached from %s: migrate %s again when it has gone", s->from,
				 text, s->guest, s->guest);
		if (*f->why)
			return -1;
	}
	f->verdict = VERDICT_OFFERED;
	return 0;
}

int rule_restored(struct json_object *agreed, struct json_object *now, const struct sides *s, struct finding *f)
{
	char text[400], missing[400];

	memset(f, 0, sizeof(*f));
	f->verdict = VERDICT_REFUSED;
	for (size_t i = 0; i < js_len(agreed); i++) {
		struct json_object *item = json_object_array_get_idx(agreed, i), *there = find(now, item);
		const char *trait = there ? trait_that_differs(item, there, false) : NULL;

		/* Pins are numbers of the other host VM's CPUs. */
		if (!listed_again(item) || !strcmp(js_str(item, "kind", ""), "pin"))
			continue;
		rule_called(there ?: item, text);
		if (!there)
			snprintf(f->why, sizeof(f->why), "%s: the restored %s lacks %s which it has on %s: look at the toolstack's logs on %s (/var/log/xen)",
				 s->to, s->guest, text, s->from, s->to);
		else if (trait)
			snprintf(f->why, sizeof(f->why), "%s: %s of the restored %s has another %s than on %s: look at the toolstack's logs on %s (/var/log/xen)",
				 s->to, text, s->guest, trait, s->from, s->to);
		else if (features_missing(js_array(item, "features"), js_array(there, "features"), missing, sizeof(missing)))
			snprintf(f->why, sizeof(f->why), "%s: the hypervisor took CPU features from the restored %s that it has on %s: %s. Move it to a host VM with these",
				 s->to, s->guest, s->from, missing);
		if (*f->why)
			return -1;
	}
	f->verdict = VERDICT_OFFERED;
	return 0;
}
