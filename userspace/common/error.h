/* SPDX-License-Identifier: GPL-2.0 */
/* What went wrong, in words for the operator. The first error is the one that counts: later ones follow from it. */
#ifndef VMBEAM_ERROR_H
#define VMBEAM_ERROR_H

#include <stdarg.h>

struct error {
	char text[1000];	/* clean, see text.h: part of it may be what an agent says */
	char code[16];	/* the errno's name when an agent gave one */
};

/* Always -1, so that a function can return it. Overwrites. */
int error_set(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int error_vset(struct error *e, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
