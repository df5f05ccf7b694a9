/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_MIGRATE_H
#define VMBEAM_MIGRATE_H

#include <json-c/json.h>

/* Why a migration failed and where the guest VM is now, on stderr. @rc: the exit code, of cli_outcome(). */
void migrate_print_failure(struct json_object *result, int rc);

#endif
