/* SPDX-License-Identifier: GPL-2.0 */
/* What a plan is made from: which guest VMs there are, and what stands in the way of each. */
#ifndef VMBEAM_SURVEY_H
#define VMBEAM_SURVEY_H

#include "config.h"
#include "journal.h"
#include "plan.h"

struct survey {
	const struct config *config;
	struct journal *journal;
	struct plan_options options;
	const char *from, *to;			/* of the configuration; @from NULL: a return from wherever they are */
	/* Comes back. */
	struct plan_candidate *candidates;
	size_t nr;
	uint64_t free_kib;			/* on @to */
	struct json_object *problems;		/* what stands in the way of all of it */
	struct json_object *keep;		/* what the candidates point into */
};

/* For worker_errand(). Checks each guest VM as `vmbeam check` does. Touches nothing. */
void survey_run(void *survey);
void survey_clear(struct survey *s);

#endif
