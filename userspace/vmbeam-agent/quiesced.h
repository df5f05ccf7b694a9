/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which backends of a guest VM were taken off their drivers: RUN_DIR/quiesced-DOMID, written before the first is, so that
 * the next agent can put them back.
 */
#ifndef VMBEAM_AGENT_QUIESCED_H
#define VMBEAM_AGENT_QUIESCED_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

/*
 * One process at a time: a child whose agent was killed may still be inside an unbind that cannot be interrupted, when
 * the next agent is told to put everything back. Held until the process ends; its children do not get it.
 */
int quiesced_lock(void);
/*
 * Nothing more of this guest VM is taken off its driver. A child that is inside an unbind, of a network card whose packets are
 * held, keeps the lock until that returns, and ends there.
 */
void quiesced_stop(uint32_t domid);
/* What the work of taking them off is called, in @key with room for 32. */
void quiesced_key(uint32_t domid, char *key);
/* -1: it cannot be written, and stderr has the reason. */
int quiesced_write(uint32_t domid, const struct device *devices, int nr);
/* Into @devices, with room for MAX_DEVICES. How many. */
int quiesced_read(uint32_t domid, struct device *devices);
void quiesced_remove(uint32_t domid);
bool quiesced_has(const struct device *devices, int nr, const struct device *d);

/* Is a disk of this guest VM off its driver? What the guest VM asks of it then waits until somebody binds it. */
bool quiesced_disk(uint32_t domid);
/*
 * Before a domain is destroyed: says "closed" for the backends that no driver serves any more, or the toolstack would
 * wait ten seconds for each to say it.
 */
void quiesced_forget(uint32_t domid);

#endif
