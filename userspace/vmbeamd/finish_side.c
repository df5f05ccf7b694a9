// SPDX-License-Identifier: GPL-2.0
/* What either way of the end asks of an agent, and makes of its answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "finish.h"
#include "js.h"
#include "limit.h"
#include "log.h"

struct json_object *finish_domain(struct agent *a, const struct migration *m, uint32_t domid)
{
	struct json_object *list = js_array(a->hello, "domains");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *d = json_object_array_get_idx(list, i);
		uint32_t is = js_u64(d, "domid", 0);

		/* One that is dying is gone, for all but the export that pins its frames. */
		if (is && (!domid || is == domid) && !js_bool(d, "dying") && !strcasecmp(js_str(d, "uuid", ""), m->uuid))
			return d;
	}
	return NULL;
}

int finish_release_exports(struct migration *m, struct agent *a, uint32_t domid, bool armed_too)
{
	struct json_object *list;

	if (agent_hello(a, &m->finishing))
		return -1;
	list = json_object_get(js_array(a->hello, "exports"));
	for (size_t i = 0; domid && i < js_len(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i), *args;

		if (js_u64(e, "domid", 0) != domid || (js_bool(e, "armed") && !armed_too))
			continue;
		args = json_object_new_object();
		js_add_u64(args, "export", js_u64(e, "id", 0));
		if (agent_call(a, "export-release", args, limit_s(LIMIT_LONG), NULL, &m->finishing) &&
		    strcmp(m->finishing.code, "ENOENT")) {
			json_object_put(list);
			return -1;
		}
	}
	json_object_put(list);
	return 0;
}

int finish_ask(struct migration *m, struct agent *a, const char *op, struct json_object *args, int limit_s)
{
	if (!agent_call(a, op, args, limit_s, NULL, &m->finishing))
		return 0;
	log_warn("%s", m->finishing.text);
	return a->up ? 0 : -1;
}

int finish_still_there(struct migration *m, struct agent *a, uint32_t domid)
{
	struct json_object *d;

	if (agent_hello(a, &m->finishing))
		return -1;
	d = finish_domain(a, m, domid);
	if (d)
		return error_set(&m->finishing, "%s: domain %" PRIu64 " of %s is still there after its destruction", a->name,
				 js_u64(d, "domid", 0), m->guest);
	return 0;
}

uint64_t finish_armed_export(struct agent *a, uint32_t domid)
{
	struct json_object *list = js_array(a->hello, "exports");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);

		if (js_u64(e, "domid", 0) == domid && js_bool(e, "armed"))
			return js_u64(e, "id", 0);
	}
	return 0;
}

void finish_lose(struct migration *m, struct agent *a, uint32_t domid, const char *when)
{
	uint64_t id = finish_armed_export(a, domid);
	char kept[256] = "no armed export there holds its memory";

	if (id)
		snprintf(kept, sizeof(kept), "export %" PRIu64 " there holds its memory, which cannot be made to run: \"vmbeam export release %" PRIu64 "\" in the management VM of %s gives it back",
			 id, id, a->name);
	error_set(&m->lost, "%s: domain %u of %s was destroyed by somebody %s: the guest VM is lost; %s", a->name, domid,
		  m->guest, when, kept);
}

void finish_resumed(struct migration *m)
{
	m->resumed = true;
	migration_record(m, m->state);
}
