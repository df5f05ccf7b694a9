// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent.h"
#include "check.h"
#include "homes.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "migration.h"

#define TRIES	2

void guard_forget_refuges(struct migration *m)
{
	if (!m->comes_home)
		return;
	for (size_t i = 0; i < m->config->nr_hostvms; i++) {
		const char *name = m->config->hostvms[i].name;
		struct error err;
		uint32_t domid;

		/* The source has written nothing down this time. */
		if (!strcmp(name, m->from) || !strcmp(name, m->to))
			continue;
		if (hostvm_domid(name, &domid, &err))
			log_info("%s is home on %s, and %s was not told so: %s", m->guest, m->to, name, err.text);
		else if (homes_tell(m->config, name, m->uuid, "guard-adopt", &err))
			warning(m, "%s is home on %s, and %s could not be told so: if vmbeam list shows it as away from %s, type vmbeam adopt %s: %s",
				m->guest, m->to, name, name, m->uuid, err.text);
	}
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
