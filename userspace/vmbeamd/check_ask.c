// SPDX-License-Identifier: GPL-2.0
#include "check_ask.h"
#include "clock.h"
#include "js.h"
#include "limit.h"

static const char guest_check[] = "guest-check";

/* A clock among @items, which have just been told, is compared with our own: as it is now. */
static void stamp(struct json_object *items)
{
	int64_t now = clock_ns();

	for (size_t i = 0; i < js_len(items); i++) {
		struct json_object *item = json_object_array_get_idx(items, i);

		if (js_get(item, "realtime_ns", json_type_int))
			js_add_u64(item, "seen_ns", now);
	}
}

static struct json_object *told(struct message *reply, const char *items)
{
	struct json_object *json = json_object_get(reply->json);

	stamp(js_array(json, items));
	message_clear(reply);
	return json;
}

static struct json_object *guest_args(const char *name)
{
	struct json_object *args = json_object_new_object();

	js_add_str(args, "name", name);
	return args;
}

void check_ask_guest_begin(struct agent *source, const char *name)
{
	struct error err;

	agent_begin(source, guest_check, guest_args(name), &err);
}

bool check_ask_guest_is_under_way(const struct agent *source)
{
	return source->asked && source->asked_op == guest_check;
}

struct json_object *check_ask_guest_end(struct agent *source, struct error *err)
{
	struct message reply;

	if (agent_end(source, limit_s(LIMIT_CHECK), &reply, err))
		return NULL;
	return told(&reply, "needs");
}

struct json_object *check_ask_guest(struct agent *source, const char *name, struct error *err)
{
	return agent_begin(source, guest_check, guest_args(name), err) ? NULL : check_ask_guest_end(source, err);
}

struct json_object *check_ask_destination(struct agent *dest, const char *name, const char *uuid, struct json_object *needs,
					  struct error *err)
{
	struct json_object *args = guest_args(name);
	struct message reply;

	js_add_str(args, "uuid", uuid);
	json_object_object_add(args, "needs", json_object_get(needs));
	if (agent_call(dest, "dest-check", args, limit_s(LIMIT_CHECK), &reply, err))
		return NULL;
	return told(&reply, "offers");
}
