// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "js.h"
#include "log.h"
#include "recover.h"
#include "text.h"

int recover_remember(struct json_object *record, void *arg)
{
	struct json_object **last = arg;

	json_object_put(*last);
	*last = json_object_get(record);
	return 0;
}

bool recover_over(struct json_object *record)
{
	int state = state_of(js_str(record, "state", ""));

	return state >= 0 && state_over(state);
}

struct json_object *recover_history(struct json_object *record)
{
	static const char *const keys[] = { "guest", "uuid", "from", "to", "state", "error", "lost" };
	struct json_object *report, *over, *v;

	if (!recover_over(record))
		return NULL;
	report = json_object_new_object();
	js_add_str(report, "id", js_str(record, "migration", ""));
	js_add_str(report, "outcome", js_str(record, "state", ""));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_object_get_ex(record, keys[i], &v))
			json_object_object_add(report, keys[i], json_object_get(v));
	over = history_migration(report, js_u64(record, "time", 0));
	json_object_put(report);
	return over;
}

int recover(struct migration *m, struct json_object *last, const struct config *config, struct error *err)
{
	const struct config_hostvm *from, *to;
	char boot_id[sizeof(m->boot_id)];
	bool other_boot;

	if (!last)
		return 0;
	memcpy(boot_id, m->boot_id, sizeof(boot_id));
	if (record_from_json(&m->record, last, err))
		return recover_over(last) ? 0 : -1;
	text_short(m->guest, sizeof(m->guest), m->name);
	other_boot = strcmp(m->boot_id, boot_id);
	if (state_over(m->state)) {
		/* An operator may not have heard of a loss. Beyond a restart of the host nothing is left of it. */
		if (m->state == STATE_LOST && !other_boot)
			m->fate = FATE_LOST;
		return 0;
	}
	/*
	 * Host VMs do not survive the host: there is no side left that the guest could be on, whatever the host VMs are
	 * called by now.
	 */
	if (other_boot) {
		log_warn("migration %s of %s was cut off by a restart of the host: there is nothing left to finish", m->id,
			 m->guest);
		error_set(&m->error, "the host was restarted during the migration, in state \"%s\": neither %s nor %s has survived that; start %s anew",
			  state_name(m->state), m->from, m->to, m->guest);
		m->fate = FATE_ROLLED_BACK;
		migration_record(m, STATE_ROLLED_BACK);
		return 0;
	}
	from = config_hostvm(config, m->from);
	to = config_hostvm(config, m->to);
	if (!from || !to)
		return error_set(err, "migration %s of %s from %s to %s is unfinished in the journal, and the configuration has no host VM %s: put it back until the migration is finished",
				 m->id, m->guest, m->from, m->to, from ? m->to : m->from);
	migration_between(m, from, to);
	m->config = config;
	m->left = true;
	log_warn("migration %s of %s from %s to %s was cut off in state \"%s\": finishing it", m->id, m->guest, m->from,
		 m->to, state_name(m->state));
	if (!m->error.text[0])
		error_set(&m->error, "vmbeamd died in state \"%s\"", state_name(m->state));
	return 1;
}
