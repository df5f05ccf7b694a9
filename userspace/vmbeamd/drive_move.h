/* SPDX-License-Identifier: GPL-2.0 */
/* The migration by which a maintenance moves a guest VM. */
#ifndef VMBEAM_DRIVE_MOVE_H
#define VMBEAM_DRIVE_MOVE_H

#include "config.h"
#include "maintain.h"
#include "migration.h"

/* Of @a, a move; for worker_begin(). NULL: out of memory, or a host VM is not in the configuration any more. */
struct migration *drive_move_make(const struct maintenance *m, const struct maintain_action *a, const struct config *config,
				  struct journal *migrations);

#endif
