// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "error.h"
#include "text.h"

int error_vset(struct error *e, const char *fmt, va_list ap)
{
	char text[2 * sizeof(e->text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	text_clean(e->text, sizeof(e->text), text);
	e->code[0] = 0;
	return -1;
}

int error_set(struct error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(e, fmt, ap);
	va_end(ap);
	return -1;
}
