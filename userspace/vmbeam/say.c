// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

/* Line by line: the ends of lines in @fmt are ours, and are the only ones that there are. */
void cli_say(FILE *f, const char *fmt, ...)
{
	char *text = NULL, *clean;
	size_t room, len;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	len = text ? strlen(text) : 0;
	room = 4 * len + 1;
	clean = text ? malloc(room) : NULL;
	if (clean) {
		bool ends = len && text[len - 1] == '\n';

		if (ends)
			text[len - 1] = 0;
		text_clean(clean, room, text);
		fprintf(f, ends ? "%s\n" : "%s", clean);
	}
	free(clean);
	free(text);
}
