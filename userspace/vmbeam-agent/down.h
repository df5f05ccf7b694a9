/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest VMs that were shut down here and are to be started again: STATE_DIR/down-UUID.json, which is there from before the
 * shutdown until the guest VM runs again, also when this system is restarted in between.
 */
#ifndef VMBEAM_AGENT_DOWN_H
#define VMBEAM_AGENT_DOWN_H

#include <stdbool.h>
#include <json-c/json.h>

#include "error.h"

/*
 * Whoever makes the guest VM anew holds this meanwhile: somebody else, who sees half of it, would do so, too. Waits for it.
 * An fd to be closed, or -1.
 */
int down_lock(const char *uuid, struct error *err);
/* @name: in the form of text_name(). @config: as domain_keep() gave it. @starting: it is being made anew. 0 or -1. */
int down_write(const char *uuid, const char *name, struct json_object *config, bool starting, struct error *err);
/* {"uuid", "name", "config", "starting"}, to be put. NULL with err: there is none, or it makes no sense, or has another UUID. */
struct json_object *down_read(const char *uuid, struct error *err);
/* Calls @each for all of them. 0 or -1. */
int down_list(void (*each)(const char *uuid, const char *name, void *arg), void *arg, struct error *err);
/* It runs. No error if there is none. 0 or -1. */
int down_forget(const char *uuid, struct error *err);

#endif
