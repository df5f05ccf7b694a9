/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The journal: what the daemon had decided when it died. One line per record, "crc32 in 8 hex digits, space, JSON
 * object", appended and fsynced before what it announces is done. A last line that was torn by a crash never
 * happened; a bad line with good ones behind it is damage, and nothing is guessed from a damaged journal.
 */
#ifndef VMBEAM_JOURNAL_H
#define VMBEAM_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <json-c/json.h>

struct journal {
	int fd;
	size_t records;
	off_t good;	/* where the last record that is on the disk ends */
	char *path;
	char *last;	/* the last record that is on the disk, as a line; NULL: there is none */
	bool doubtful;	/* what came after that could not be written: nobody knows how much of it is there */
};

/*
 * Opens or creates @path, calls @record for each record in order (the object is the journal's: take a reference to
 * keep it), and cuts off a torn last line. 0, -EBADMSG when damaged, -EWOULDBLOCK when another daemon has it, or what
 * the file system said; @record's own error is passed on.
 */
int journal_open(struct journal *j, const char *path, int (*record)(struct json_object *json, void *arg), void *arg);
/*
 * The record is on the disk when this returns 0. After an error it may be there or not. What is in the file is then not
 * built upon: the next call puts a new file in its place, which has the last good record and the new one. So a disk that
 * was full, or failed once, costs the records of that time and no others.
 */
int journal_append(struct journal *j, struct json_object *json);
/*
 * After journal_append() has failed: the record is not to be found by a later daemon, either. Nothing is known of what a crash
 * of the host would leave. 0 or -errno.
 */
int journal_take_back(struct journal *j);
/* Puts a journal that has only its last record in the place of this one. 0 or -errno; see journal_append(). */
int journal_shorten(struct journal *j);
/* The same, where it may fail: what is in the journal is as good as before, and longer than it need be. */
void journal_tidy(struct journal *j);
void journal_close(struct journal *j);

#endif
