/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An item of what a guest VM needs, or of what is offered for it: an object with "kind", and "id" where there are several of
 * a kind. "problems": why it cannot be had, sentences of this management VM.
 */
#ifndef VMBEAM_AGENT_ITEM_H
#define VMBEAM_AGENT_ITEM_H

#include "request.h"

/* Appends one; @id may be NULL. */
struct json_object *item_add(struct json_object *items, const char *kind, const char *id);
void item_number(struct json_object *item, const char *key, int64_t value);
void item_words(struct json_object *item, const char *key, const uint32_t *words, int nr);
/* "realtime_ns": what the clock of this management VM says now. */
void item_realtime(struct json_object *item);
/* The item's list of problems, made if there is none yet. */
struct json_object *item_problems(struct json_object *item);

#endif
