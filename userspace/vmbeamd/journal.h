/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The journal: what the daemon had decided when it died. One line per record, "crc32 in 8 hex digits, space, JSON
 * object", appended and fsynced before what it announces is done. A last line that was torn by a crash never
 * happened; a bad line with good ones behind it is damage, and nothing is guessed from a damaged journal.
 */
#ifndef VMBEAM_JOURNAL_H
#define VMBEAM_JOURNAL_H

#include <stddef.h>
#include <json-c/json.h>

struct journal {
	int fd;
	size_t records;
};

/*
 * Opens or creates @path, calls @record for each record in order (the object is the journal's: take a reference to
 * keep it), and cuts off a torn last line. 0, -EBADMSG when damaged, -EWOULDBLOCK when another daemon has it, or what
 * the file system said; @record's own error is passed on.
 */
int journal_open(struct journal *j, const char *path, int (*record)(struct json_object *json, void *arg), void *arg);
/* The record is on the disk when this returns 0. After an error the journal takes no more records: -EIO. */
int journal_append(struct journal *j, struct json_object *json);
/*
 * Puts a journal that has only the record @last in the place of the one at @path, which is open as @j. 0 or -errno; it is
 * as it was then, or takes no more records.
 */
int journal_shorten(struct journal *j, const char *path, struct json_object *last);
void journal_close(struct journal *j);

#endif
