/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_RESTORE_H
#define VMBEAM_AGENT_RESTORE_H

#include <stdint.h>

/* The domain is about to run: it is no restore's any more, and no restore-abort can reach it. */
void restore_forget(uint32_t domid);

#endif
