// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "js.h"
#include "record.h"

struct json_object *record_to_json(const struct record *r, enum state state)
{
	struct json_object *o = json_object_new_object();

	js_add_u64(o, "version", RECORD_VERSION);
	js_add_str(o, "migration", r->id);
	js_add_str(o, "state", state_name(state));
	js_add_u64(o, "time", time(NULL));
	js_add_str(o, "boot_id", r->boot_id);
	js_add_str(o, "guest", r->name);
	js_add_str(o, "uuid", r->uuid);
	js_add_str(o, "from", r->from);
	js_add_str(o, "to", r->to);
	if (*r->maintenance) {
		js_add_str(o, "maintenance", r->maintenance);
		js_add_str(o, "what", r->what);
	}
	js_add_u64(o, "host_a", r->host_a);
	js_add_u64(o, "host_b", r->host_b);
	js_add_u64(o, "dom_a", r->dom_a);
	js_add_u64(o, "dom_b", r->dom_b);
	js_add_u64(o, "txn", r->txn_id);
	js_add_bool(o, "comes_home", r->comes_home);
	js_add_bool(o, "went", r->went);
	js_add_bool(o, "resumed", r->resumed);
	js_add_bool(o, "hooked", r->hooked);
	if (r->error.text[0])
		js_add_str(o, "error", r->error.text);
	if (r->lost.text[0])
		js_add_str(o, "lost", r->lost.text);
	return o;
}

/* A text that has to be there and to fit. */
static bool text(struct json_object *json, const char *key, char *out, size_t size)
{
	const char *v = js_str(json, key, NULL);

	if (!v || strlen(v) >= size)
		return false;
	strcpy(out, v);
	return true;
}

static bool number(struct json_object *json, const char *key)
{
	return js_get(json, key, json_type_int);
}

int record_from_json(struct record *r, struct json_object *json, struct error *err)
{
	uint64_t version = js_u64(json, "version", 1);
	int state = state_of(js_str(json, "state", ""));

	if (version > RECORD_VERSION)
		return error_set(err, "the journal's record of migration %s is of version %llu, and this vmbeamd knows %d: start the later vmbeamd that wrote it",
				 js_str(json, "migration", "?"), (unsigned long long)version, RECORD_VERSION);
	if (state < 0 || !number(json, "host_a") || !number(json, "host_b") || !number(json, "dom_a") ||
	    !number(json, "dom_b") || !number(json, "txn") || !text(json, "migration", r->id, sizeof(r->id)) ||
	    !text(json, "uuid", r->uuid, sizeof(r->uuid)) || !text(json, "boot_id", r->boot_id, sizeof(r->boot_id)) ||
	    !text(json, "from", r->from, sizeof(r->from)) || !text(json, "to", r->to, sizeof(r->to)) ||
	    !js_str(json, "guest", NULL))
		return error_set(err, "the journal's record of migration %s, in state \"%s\", lacks something or makes no sense: see which side its guest VM is on, and move the file away",
				 js_str(json, "migration", "?"), js_str(json, "state", "?"));
	r->name = strdup(js_str(json, "guest", ""));
	if (!r->name)
		return error_set(err, "out of memory");
	snprintf(r->maintenance, sizeof(r->maintenance), "%s", js_str(json, "maintenance", ""));
	snprintf(r->what, sizeof(r->what), "%s", js_str(json, "what", ""));
	r->state = state;
	r->host_a = js_u64(json, "host_a", 0);
	r->host_b = js_u64(json, "host_b", 0);
	r->dom_a = js_u64(json, "dom_a", 0);
	r->dom_b = js_u64(json, "dom_b", 0);
	r->txn_id = js_u64(json, "txn", 0);
	r->comes_home = js_bool(json, "comes_home");
	r->went = js_bool(json, "went");
	r->resumed = js_bool(json, "resumed");
	r->hooked = js_bool(json, "hooked");
	snprintf(r->error.text, sizeof(r->error.text), "%s", js_str(json, "error", ""));
	snprintf(r->lost.text, sizeof(r->lost.text), "%s", js_str(json, "lost", ""));
	return 0;
}
