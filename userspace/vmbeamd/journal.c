// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32.h"
#include "journal.h"
#include "log.h"
#include "sync.h"

#define PREFIX_LEN	9	/* crc and the space */
#define JOURNAL_MAX	(64 << 20)

static int read_whole(int fd, char **text, size_t *len)
{
	struct stat st;
	size_t got = 0;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > JOURNAL_MAX)
		return -EFBIG;
	*text = malloc(st.st_size + 1);
	if (!*text)
		return -ENOMEM;
	while (got < (size_t)st.st_size) {
		ssize_t n = pread(fd, *text + got, st.st_size - got, got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(*text);
			return -errno;
		}
		if (!n)
			break;
		got += n;
	}
	(*text)[got] = 0;
	*len = got;
	return 0;
}

/* The record of a line without its newline, or NULL. */
static struct json_object *parse_line(const char *line, size_t len)
{
	char hex[PREFIX_LEN + 1];
	struct json_tokener *tok;
	struct json_object *json;

	if (len <= PREFIX_LEN || line[PREFIX_LEN - 1] != ' ')
		return NULL;
	snprintf(hex, sizeof(hex), "%08x ", vmbeam_crc32(line + PREFIX_LEN, len - PREFIX_LEN));
	if (memcmp(hex, line, PREFIX_LEN))
		return NULL;
	tok = json_tokener_new();
	if (!tok)
		return NULL;
	json = json_tokener_parse_ex(tok, line + PREFIX_LEN, len - PREFIX_LEN);
	json_tokener_free(tok);
	if (json && !json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		json = NULL;
	}
	return json;
}

/* *good is the length up to the end of the last good line, which begins at *last. */
static int replay(const char *text, size_t len, size_t *good, size_t *last, size_t *records,
		  int (*record)(struct json_object *, void *), void *arg)
{
	size_t pos = 0;
	int damaged = 0, rc = 0;

	*good = *last = 0;
	*records = 0;
	while (pos < len && !rc) {
		const char *end = memchr(text + pos, '\n', len - pos);
		struct json_object *json;
		size_t begin = pos;

		if (!end)
			break;
		json = parse_line(text + pos, end - text - pos);
		pos = end - text + 1;
		if (!json) {
			damaged = 1;
			continue;
		}
		if (damaged)
			rc = -EBADMSG;
		else
			rc = record ? record(json, arg) : 0;
		json_object_put(json);
		*last = begin;
		*good = pos;
		++*records;
	}
	return rc;
}

/* Locks it. -EWOULDBLOCK also when the daemon that had it has put another in its place meanwhile. */
static int lock(int fd, const char *path)
{
	struct stat mine, there;

	if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &mine) || stat(path, &there))
		return -errno;
	return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino ? 0 : -EWOULDBLOCK;
}

int journal_open(struct journal *j, const char *path, int (*record)(struct json_object *json, void *arg), void *arg)
{
	size_t len = 0, good, last;
	char *text = NULL;
	int rc;

	memset(j, 0, sizeof(*j));
	j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return -errno;
	j->path = strdup(path);
	rc = j->path ? lock(j->fd, path) : -ENOMEM;
	if (rc)
		goto fail;
	rc = sync_dir_of(path);
	if (!rc)
		rc = read_whole(j->fd, &text, &len);
	if (rc)
		goto fail;
	rc = replay(text, len, &good, &last, &j->records, record, arg);
	if (!rc && good) {
		j->good = good;
		j->last = strndup(text + last, good - last);
		rc = j->last ? 0 : -ENOMEM;
	}
	free(text);
	if (rc)
		goto fail;
	if (good < len && (ftruncate(j->fd, good) || fsync(j->fd))) {
		rc = -errno;
		goto fail;
	}
	return 0;
fail:
	journal_close(j);
	return rc;
}

/* The line of a record, to be freed. */
static char *make_line(struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	char *line;

	if (!text || asprintf(&line, "%08x %s\n", vmbeam_crc32(text, strlen(text)), text) < 0)
		return NULL;
	return line;
}

static int put(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -ENOSPC;
}

/* A new file with the last record, and one more, which may be NULL, takes the place of the old one. */
static int renew(struct journal *j, const char *line)
{
	char *temp;
	int fd, rc;

	if (asprintf(&temp, "%s.new", j->path) < 0)
		return -ENOMEM;
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : lock(fd, temp);
	if (!rc && j->last)
		rc = put(fd, j->last);
	if (!rc && line)
		rc = put(fd, line);
	if (!rc && (fsync(fd) || rename(temp, j->path)))
		rc = -errno;
	if (rc) {
		if (fd >= 0)
			close(fd);
		unlink(temp);
	} else {
		close(j->fd);
		j->fd = fd;
		j->records = !!j->last + !!line;
		/* After a crash it may be the old one that is there: nothing may be built on the new one. */
		rc = sync_dir_of(j->path);
		j->doubtful = rc;
		j->good = (j->last ? strlen(j->last) : 0) + (line && !rc ? strlen(line) : 0);
	}
	free(temp);
	return rc;
}

int journal_append(struct journal *j, struct json_object *json)
{
	char *line;
	int rc;

	if (j->fd < 0)
		return -EBADF;
	line = make_line(json);
	if (!line)
		return -ENOMEM;
	if (j->doubtful) {
		rc = renew(j, line);
	} else {
		rc = put(j->fd, line);
		/* What is on the disk after a failure is unknown, and a second fsync would not tell. */
		if (!rc && fsync(j->fd))
			rc = -errno;
		if (rc) {
			j->doubtful = true;
		} else {
			j->records++;
			j->good += strlen(line);
		}
	}
	if (!rc) {
		free(j->last);
		j->last = line;
	} else {
		free(line);
	}
	return rc;
}

int journal_take_back(struct journal *j)
{
	/* That may fail as the append did. To cut it off takes no room, and whoever reads the file sees it at once. */
	return renew(j, NULL) && ftruncate(j->fd, j->good) ? -errno : 0;
}

int journal_shorten(struct journal *j)
{
	return renew(j, NULL);
}

void journal_tidy(struct journal *j)
{
	int rc = journal_shorten(j);

	if (rc)
		log_warn("%s cannot be shortened: %s", j->path, strerror(-rc));
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->path);
	free(j->last);
	memset(j, 0, sizeof(*j));
	j->fd = -1;
}
