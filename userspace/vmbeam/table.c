// SPDX-License-Identifier: GPL-2.0
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "table.h"
#include "text.h"

#define GAP	2	/* columns between two */
#define LEAST	8	/* no column gets narrower than this to fit */
#define MAX_CELL 1024

/* The next character's bytes and columns. What is no UTF-8 is a column a byte. */
static size_t next(const char *text, size_t *columns)
{
	static locale_t utf8;
	locale_t old;
	wchar_t c;
	mbstate_t state = { 0 };
	size_t n;
	int w;

	/* Whatever the user's locale is: names are UTF-8. */
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	old = utf8 ? uselocale(utf8) : (locale_t)0;
	n = mbrtowc(&c, text, strnlen(text, 4), &state);
	w = n && n <= 4 ? wcwidth(c) : 1;
	if (utf8)
		uselocale(old);
	*columns = w < 0 ? 1 : w;
	return n && n <= 4 ? n : 1;
}

size_t table_fit(const char *text, size_t width)
{
	size_t bytes = 0, have = 0;

	while (text[bytes]) {
		size_t columns, n = next(text + bytes, &columns);

		if (have + columns > width)
			break;
		have += columns;
		bytes += n;
	}
	return bytes;
}

size_t table_width(const char *text)
{
	size_t have = 0;

	while (*text) {
		size_t columns;

		text += next(text, &columns);
		have += columns;
	}
	return have;
}

static void spaces(FILE *f, size_t n)
{
	fprintf(f, "%*s", (int)n, "");
}

void table_cell(FILE *f, const char *text, size_t width, int right)
{
	size_t have = table_width(text), bytes = strlen(text);
	const char *dots = "";

	if (have > width) {
		dots = width > 3 ? "..." : "";
		bytes = table_fit(text, width - strlen(dots));
		/* A character of two columns may leave one empty. */
		have = strlen(dots);
		for (size_t i = 0; i < bytes;) {
			size_t columns;

			i += next(text + i, &columns);
			have += columns;
		}
	}
	if (right)
		spaces(f, width - have);
	fprintf(f, "%.*s%s", (int)bytes, text, dots);
	if (!right)
		spaces(f, width - have);
}

void table_init(struct table *t, const char *const *headings, size_t columns)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	memcpy(t->headings, headings, columns * sizeof(*headings));
}

void table_add(struct table *t, const char *fmt, ...)
{
	char text[MAX_CELL], clean[MAX_CELL], **cells;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_clean(clean, sizeof(clean), text);
	cells = realloc(t->cells, (t->rows + 1) * sizeof(*cells));
	if (!cells)
		return;
	t->cells = cells;
	t->cells[t->rows] = strdup(clean);
	if (t->cells[t->rows])
		t->rows++;
}

static const char *heading(const struct table *t, size_t column)
{
	return t->headings[column] + (*t->headings[column] == '>');
}

/* @widths of columns that are empty stays 0. */
static size_t measure(const struct table *t, size_t *widths)
{
	size_t total = 0;

	memset(widths, 0, t->columns * sizeof(*widths));
	for (size_t i = 0; i < t->rows; i++) {
		size_t w = table_width(t->cells[i]);

		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	for (size_t c = 0; c < t->columns; c++) {
		if (!widths[c])
			continue;
		if (table_width(heading(t, c)) > widths[c])
			widths[c] = table_width(heading(t, c));
		total += widths[c] + (total ? GAP : 0);
	}
	return total;
}

static void row(const struct table *t, FILE *f, const size_t *widths, char **cells)
{
	size_t pending = 0, last = t->columns;

	/* Nothing stands behind the last one that is not empty, no space either. */
	while (last && (!widths[last - 1] || (cells && !*cells[last - 1])))
		last--;
	for (size_t c = 0; c < last; c++) {
		const char *text = cells ? cells[c] : heading(t, c);
		bool right = *t->headings[c] == '>';

		if (!widths[c])
			continue;
		spaces(f, pending);
		pending = GAP;
		if (c == last - 1 && !right && table_width(text) <= widths[c])
			fputs(text, f);
		else
			table_cell(f, text, widths[c], right);
	}
	fputc('\n', f);
}

void table_print(struct table *t, FILE *f, size_t width)
{
	size_t widths[TABLE_COLUMNS], total = measure(t, widths);

	while (width && total > width) {
		size_t widest = 0;

		for (size_t c = 1; c < t->columns; c++)
			if (widths[c] > widths[widest])
				widest = c;
		if (widths[widest] <= LEAST)
			break;
		widths[widest]--;
		total--;
	}
	row(t, f, widths, NULL);
	for (size_t i = 0; i + t->columns <= t->rows; i += t->columns)
		row(t, f, widths, t->cells + i);
	table_clear(t);
}

void table_clear(struct table *t)
{
	for (size_t i = 0; i < t->rows; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
}

size_t table_terminal(FILE *f)
{
	struct winsize size;

	if (!isatty(fileno(f)))
		return 0;
	return !ioctl(fileno(f), TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

size_t table_height(FILE *f)
{
	struct winsize size;

	return !ioctl(fileno(f), TIOCGWINSZ, &size) && size.ws_row ? size.ws_row : 24;
}
