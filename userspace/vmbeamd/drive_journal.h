/* SPDX-License-Identifier: GPL-2.0 */
/* The journal of a maintenance: what the driver had decided when it died. Beside that of the migrations. */
#ifndef VMBEAM_DRIVE_JOURNAL_H
#define VMBEAM_DRIVE_JOURNAL_H

#include "maintain.h"

/* @migrations: the path of theirs. 0 or -1. */
int drive_journal_name(const char *migrations, struct error *err);
/*
 * Reads it; as often as it has to be tried. @last: its last record, to be put, or NULL. 0, or -1 with what is wrong and what an
 * operator is to do.
 */
int drive_journal_open(struct json_object **last, struct error *err);
void drive_journal_close(void);
const char *drive_journal_path(void);

/* 0, or -1: nothing may be done that it does not announce. */
int drive_journal_write(const struct maintenance *m);
/* It lacks what it was last told to have: nothing is begun until it has it. */
bool drive_journal_is_behind(void);
/* Whoever asked for it is told that it was refused, so no later daemon is to find it. */
void drive_journal_take_back(void);
/* It is over: what came before is asked for by nobody. */
void drive_journal_shorten(void);

#endif
