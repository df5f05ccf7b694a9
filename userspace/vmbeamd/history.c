// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "history.h"
#include "js.h"
#include "sync.h"
#include "tally.h"

#define DAY_S	86400
/* A guest VM's name may have 16 KiB, and a maintenance has one for each. */
#define LINE_MAX_LEN	(4 << 20)

static int configure_number(unsigned int *out, struct json_object *section, const char *key, unsigned int otherwise,
			    unsigned int least, unsigned int most, const char *where, struct error *err)
{
	struct json_object *v;

	*out = otherwise;
	if (!json_object_object_get_ex(section, key, &v))
		return 0;
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < least || json_object_get_int64(v) > most)
		return error_set(err, "%s: \"%s\" of \"history\" takes %u to %u", where, key, least, most);
	*out = json_object_get_int64(v);
	return 0;
}

int history_configure(struct history *h, struct json_object *section, const char *where, struct error *err)
{
	static const char *const known[] = { "file", "days", "kib" };

	if (section && json_object_is_type(section, json_type_object)) {
		json_object_object_foreach(section, key, value) {
			size_t i = 0;

			(void)value;
			while (i < 3 && strcmp(key, known[i]))
				i++;
			if (i == 3)
				return error_set(err, "%s: \"history\" has no \"%s\"; it has \"file\", \"days\" and \"kib\"",
						 where, key);
		}
	} else if (section) {
		return error_set(err, "%s: \"history\" must be an object", where);
	}
	if (section && json_object_object_get_ex(section, "file", NULL) && !js_str(section, "file", NULL))
		return error_set(err, "%s: \"file\" of \"history\" must be a string", where);
	h->path = js_str(section, "file", "/var/lib/vmbeam/history");
	if (configure_number(&h->days, section, "days", 400, 1, 36500, where, err))
		return -1;
	return configure_number(&h->kib, section, "kib", 4096, 16, 65536, where, err);
}

/* An id has the time in it. Of one that a later daemon finished, the report knows only what that took. */
static int64_t begun(struct json_object *report, int64_t now)
{
	struct tm tm = { 0 };
	struct json_object *v;

	if (strptime(js_str(report, "id", ""), "%Y%m%dT%H%M%S-", &tm))
		return timegm(&tm);
	return json_object_object_get_ex(report, "total_ms", &v) ? now - (int64_t)(json_object_get_double(v) / 1000) : now;
}

struct json_object *history_migration(struct json_object *report, int64_t now)
{
	static const char *const keys[] = {
		"id", "guest", "uuid", "from", "to", "outcome", "state", "memory_mib", "frames", "phases_ms", "downtime_ms",
		"total_ms", "pauses", "busy_retries", "error", "lost", "warnings", "maintenance",
	};
	struct json_object *o = json_object_new_object(), *v;

	js_add_str(o, "kind", "migration");
	json_object_object_add(o, "begun", json_object_new_int64(begun(report, now)));
	json_object_object_add(o, "ended", json_object_new_int64(now));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_object_get_ex(report, keys[i], &v))
			json_object_object_add(o, keys[i], json_object_get(v));
	return o;
}

/* The file on its way to be a shorter one. */
struct trim {
	FILE *to;
	struct tally left;	/* what is not in it any more */
	int64_t oldest;		/* that may stay */
	size_t excess;		/* bytes that have to go */
};

static int64_t ended(struct json_object *json)
{
	struct json_object *v = js_get(json, "ended", json_type_int);

	return v ? json_object_get_int64(v) : 0;
}

static int trim_away(const char *line, size_t len, struct json_object *json, void *arg)
{
	struct trim *t = arg;
	bool totals = !strcmp(js_str(json, "kind", ""), "totals");

	(void)line;
	if (!totals && ended(json) >= t->oldest && !t->excess)
		return 0;
	t->excess -= len < t->excess ? len : t->excess;
	tally_add(&t->left, json);
	return 0;
}

static int trim_keep(const char *line, size_t len, struct json_object *json, void *arg)
{
	struct trim *t = arg;
	bool totals = !strcmp(js_str(json, "kind", ""), "totals");

	if (totals || ended(json) < t->oldest || t->excess) {
		t->excess -= len < t->excess ? len : t->excess;
		return 0;
	}
	return fwrite(line, 1, len, t->to) == len ? 0 : -EIO;
}

/* Without what is older than @oldest, and without the first @excess bytes. */
static int trim(const char *path, int64_t oldest, size_t excess)
{
	struct trim t = { .oldest = oldest, .excess = excess };
	struct json_object *totals = NULL;
	FILE *from = fopen(path, "re");
	char *temp = NULL;
	int rc;

	if (!from || asprintf(&temp, "%s.new", path) < 0) {
		rc = from ? -ENOMEM : -errno;
		goto out;
	}
	rc = history_each_line(from, trim_away, &t);
	if (rc)
		goto out;
	rewind(from);
	t.excess = excess;
	totals = tally_to_json(&t.left);
	t.to = fopen(temp, "we");
	if (!t.to || !totals) {
		rc = t.to ? -ENOMEM : -errno;
		goto out;
	}
	if (fchmod(fileno(t.to), 0600) ||
	    fprintf(t.to, "%s\n", json_object_to_json_string_ext(totals, JSON_C_TO_STRING_PLAIN)) < 0)
		rc = -errno;
	rc = rc ?: history_each_line(from, trim_keep, &t);
	if (!rc && (fflush(t.to) || fsync(fileno(t.to))))
		rc = -errno;
out:
	if (t.to && fclose(t.to) && !rc)
		rc = -errno;
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc && t.to)
		unlink(temp);
	if (from)
		fclose(from);
	json_object_put(totals);
	free(temp);
	return rc ?: sync_dir_of(path);
}

/* Stops at the first record that is not the totals, with the time when it ended. */
static int first_ended(const char *line, size_t len, struct json_object *json, void *arg)
{
	(void)line;
	(void)len;
	if (!strcmp(js_str(json, "kind", ""), "totals"))
		return 0;
	*(int64_t *)arg = ended(json);
	return 1;
}

static int make_room(const struct history *h, size_t len, int64_t now)
{
	int64_t oldest = now - (int64_t)h->days * DAY_S, first = INT64_MAX;
	size_t most = (size_t)h->kib << 10;
	struct stat st;
	FILE *f;

	if (stat(h->path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (st.st_size + len > most)
		return trim(h->path, oldest, st.st_size + len - most / 2);
	f = fopen(h->path, "re");
	if (!f)
		return -errno;
	history_each_line(f, first_ended, &first);
	fclose(f);
	return first < oldest ? trim(h->path, oldest, 0) : 0;
}

/* The length up to the end of the last whole line. What is behind it was torn. */
static int whole_lines(int fd, off_t *end)
{
	char buf[4096];

	*end = lseek(fd, 0, SEEK_END);
	while (*end > 0) {
		off_t from = *end > (off_t)sizeof(buf) ? *end - (off_t)sizeof(buf) : 0;
		ssize_t n = pread(fd, buf, *end - from, from);

		if (n != *end - from)
			return n < 0 ? -errno : -EIO;
		while (n && buf[n - 1] != '\n')
			n--;
		*end = from + n;
		if (n)
			return 0;
	}
	return *end < 0 ? -errno : 0;
}

static int append(int fd, const char *line, size_t len)
{
	struct stat st;
	off_t end;
	ssize_t n;
	int rc = whole_lines(fd, &end);

	if (rc)
		return rc;
	if (fstat(fd, &st) || (st.st_size > end && ftruncate(fd, end)))
		return -errno;
	n = pwrite(fd, line, len, end);
	if (n == (ssize_t)len && !fsync(fd))
		return 0;
	rc = n < 0 || n == (ssize_t)len ? -errno : -ENOSPC;
	/* If that fails, too, the next append takes the torn line away. */
	if (ftruncate(fd, end))
		return rc;
	return rc;
}

int history_append(const struct history *h, struct json_object *record, int64_t now)
{
	const char *text = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN);
	char *line;
	int fd, len, rc;
	bool fresh;

	if (!text)
		return -ENOMEM;
	len = asprintf(&line, "%s\n", text);
	if (len < 0)
		return -ENOMEM;
	rc = len > LINE_MAX_LEN ? -EMSGSIZE : make_room(h, len, now);
	if (rc)
		goto out;
	fresh = access(h->path, F_OK);
	fd = open(h->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = -errno;
		goto out;
	}
	rc = append(fd, line, len);
	close(fd);
	if (!rc && fresh)
		rc = sync_dir_of(h->path);
out:
	free(line);
	return rc;
}
