// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <time.h>

#include "homes.h"
#include "js.h"
#include "look.h"
#include "patience.h"
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
/* Nobody has asked for the look under way; and it is not to count. */
static bool unasked, given_up;

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
	if (given_up) {
		json_object_put(look.hostvms);
	} else {
		json_object_put(last);
		last = look.hostvms;
		last_seen = time(NULL);
		warnings_count(last);
	}
	requester = NULL;
	answer = NULL;
	unasked = given_up = false;
	if (o)
		give(c, o);
}

void requests_list_look(void)
{
	unasked = true;
	look = (struct look){ .config = config };
	worker_errand(homes_look, looked, &look);
}

void requests_list_make_room(void)
{
	if (!unasked)
		return;
	given_up = true;
	patience_cancel(CANCEL_BY_OPERATOR);
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
