// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"
#include "homes.h"
#include "js.h"
#include "log.h"
#include "look.h"
#include "requests_list.h"
#include "warnings.h"
#include "worker.h"

static const struct config *config;
/* What was seen last, and when; before the first look the names alone. */
static struct json_object *last;
static int64_t last_seen;
/* Who waits for the errand under way; NULL: has gone, or there is none. */
static struct client *requester;
static struct json_object *answer;
static struct look look;

static struct {
	char *guest;
	struct look look;
	char uuid[40];
	struct error error;
} adopt;

void requests_list_gone(struct client *c)
{
	if (requester == c)
		requester = NULL;
}

void requests_list_open(const struct config *c)
{
	config = c;
	last = json_object_new_array();
	for (size_t i = 0; i < c->nr_hostvms; i++) {
		struct json_object *h = json_object_new_object();

		js_add_str(h, "name", c->hostvms[i].name);
		js_add_str(h, "socket", c->hostvms[i].socket);
		json_object_array_add(last, h);
	}
}

void requests_list_seen(struct json_object *hostvms)
{
	for (size_t i = 0; i < js_len(last); i++) {
		struct json_object *h = look_hostvm(hostvms, js_str(json_object_array_get_idx(last, i), "name", ""));

		if (h)
			json_object_array_put_idx(last, i, json_object_get(h));
	}
	last_seen = time(NULL);
	warnings_count(last);
}

static void give(struct client *c, struct json_object *o)
{
	js_add_str(o, "outcome", "ok");
	json_object_object_add(o, "hostvms", json_object_get(last));
	if (last_seen)
		json_object_object_add(o, "seen", json_object_new_int64(last_seen));
	warnings_add(o, last);
	control_result(c, o);
}

static void looked(void *arg)
{
	struct client *c = requester;
	struct json_object *o = answer;

	(void)arg;
	json_object_put(last);
	last = look.hostvms;
	last_seen = time(NULL);
	warnings_count(last);
	requester = NULL;
	answer = NULL;
	give(c, o);
}

void request_list(struct client *c, enum list list, struct json_object *more)
{
	if (worker_busy() || requester || (list == LIST_NAMES && last_seen)) {
		give(c, more);
		return;
	}
	requester = c;
	answer = more;
	look = (struct look){ .config = config, .reasons = list == LIST_REASONS };
	worker_errand(homes_look, looked, &look);
}

/* On which host VM it is, and its home, by its name or UUID. */
static int find(struct json_object *hostvms, const char *called, struct json_object **guest)
{
	int found = 0;

	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *guests = js_array(json_object_array_get_idx(hostvms, i), "guests");

		for (size_t k = 0; k < js_len(guests); k++) {
			struct json_object *g = json_object_array_get_idx(guests, k);

			if (*js_str(g, "home", "") && (!strcmp(js_str(g, "uuid", ""), called) || !strcmp(js_str(g, "guest", ""), called))) {
				*guest = g;
				found++;
			}
		}
	}
	return found;
}

/* One that was started by hand where it is away from: then it is there, and away no more. Its UUID, or NULL. */
static const char *find_at_home(struct json_object *hostvms, const char *called, const char **home)
{
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i), *away = js_array(h, "away");

		for (size_t k = 0; k < js_len(away); k++) {
			struct json_object *a = json_object_array_get_idx(away, k);
			const char *uuid = js_str(a, "uuid", ""), *name = js_str(a, "name", "");

			if ((strcmp(uuid, called) && strcmp(name, called)) || !(look_guest(h, uuid) || look_named(h, name)))
				continue;
			*home = js_str(h, "name", "");
			return uuid;
		}
	}
	return NULL;
}

static void adopt_run(void *arg)
{
	const char *home = NULL, *uuid;
	struct json_object *guest = NULL;
	int found;

	(void)arg;
	adopt.look = (struct look){ .config = config };
	look_run(&adopt.look);
	found = find(adopt.look.hostvms, adopt.guest, &guest);
	uuid = found ? NULL : find_at_home(adopt.look.hostvms, adopt.guest, &home);
	if (uuid) {
		if (!homes_tell(config, home, uuid, "guard-back", &adopt.error))
			snprintf(adopt.uuid, sizeof(adopt.uuid), "%s", uuid);
	} else if (found != 1) {
		error_set(&adopt.error, found ? "several guest VMs that are away from home are called %s: name it by its UUID" :
			  "no guest VM that is away from home is called %s: vmbeam list shows which are", adopt.guest);
	} else if (!homes_tell(config, js_str(guest, "home", ""), js_str(guest, "uuid", ""), "guard-adopt", &adopt.error)) {
		snprintf(adopt.uuid, sizeof(adopt.uuid), "%s", js_str(guest, "uuid", ""));
		log_info("%s stays where it is: %s has been told", adopt.guest, js_str(guest, "home", ""));
	}
	json_object_put(adopt.look.hostvms);
}

static void adopted(void *arg)
{
	struct json_object *o = json_object_new_object();
	struct client *c = requester;
	struct error err;

	(void)arg;
	requester = NULL;
	/* The plan of what is under way may know it by its name although nothing can be asked about it now. */
	if (drive_busy() && !drive_adopt(*adopt.uuid ? adopt.uuid : adopt.guest, &err))
		adopt.error.text[0] = 0;
	js_add_str(o, "outcome", adopt.error.text[0] ? "refused" : "ok");
	if (adopt.error.text[0])
		js_add_str(o, "error", adopt.error.text);
	free(adopt.guest);
	memset(&adopt, 0, sizeof(adopt));
	control_result(c, o);
}

void request_adopt(struct client *c, const char *guest)
{
	memset(&adopt, 0, sizeof(adopt));
	adopt.guest = strdup(guest);
	if (!adopt.guest) {
		control_refuse(c, "refused", "out of memory");
		return;
	}
	requester = c;
	worker_errand(adopt_run, adopted, NULL);
}
