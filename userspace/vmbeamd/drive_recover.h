/* SPDX-License-Identifier: GPL-2.0 */
/* What an earlier daemon left of a maintenance, by the last record of its journal. */
#ifndef VMBEAM_DRIVE_RECOVER_H
#define VMBEAM_DRIVE_RECOVER_H

#include "config.h"
#include "maintain.h"

/* 1: @m, a fresh one, is to go on. 0: there is nothing to do. -1: nobody can go on, see err. Of both @m stays a fresh one. */
int drive_recover(struct maintenance *m, struct json_object *last, const struct config *config, struct error *err);

#endif
