// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32.h"
#include "journal.h"

#define PREFIX_LEN	9	/* crc and the space */
#define JOURNAL_MAX	(64 << 20)

/* The file's name must be on the disk too, or a crash loses the file with all that was fsynced. */
static int sync_dir(const char *path)
{
	char *copy = strdup(path);
	int fd, rc = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

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

/* *good is the length up to the end of the last good line. */
static int replay(const char *text, size_t len, size_t *good, size_t *records, int (*record)(struct json_object *, void *), void *arg)
{
	size_t pos = 0;
	int damaged = 0, rc = 0;

	*good = 0;
	*records = 0;
	while (pos < len && !rc) {
		const char *end = memchr(text + pos, '\n', len - pos);
		struct json_object *json;

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
	size_t len = 0, good;
	char *text = NULL;
	int rc;

	j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return -errno;
	rc = lock(j->fd, path);
	if (rc)
		goto fail;
	rc = sync_dir(path);
	if (!rc)
		rc = read_whole(j->fd, &text, &len);
	if (rc)
		goto fail;
	rc = replay(text, len, &good, &j->records, record, arg);
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

int journal_append(struct journal *j, struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	char *line;
	ssize_t n;
	int len, rc = 0;

	if (j->fd < 0)
		return -EIO;
	if (!text)
		return -ENOMEM;
	len = asprintf(&line, "%08x %s\n", vmbeam_crc32(text, strlen(text)), text);
	if (len < 0)
		return -ENOMEM;
	n = write(j->fd, line, len);
	if (n != len)
		rc = n < 0 ? -errno : -ENOSPC;
	else if (fsync(j->fd))
		rc = -errno;
	free(line);
	/* What is on the disk now is unknown, and a second fsync would not tell: nothing may be built on it. */
	if (rc)
		journal_close(j);
	else
		j->records++;
	return rc;
}

int journal_shorten(struct journal *j, const char *path, struct json_object *last)
{
	struct journal new = { .fd = -1 };
	char *temp;
	int rc;

	if (asprintf(&temp, "%s.new", path) < 0)
		return -ENOMEM;
	new.fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	rc = new.fd < 0 ? -errno : lock(new.fd, temp);
	rc = rc ?: journal_append(&new, last);
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc) {
		unlink(temp);
		journal_close(&new);
	} else {
		journal_close(j);
		*j = new;
		rc = sync_dir(path);
		/* After a crash it may be the old one that is there: nothing may be built on the new one. */
		if (rc)
			journal_close(j);
	}
	free(temp);
	return rc;
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
}
