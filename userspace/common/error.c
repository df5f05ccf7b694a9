// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "error.h"
#include "text.h"

int error_set(struct error *e, const char *fmt, ...)
{
	char text[2 * sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_clean(e->text, sizeof(e->text), text);
	e->code[0] = 0;
	return -1;
}
