/* SPDX-License-Identifier: GPL-2.0 */
/* A guest VM's backends in this management VM. */
#ifndef VMBEAM_AGENT_BACKEND_H
#define VMBEAM_AGENT_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

/* Does the guest VM's kernel say that it takes suspend requests? */
bool backend_can_suspend(uint32_t domid);
/* Appends the guest VM's backends, and a problem for each that cannot be quiesced. */
void backend_check(uint32_t domid, struct json_object *backends, struct json_object *problems);
/* Is a disk of this guest VM off its driver? What the guest VM asks of it then waits until somebody binds it. */
bool backend_disk_off(uint32_t domid);
/*
 * Before a domain is destroyed: says "closed" for the backends that no driver serves any more, or the toolstack would
 * wait ten seconds for each to say it.
 */
void backend_forget(uint32_t domid);

#endif
