// SPDX-License-Identifier: GPL-2.0
#include "hooks_run.h"
#include "log.h"
#include "migration.h"

static struct hook_facts facts(const struct migration *m, enum hook_event event)
{
	return (struct hook_facts){
		.event = event,
		.guest = m->name,
		.uuid = m->uuid,
		.from = m->from,
		.to = m->to,
		.maintenance = *m->maintenance ? m->maintenance : NULL,
		.what = *m->what ? m->what : NULL,
	};
}

int migration_hooks_before(struct migration *m)
{
	struct hook_facts f = facts(m, HOOK_GUEST_BEFORE);

	if (!m->config)
		return 0;
	m->hooked = true;
	return hooks_run(m->config->hooks, &f, &m->error);
}

void migration_hooks_after(const struct migration *m, const char *outcome)
{
	struct hook_facts f = facts(m, HOOK_GUEST_AFTER);
	struct error err;

	if (!m->hooked || !m->config)
		return;
	f.outcome = outcome;
	f.restarted = m->left;
	f.error = m->error.text[0] ? m->error.text : NULL;
	if (hooks_run(m->config->hooks, &f, &err))
		log_warn("%s", err.text);
}
