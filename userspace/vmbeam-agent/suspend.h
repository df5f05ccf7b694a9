/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SUSPEND_H
#define VMBEAM_AGENT_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

/* Does the guest VM's kernel say that it takes suspend requests? */
bool suspend_possible(uint32_t domid);
/* A restored guest VM suspended itself before: its toolstack does not know. */
void suspend_proved(uint32_t domid);

#endif
