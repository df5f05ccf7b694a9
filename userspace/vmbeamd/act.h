/* SPDX-License-Identifier: GPL-2.0 */
/* Carries out the actions of a maintenance that are no migrations, on the worker's thread. */
#ifndef VMBEAM_ACT_H
#define VMBEAM_ACT_H

#include "config.h"
#include "maintain.h"

struct act {
	const struct config *config;
	const struct maintenance *m;	/* its plan, id and step: these stay meanwhile */
	struct maintain_action action;
	const char *system_config;	/* what xl creates the host VM from; NULL: the configuration does not say */
	uint32_t domid;			/* of the guest VM, where the action is about one that runs */
	bool failed;			/* comes back, */
	struct error error;		/* and why */
};

/* For worker_errand(); @act is a struct act. Of ACT_STEP, the hooks: after the step under way and before the next. */
void act_run(void *act);
/* Likewise: the hooks before the first step, which has begun when they let it. */
void act_before(void *act);

#endif
