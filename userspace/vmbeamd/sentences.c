// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>

#include "error.h"
#include "sentences.h"

void sentences_add(struct json_object *list, const char *fmt, ...)
{
	struct error err;
	va_list ap;

	va_start(ap, fmt);
	error_vset(&err, fmt, ap);
	va_end(ap);
	json_object_array_add(list, json_object_new_string(err.text));
}
