/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hold points: named places where a test can stop a process and kill it. Only in test builds (HOLD=1): otherwise
 * nothing of this is compiled in, and no file on a real system can make a migration wait.
 */
#ifndef VMBEAM_HOLD_H
#define VMBEAM_HOLD_H

#ifdef VMBEAM_HOLD
/*
 * If the file DIR/NAME exists (DIR is $VMBEAM_HOLD_DIR, or /run/vmbeam/hold), writes the pid to DIR/NAME.held and
 * waits until DIR/NAME is gone. NAME is "who:step".
 */
void hold_point(const char *name);
#else
static inline void hold_point(const char *name) { (void)name; }
#endif

#endif
