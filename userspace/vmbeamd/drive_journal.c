// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drive_journal.h"
#include "drive_tell.h"
#include "journal.h"
#include "js.h"
#include "log.h"
#include "migration.h"
#include "recover.h"

static struct journal journal;
static char *path;
static bool behind;

int drive_journal_name(const char *migrations, struct error *err)
{
	return asprintf(&path, "%s.maintenance", migrations) < 0 ? error_set(err, "out of memory") : 0;
}

int drive_journal_open(struct json_object **last, struct error *err)
{
	int rc = journal_open(&journal, path, recover_remember, last);

	if (rc == -EBADMSG)
		return error_set(err, "the journal of maintenances is damaged in the middle, so no evacuation, return or maintenance can begin: see where the guest VMs are (vmbeam list), bring them where they belong (vmbeam migrate), and move the file away (mv %s %s.damaged)",
				 path, path);
	if (rc)
		return error_set(err, "the journal of maintenances, %s, cannot be read, so no evacuation, return or maintenance can begin: %s",
				 path, strerror(-rc));
	return 0;
}

void drive_journal_close(void)
{
	journal_close(&journal);
}

const char *drive_journal_path(void)
{
	return path;
}

int drive_journal_write(const struct maintenance *m)
{
	struct json_object *o = maintain_to_json(m);
	char boot_id[40];
	int rc;

	migration_boot_id(boot_id, sizeof(boot_id));
	js_add_str(o, "boot_id", boot_id);
	rc = journal_append(&journal, o);
	json_object_put(o);
	if (rc && !behind)
		log_err("%s goes on when its journal, %s, can be written: %s", drive_tell_what(m), path, strerror(-rc));
	behind = rc;
	return rc ? -1 : 0;
}

bool drive_journal_is_behind(void)
{
	return behind;
}

void drive_journal_take_back(void)
{
	int rc = journal_take_back(&journal);

	behind = false;
	if (rc)
		log_err("%s cannot be written: %s; move it away before vmbeamd is restarted, or that begins what was refused",
			path, strerror(-rc));
}

void drive_journal_shorten(void)
{
	journal_tidy(&journal);
}
