// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

static const char *translate(const char *const (*words)[2], size_t nr, const char *word)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(words[i][0], word))
			return words[i][1];
	return word;
}

const char *cli_step(const char *step)
{
	static const char *const words[][2] = {
		{ "evacuate", "evacuate (the guest VMs leave)" },
		{ "stop", "stop (the host VM is shut down)" },
		{ "run", "run (the command runs while the host VM is down)" },
		{ "start", "start (the host VM is created)" },
		{ "agent", "agent (the host VM boots, and its agent is waited for)" },
		{ "probe", "probe (a small guest VM is created there and destroyed)" },
		{ "return", "return (the guest VMs come home)" },
	};

	return translate(words, sizeof(words) / sizeof(words[0]), step);
}

const char *cli_where(const char *where)
{
	static const char *const words[][2] = {
		{ "both", "on both host VMs" }, { "none", "on neither host VM" }, { "unknown", "not known" },
	};

	return translate(words, sizeof(words) / sizeof(words[0]), where);
}

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
