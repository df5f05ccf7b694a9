/* SPDX-License-Identifier: GPL-2.0 */
/* Lines from the daemon, also for who waits for other things besides. */
#ifndef VMBEAM_READER_H
#define VMBEAM_READER_H

#include <stdbool.h>
#include <stddef.h>

struct reader {
	int fd;			/* not the reader's: whoever opened it closes it */
	char *text;
	size_t have, room, taken;
};

/* Reads what is there, and waits if nothing is. false: the other side has gone, or there is no memory. */
bool reader_fill(struct reader *r);
/* The next whole line, without its end; NULL: it is not there yet. It stays until the next call. */
char *reader_line(struct reader *r);
void reader_clear(struct reader *r);

#endif
