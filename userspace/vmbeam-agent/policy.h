/* SPDX-License-Identifier: GPL-2.0 */
/* CPU features, as the words of Xen's featureset. */
#ifndef VMBEAM_AGENT_POLICY_H
#define VMBEAM_AGENT_POLICY_H

#include <stdint.h>

#define POLICY_WORDS 19

/* Those that a domain has. 0 or -errno. */
int policy_of(uint32_t domid, uint32_t *words);
/* The most that a PV guest VM can have here. */
int policy_here(uint32_t *words);

#endif
