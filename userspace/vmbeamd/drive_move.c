// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "drive_move.h"
#include "drive_seen.h"

struct migration *drive_move_make(const struct maintenance *m, const struct maintain_action *a, const struct config *config,
				  struct journal *migrations)
{
	const char *home = maintain_home(m), *refuge = maintain_refuge(m);
	const struct config_hostvm *from = config_hostvm(config, a->act == ACT_MOVE_AWAY ? home : refuge);
	const struct config_hostvm *to = config_hostvm(config, a->act == ACT_MOVE_AWAY ? refuge : home);
	struct migration *mig = from && to ? malloc(sizeof(*mig)) : NULL;
	struct maintain_action next;

	if (!mig)
		return NULL;
	migration_init(mig, migrations);
	mig->config = config;
	snprintf(mig->maintenance, sizeof(mig->maintenance), "%s", m->id);
	snprintf(mig->what, sizeof(mig->what), "%s", plan_whats[m->plan.what]);
	migration_between(mig, from, to);
	/* By the UUID: somebody may have renamed it. */
	if (migration_name(mig, m->plan.guests[a->guest].uuid)) {
		migration_clear(mig);
		free(mig);
		return NULL;
	}
	next = drive_seen_next(m, a);
	if (next.act == a->act)
		snprintf(mig->next, sizeof(mig->next), "%s", m->plan.guests[next.guest].uuid);
	return mig;
}
