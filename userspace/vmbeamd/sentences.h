/* SPDX-License-Identifier: GPL-2.0 */
/* Lists of sentences for an operator, as JSON has them: what stands in the way, what is warned of. */
#ifndef VMBEAM_SENTENCES_H
#define VMBEAM_SENTENCES_H

#include <stddef.h>
#include <json-c/json.h>

/* One more, as error_set() makes it. */
void sentences_add(struct json_object *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What is at @i of a list that an agent gave. It may be anything. */
static inline const char *sentences_said(struct json_object *list, size_t i)
{
	struct json_object *text = json_object_array_get_idx(list, i);

	return json_object_is_type(text, json_type_string) ? json_object_get_string(text) :
	       "a problem that the agent does not name";
}

#endif
