/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text that others wrote: a guest VM's name, a path, an agent's sentence. It may be of any length and of any bytes, and
 * it goes into JSON, which must be UTF-8, into log lines, which must stay one line, and to terminals, which must not
 * take orders from it.
 */
#ifndef VMBEAM_TEXT_H
#define VMBEAM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* What a message calls a guest VM: a long name loses its middle there, and there only. */
#define TEXT_SHORT 128

bool text_is_utf8(const char *text, size_t len);
/* Is it UTF-8 without anything that text_clean() would escape? */
bool text_is_clean(const char *text);
/* Is it letters, digits, and dashes between them: an agent's UUID, that may stand in a command which somebody is told to type? */
bool text_is_word(const char *text);

/*
 * For people: bytes that are not UTF-8 and characters that move a cursor, end a line or turn the writing round become
 * \xHH, byte by byte. What does not fit is cut behind a whole character and ends with "...".
 */
void text_clean(char *out, size_t size, const char *text);
/* The same; what does not fit loses its middle. */
void text_short(char *out, size_t size, const char *text);

/*
 * The form in which a name of any bytes travels: that of text_clean(), and a backslash becomes two, so that no two
 * names have the same. To be freed; NULL when out of memory.
 */
char *text_name(const char *name);
/* The name itself, of its form. The same. */
char *text_unname(const char *form);

#endif
