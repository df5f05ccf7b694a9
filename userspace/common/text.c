// SPDX-License-Identifier: GPL-2.0
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define DOTS "..."
#define MAX_ESCAPED 16	/* a character of 4 bytes, each as \xHH */

/* How many bytes the character at @p has, at most @left; 0 if it is none. As RFC 3629 has it: nothing overlong. */
static size_t one_char(const unsigned char *p, size_t left, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;

	if (!len || len > left)
		return 0;
	*c = len == 1 ? *p : *p & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return *c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : len;
}

/* Controls of C0 and C1, ends of lines and paragraphs, and what changes the direction of the text around it. */
static bool harmless(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x61c && c != 0x200e && c != 0x200f &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

bool text_is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t c;

	while (len) {
		size_t n = one_char(p, len, &c);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* The next character of *@text, escaped if it has to be, into @out; *@text moves on. Its length. */
static size_t next(const char **text, char *out, bool *escaped)
{
	const unsigned char *p = (const unsigned char *)*text;
	uint32_t c = 0;
	size_t n = one_char(p, strnlen(*text, 4), &c), len = 0;

	*escaped = !n || !harmless(c);
	if (!*escaped) {
		memcpy(out, p, n);
		len = n;
	} else {
		n = n ?: 1;
		for (size_t i = 0; i < n; i++)
			len += sprintf(out + len, "\\x%02x", p[i]);
	}
	*text += n;
	return len;
}

bool text_is_word(const char *text)
{
	return strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == strlen(text) && *text != '-';
}

bool text_is_clean(const char *text)
{
	char piece[MAX_ESCAPED + 1];
	bool escaped;

	while (*text) {
		next(&text, piece, &escaped);
		if (escaped)
			return false;
	}
	return true;
}

void text_clean(char *out, size_t size, const char *text)
{
	char piece[MAX_ESCAPED + 1];
	size_t have = 0, safe = 0;
	bool escaped;

	while (*text) {
		size_t len = next(&text, piece, &escaped);

		if (have + len >= size) {
			have = safe;
			len = strlen(DOTS);
			memcpy(piece, DOTS, len);
			text = "";
		}
		memcpy(out + have, piece, len);
		have += len;
		/* The dots still fit behind this. */
		if (have + strlen(DOTS) < size)
			safe = have;
	}
	out[have] = 0;
}

/* The whole of it, escaped. @name: backslashes, too. */
static char *escape(const char *text, bool name)
{
	char *out = malloc(4 * strlen(text) + 1);
	size_t have = 0;
	bool escaped;

	if (!out)
		return NULL;
	while (*text) {
		if (name && *text == '\\')
			out[have++] = '\\';
		have += next(&text, out + have, &escaped);
	}
	out[have] = 0;
	return out;
}

char *text_name(const char *name)
{
	return escape(name, true);
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *text_unname(const char *form)
{
	char *out = malloc(strlen(form) + 1), *p = out;

	while (out && *form) {
		if (form[0] == '\\' && form[1] == 'x' && hex(form[2]) >= 0 && hex(form[3]) >= 0) {
			*p++ = hex(form[2]) << 4 | hex(form[3]);
			form += 4;
			continue;
		}
		if (form[0] == '\\' && form[1] == '\\')
			form++;
		*p++ = *form++;
	}
	if (out)
		*p = 0;
	return out;
}

void text_short(char *out, size_t size, const char *text)
{
	char *all = escape(text, false);
	size_t len = all ? strlen(all) : 0, half = (size - strlen(DOTS) - 1) / 2, from;

	if (!all || len < size) {
		text_clean(out, size, all ?: text);
		free(all);
		return;
	}
	/* Both ends at whole characters. */
	while (half && (all[half] & 0xc0) == 0x80)
		half--;
	for (from = len - half; (all[from] & 0xc0) == 0x80;)
		from++;
	snprintf(out, size, "%.*s" DOTS "%s", (int)half, all, all + from);
	free(all);
}
