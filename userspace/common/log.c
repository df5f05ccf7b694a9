// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "text.h"

static const char *log_who = "vmbeam";
static int log_for_journal;
static int log_debugging;
static bool (*log_sink)(enum log_level level, const char *line);

void log_init(const char *who)
{
	log_who = who;
	log_for_journal = getenv("JOURNAL_STREAM") != NULL;
	log_debugging = getenv("VMBEAM_DEBUG") != NULL;
}

void log_to(bool (*sink)(enum log_level level, const char *line))
{
	log_sink = sink;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[4096], line[4096];
	size_t used = 0;
	va_list ap;

	if (level == LOG_LEVEL_DEBUG && !log_debugging)
		return;
	if (log_debugging) {
		int64_t us = clock_ns() / 1000;

		used = snprintf(text, sizeof(text), "[%" PRId64 ".%06" PRId64 "] ", us / 1000000, us % 1000000);
	}
	va_start(ap, fmt);
	vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	/* Whatever is in it, nobody but this function begins a line. */
	text_clean(line, sizeof(line), text);
	if (log_sink && log_sink(level, line))
		return;
	/* One call, one write: stderr is unbuffered otherwise, and lines of several processes would mix. */
	if (log_for_journal)
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "%s: %s\n", log_who, line);
}
