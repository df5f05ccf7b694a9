// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

int session_open(struct session *s, bool to_stderr)
{
	FILE *f = stderr;

	memset(s, 0, sizeof(*s));
	if (!to_stderr) {
		s->f = open_memstream(&s->text, &s->len);
		if (!s->f)
			return -ENOMEM;
		f = s->f;
	}
	s->lg = (xentoollog_logger *)xtl_createlogger_stdiostream(f, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
	if (s->lg && !libxl_ctx_alloc(&s->ctx, LIBXL_VERSION, 0, s->lg))
		return 0;
	if (s->lg)
		xtl_logger_destroy(s->lg);
	if (s->f)
		fclose(s->f);
	free(s->text);
	return -EIO;
}

void session_close(struct session *s)
{
	libxl_ctx_free(s->ctx);
	xtl_logger_destroy(s->lg);
	if (s->f)
		fclose(s->f);
	free(s->text);
}

const char *session_text(struct session *s)
{
	char *p;

	if (!s->f || fflush(s->f) || !s->text || !*s->text)
		return "libxl gives no reason";
	for (p = s->text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? '|' : 0;
	return s->text;
}
