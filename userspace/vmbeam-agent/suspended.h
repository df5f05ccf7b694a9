/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SUSPENDED_H
#define VMBEAM_AGENT_SUSPENDED_H

#include <stdint.h>

/* When a guest VM that is suspended now was first seen so, by the monotonic clock; 0: it is not. */
uint64_t suspended_since(uint32_t domid);
/* The next save is another suspension. */
void suspended_forget(void);

#endif
