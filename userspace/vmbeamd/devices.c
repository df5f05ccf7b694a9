// SPDX-License-Identifier: GPL-2.0
/* Asks both sides again what the guest VM needs and has. still.c compares it with what was agreed on in the check. */
#include "check.h"
#include "devices.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"

/* Consumes the reply. */
static int take(struct migration *m, struct agent *a, struct message *reply,
		int (*compare)(struct json_object *agreed, struct json_object *now, const struct sides *s, struct finding *f))
{
	struct json_object *now = js_array(reply->json, "needs");
	struct sides sides = check_sides(m);
	struct finding f;
	int rc = 0;

	if (!now)
		rc = error_set(&m->error, "%s: the agent does not list what %s needs", a->name, m->guest);
	else if (compare(m->needs, now, &sides, &f))
		rc = error_set(&m->error, "%s", f.why);
	message_clear(reply);
	return rc;
}

int devices_still(struct migration *m)
{
	struct message reply;

	if (agent_call(&m->a, "needs", migration_domain(m, m->dom_a), limit_s(LIMIT_SHORT), &reply, &m->error))
		return -1;
	return take(m, &m->a, &reply, rule_still);
}

/* Every frame is on the destination: if the source dies now the guest VM goes on there, with what the suspend had. */
static int source_still(struct migration *m)
{
	if (!devices_still(m))
		return 0;
	if (!hostvm_is_dead(m->host_a))
		return -1;
	log_warn("%s has died (%s): %s goes on to %s", m->from, m->error.text, m->guest, m->to);
	m->error.text[0] = 0;
	return 0;
}

int devices_both(struct migration *m, bool with_source)
{
	struct message reply;

	if (agent_begin(&m->b, "needs", migration_domain(m, m->dom_b), &m->error) ||
	    (with_source && source_still(m)) ||
	    agent_end(&m->b, limit_s(LIMIT_SHORT), &reply, &m->error))
		return -1;
	return take(m, &m->b, &reply, rule_restored);
}
