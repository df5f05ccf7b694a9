// SPDX-License-Identifier: GPL-2.0
#include "js.h"
#include "look.h"
#include "monitor.h"
#include "sentences.h"
#include "text.h"
#include "warnings.h"

static void warn_of_double(struct json_object *warnings, const char *home, struct json_object *away, struct json_object *guest,
			   int elsewhere, const char *which)
{
	unsigned long long domid = js_u64(guest, "domid", 0);
	const char *uuid = js_str(guest, "uuid", "?");
	char called[TEXT_SHORT];

	text_short(called, sizeof(called), js_str(away, "name", "?"));
	if (elsewhere > 0)
		sentences_add(warnings, "%s is on %s, which it has left, and on %s: both write to its disks. Destroy the one on %s at once, which somebody started there: xl destroy %llu in its management VM (UUID %s)",
			      called, home, which, home, domid, uuid);
	else if (elsewhere)
		sentences_add(warnings, "%s is on %s, which it has left, as domain %llu (UUID %s): somebody started it there. Whether it is elsewhere, too, is not known, since no agent answers on %s. If it is, destroy one of them at once: both write to its disks",
			      called, home, domid, uuid, which);
	else
		sentences_add(warnings, "%s is on %s, which it has left, as domain %llu (UUID %s), and nowhere else: somebody started it there. Once it runs, what starts it there by itself is put back; if this warning stays, type vmbeam adopt %s",
			      called, home, domid, uuid, js_str(away, "uuid", "?"));
}

static struct json_object *describe_double(const char *home, struct json_object *guest)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "guest", js_str(guest, "guest", "?"));
	js_add_str(o, "uuid", js_str(guest, "uuid", "?"));
	js_add_str(o, "hostvm", home);
	js_add_u64(o, "domid", js_u64(guest, "domid", 0));
	return o;
}

/*
 * One that is where it is away from: two would use its disks. By its name, too: without uuid= in its configuration it has
 * another UUID whenever xl creates it. @doubles gets those that are elsewhere as well, or may be; it may be NULL, as may
 * @warnings.
 */
static void find_doubles(struct json_object *hostvms, struct json_object *h, struct json_object *warnings,
			 struct json_object *doubles)
{
	struct json_object *away = js_array(h, "away");
	const char *home = js_str(h, "name", "?");

	for (size_t k = 0; k < js_len(away); k++) {
		struct json_object *a = json_object_array_get_idx(away, k);
		const char *uuid = js_str(a, "uuid", ""), *name = js_str(a, "name", "?");
		struct json_object *g = look_at(h, uuid, name);
		char which[500];
		int elsewhere;

		if (!g)
			continue;
		elsewhere = look_elsewhere(hostvms, home, uuid, name, which, sizeof(which));
		if (warnings)
			warn_of_double(warnings, home, a, g, elsewhere, which);
		if (elsewhere && doubles)
			json_object_array_add(doubles, describe_double(home, g));
	}
}

/* One that an operator has shut down while it was away, say. It may also be rebooting. */
static void warn_of_missing(struct json_object *warnings, struct json_object *hostvms, struct json_object *h)
{
	struct json_object *away = js_array(h, "away");
	char called[TEXT_SHORT], which[CONFIG_MAX_NAME + 1];

	for (size_t k = 0; k < js_len(away); k++) {
		struct json_object *a = json_object_array_get_idx(away, k);
		const char *uuid = js_str(a, "uuid", ""), *name = js_str(a, "name", "?"), *home = js_str(h, "name", "?");

		if (look_has(h, uuid, name) || look_elsewhere(hostvms, home, uuid, name, which, sizeof(which)))
			continue;
		text_short(called, sizeof(called), name);
		sentences_add(warnings, "%s is away from %s, and on no host VM: unless it is rebooting, start it on %s (xl create). Then what starts it there by itself is put back",
			      called, home, home);
	}
}

/* The sentences of its agent. */
static void warn_of_all(struct json_object *warnings, struct json_object *h, const char *key)
{
	struct json_object *list = js_array(h, key);

	for (size_t k = 0; k < js_len(list); k++)
		sentences_add(warnings, "%s: %s", js_str(h, "name", "?"), sentences_said(list, k));
}

void warnings_add(struct json_object *o, struct json_object *hostvms)
{
	struct json_object *warnings = json_object_new_array(), *doubles = json_object_new_array();

	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i);

		find_doubles(hostvms, h, warnings, doubles);
		warn_of_missing(warnings, hostvms, h);
		warn_of_all(warnings, h, "problems");
		warn_of_all(warnings, h, "chores");
	}
	json_object_object_add(o, "warnings", warnings);
	json_object_object_add(o, "doubles", doubles);
}

void warnings_count(struct json_object *hostvms)
{
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i), *doubles = json_object_new_array();

		find_doubles(hostvms, h, NULL, doubles);
		if (js_array(h, "guests"))
			monitor_doubled(js_str(h, "name", ""), js_len(doubles));
		json_object_put(doubles);
	}
}
