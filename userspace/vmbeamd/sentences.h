/* SPDX-License-Identifier: GPL-2.0 */
/* Lists of sentences for an operator, as JSON has them: what stands in the way, what is warned of. */
#ifndef VMBEAM_SENTENCES_H
#define VMBEAM_SENTENCES_H

#include <json-c/json.h>

/* One more, as error_set() makes it. */
void sentences_add(struct json_object *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
