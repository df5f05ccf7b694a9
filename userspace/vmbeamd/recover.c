// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "js.h"
#include "log.h"
#include "recover.h"

int recover_remember(struct json_object *record, void *arg)
{
	struct json_object **last = arg;

	json_object_put(*last);
	*last = json_object_get(record);
	return 0;
}

bool recover_over(struct json_object *record)
{
	const char *state = js_str(record, "state", "");

	return !strcmp(state, "done") || !strcmp(state, "rolled-back") || !strcmp(state, "lost") ||
	       !strcmp(state, "forgotten");
}

int recover(struct migration *m, struct json_object *last, const struct config *config, struct error *err)
{
	const char *state = js_str(last, "state", "");

	if (!last)
		return 0;
	if (recover_over(last)) {
		/* An operator may not have heard of a loss. Beyond a restart of the host nothing is left of it. */
		if (!strcmp(state, "lost") && !migration_from_record(m, last, config) &&
		    !strcmp(m->boot_id, js_str(last, "boot_id", "")))
			m->fate = FATE_LOST;
		return 0;
	}
	if (migration_from_record(m, last, config))
		return error_set(err, "migration %s of %s from %s to %s is unfinished in the journal, and its state \"%s\" or one of its host VMs is not known to this configuration",
				 js_str(last, "migration", "?"), js_str(last, "guest", "?"), js_str(last, "from", "?"),
				 js_str(last, "to", "?"), state);
	/* Host VMs do not survive the host: there is no side left that the guest could be on. */
	if (strcmp(m->boot_id, js_str(last, "boot_id", ""))) {
		log_warn("migration %s of %s was cut off by a restart of the host: there is nothing left to finish", m->id,
			 m->guest);
		error_set(&m->error, "the host was restarted during the migration");
		migration_record(m, "rolled-back");
		return 0;
	}
	log_warn("migration %s of %s from %s to %s was cut off in state \"%s\": finishing it", m->id, m->guest, m->from,
		 m->to, m->state);
	if (!m->error.text[0])
		error_set(&m->error, "vmbeamd died in state \"%s\"", m->state);
	return 1;
}
