// SPDX-License-Identifier: GPL-2.0
#include "agent.h"
#include "check.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "migration.h"

#define TRIES	2

int guard_forget_refuge(struct migration *m)
{
	struct json_object *args;
	struct error err;

	if (!m->came_home || !m->a.up)
		return 0;
	args = json_object_new_object();
	js_add_str(args, "uuid", m->uuid);
	if (agent_call(&m->a, "guard-adopt", args, limit_s(LIMIT_SHORT), NULL, &err))
		log_warn("%s", err.text);
	return 0;
}

int guard_put_back(struct migration *m, struct agent *a)
{
	struct message reply;
	struct error err;

	/* An agent that died of it, or before it, gets it once more from its supervisor's next one. */
	for (int i = 0; i < TRIES && !agent_connect(a, limit_s(LIMIT_CONNECT), &err); i++) {
		struct json_object *args = json_object_new_object();

		js_add_str(args, "uuid", m->uuid);
		if (!agent_call(a, "guard-back", args, limit_s(LIMIT_SHORT), &reply, &err)) {
			m->came_home = a == &m->b && js_bool(reply.json, "was_away");
			if (js_str(reply.json, "left", NULL))
				warning(m, "%s: %s", a->name, js_str(reply.json, "left", ""));
			message_clear(&reply);
			return 0;
		}
		if (a->up)
			break;
	}
	warning(m, "%s is on %s now, and what starts it there by itself could not be moved back: if there is a file in /etc/xen/auto.vmbeam-away there that ends with .%s, move it to /etc/xen/auto without that end, and remove /var/lib/vmbeam-agent/%s: %s",
		m->guest, a->name, m->uuid, m->uuid, err.text);
	return 0;
}
