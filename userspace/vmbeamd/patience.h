/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For how long a migration may go on, and whether it is still wanted. Every wait of a step looks here, besides having a
 * limit of its own. Not those of the end: that takes as long as it takes.
 */
#ifndef VMBEAM_PATIENCE_H
#define VMBEAM_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct patience {
	int64_t until_ms;	/* the whole of it, to the commit; 0: no limit, and whoever cancels comes too late */
	int64_t pause_until_ms;	/* of this the time that the guest VM stands still; 0: it runs */
};

enum cancel { CANCEL_NOT, CANCEL_BY_OPERATOR, CANCEL_BY_STOP };

void patience_begin(struct patience *p);
/* The guest VM is told to suspend. */
void patience_pause(struct patience *p);
/* Nothing is called off any more: the commit is announced, or the end has begun. */
void patience_end(struct patience *p);
/* -1 with the reason when it is to be called off. */
int patience_over(const struct patience *p, struct error *err);

/* Of the one migration that there is, from any thread. The next one begins with CANCEL_NOT. */
void patience_cancel(enum cancel why);

#endif
