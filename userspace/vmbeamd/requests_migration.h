/* SPDX-License-Identifier: GPL-2.0 */
/* The commands migrate, check, cancel and forget, and what the worker says of the migration that they are about. */
#ifndef VMBEAM_REQUESTS_MIGRATION_H
#define VMBEAM_REQUESTS_MIGRATION_H

#include "control.h"
#include "migration.h"

/* @last: the report of the last migration, or NULL; consumed. */
void requests_migration_open(const struct config *config, struct journal *journal, struct json_object *last);
/* When the worker has nothing to do and nothing is under way. */
void request_migration(struct client *c, struct json_object *json, bool check_only);
/* @id: of the one that is meant; "": the one under way. */
void request_cancel(struct client *c, const char *id);
void request_forget(struct client *c, const char *id);
/* Of the one under way and of the last one, for a status. */
void requests_migration_add(struct json_object *status);
void requests_migration_gone(struct client *c);

/* What the worker says: see enum said. */
void requests_migration_progress(const char *text);
void requests_migration_result(const char *text);
void requests_migration_forgotten(const char *why_not);
void requests_migration_ended(const char *text);

#endif
