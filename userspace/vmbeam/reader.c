// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader.h"

#define PIECE	65536

bool reader_fill(struct reader *r)
{
	ssize_t n;

	r->have -= r->taken;
	if (r->have)
		memmove(r->text, r->text + r->taken, r->have);
	r->taken = 0;
	if (r->room - r->have < PIECE) {
		char *more = realloc(r->text, r->room + r->have + PIECE);

		if (!more)
			return false;
		r->text = more;
		r->room += r->have + PIECE;
	}
	do {
		n = read(r->fd, r->text + r->have, r->room - r->have);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	r->have += n;
	return true;
}

char *reader_line(struct reader *r)
{
	char *line = r->text + r->taken, *end = r->have > r->taken ? memchr(line, '\n', r->have - r->taken) : NULL;

	if (!end)
		return NULL;
	*end = 0;
	r->taken = end + 1 - r->text;
	return line;
}

void reader_clear(struct reader *r)
{
	free(r->text);
	r->text = NULL;
	r->have = 0;
	r->room = 0;
	r->taken = 0;
}
