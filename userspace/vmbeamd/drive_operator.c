// SPDX-License-Identifier: GPL-2.0
/* What an operator says of the one under way. */
#include <string.h>

#include "drive.h"

static int none(struct error *err)
{
	return error_set(err, "no evacuation, return or maintenance is under way");
}

int drive_resume(struct error *err)
{
	struct maintenance *m = drive_under_way();

	if (!m)
		return none(err);
	/* Else it is only watched. */
	if (!m->asked.text[0])
		return 0;
	maintain_resume(m);
	return drive_go_on(err);
}

int drive_abort(const char *id, struct error *err)
{
	struct maintenance *m = drive_under_way();

	if (!m)
		return none(err);
	if (*id && strcmp(id, m->id))
		return error_set(err, "%s is under way, with the id %s and not %.64s", drive_what(), m->id, id);
	maintain_abort(m);
	drive_call_off();
	return drive_go_on(err);
}

int drive_adopt(const char *uuid, struct error *err)
{
	struct maintenance *m = drive_under_way();

	if (!m)
		return none(err);
	if (maintain_adopt(m, uuid))
		return error_set(err, "%s has no such guest VM", drive_what());
	return drive_go_on(err);
}
