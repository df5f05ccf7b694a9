/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libxl, for domain.c and placement.c only: its interface has versions. A session lives as long as one operation. In the
 * agent itself libxl is only asked for information; whatever may fork runs in a child of its own (work.c), where no
 * other child is there to be reaped by mistake.
 */
#ifndef VMBEAM_AGENT_SESSION_H
#define VMBEAM_AGENT_SESSION_H

#define LIBXL_API_VERSION 0x041800
#include <stdbool.h>
#include <stdio.h>
#include <libxl.h>
#include <libxl_utils.h>

struct session {
	libxl_ctx *ctx;
	xentoollog_logger *lg;
	FILE *f;
	char *text;
	size_t len;
};

/* Errors go to stderr if @to_stderr, and to s->text otherwise. */
int session_open(struct session *s, bool to_stderr);
void session_close(struct session *s);
/* What libxl said last, as one line. */
const char *session_text(struct session *s);

#endif
