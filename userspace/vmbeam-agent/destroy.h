/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_DESTROY_H
#define VMBEAM_AGENT_DESTROY_H

#include <stdint.h>

/* For children. A domain that is gone, or dying, counts as destroyed. 0 or not, told on stderr. */
int destroy(uint32_t domid);

#endif
