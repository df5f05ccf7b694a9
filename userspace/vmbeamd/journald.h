/* SPDX-License-Identifier: GPL-2.0 */
/* Log lines with fields, for systemd's journal: VMBEAM_MIGRATION, VMBEAM_GUEST, VMBEAM_STEP. */
#ifndef VMBEAM_JOURNALD_H
#define VMBEAM_JOURNALD_H

/* From now on, if the daemon runs under systemd. */
void journald_init(void);
/* What this thread's lines are about, as long as these texts live; NULL: about none. */
void journald_about(const char *migration, const char *guest, const char *step);
/* The next step of the same. */
void journald_step(const char *step);

#endif
