// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "drive_journal.h"
#include "drive_recover.h"
#include "drive_tell.h"
#include "js.h"
#include "log.h"
#include "migration.h"
#include "monitor.h"

int drive_recover(struct maintenance *m, struct json_object *last, const struct config *config, struct error *err)
{
	const char *was = js_str(last, "boot_id", ""), *path = drive_journal_path();
	struct error why;
	char boot_id[40];

	if (maintain_from_json(m, last, &why))
		return error_set(err, "%s: no evacuation, return or maintenance can begin until you have seen where the guest VMs are (vmbeam list) and moved the file away (mv %s %s.damaged)",
				 why.text, path, path);
	migration_boot_id(boot_id, sizeof(boot_id));
	if (maintain_over(m) && !monitor_has(m->id))
		monitor_over(maintain_report(m, NULL, m->began_ms[m->step]));
	if (maintain_over(m) || strcmp(was, boot_id)) {
		if (!maintain_over(m))
			log_warn("%s was cut off by a restart of the host: guest VMs that were away from %s are started by nobody; start each there (xl create): what starts it there by itself is put back when vmbeam status sees it there",
				 drive_tell_what(m), maintain_home(m));
		maintain_clear(m);
		return 0;
	}
	if (!config_hostvm(config, m->plan.from) || !config_hostvm(config, m->plan.to)) {
		error_set(err, "%s is not over, and the configuration of vmbeamd no longer has both %s and %s: put them back until it is, and restart vmbeamd; or give it up: move %s away",
			  drive_tell_what(m), m->plan.from, m->plan.to, path);
		maintain_clear(m);
		return -1;
	}
	monitor_maintenance(true, m->asked.text[0]);
	log_info("%s goes on where it was: %s", drive_tell_what(m), maintain_steps[m->step]);
	if (m->asked.text[0])
		log_warn("%s waits for an operator: %s", drive_tell_what(m), m->asked.text);
	return 1;
}
