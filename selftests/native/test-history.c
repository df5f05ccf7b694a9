// SPDX-License-Identifier: GPL-2.0
/* The history: what is kept over crashes, what leaves it and stays counted, and what a reader asks for. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"
#include "js.h"
#include "tally.h"
#include "kselftest_harness.h"

#define NOW 1000000000LL
#define DAY 86400

/* In the place of libc's: what was asked of the disk, and a rename that may not happen. */
static int files_synced, dirs_synced;
static bool disk_is_broken, no_rename;

int fsync(int fd)
{
	struct stat st;

	if (disk_is_broken) {
		errno = EIO;
		return -1;
	}
	if (fstat(fd, &st))
		return -1;
	files_synced += S_ISREG(st.st_mode);
	dirs_synced += S_ISDIR(st.st_mode);
	return 0;
}

int rename(const char *from, const char *to)
{
	if (no_rename) {
		errno = EROFS;
		return -1;
	}
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

FIXTURE(history) {
	char dir[64], path[80], temp[96];
	struct history h;
};

FIXTURE_SETUP(history)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/vmbeam-history-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/history", self->dir);
	snprintf(self->temp, sizeof(self->temp), "%s.new", self->path);
	self->h = (struct history){ .path = self->path, .days = 400, .kib = 4096 };
}

FIXTURE_TEARDOWN(history)
{
	unlink(self->path);
	unlink(self->temp);
	rmdir(self->dir);
}

static struct json_object *migration(const char *guest, const char *outcome, int n)
{
	struct json_object *o = json_object_new_object(), *frames = json_object_new_object();

	js_add_str(o, "guest", guest);
	js_add_str(o, "uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	js_add_str(o, "from", "hv1");
	js_add_str(o, "to", n % 2 ? "hv2" : "hv3");
	js_add_str(o, "outcome", outcome);
	js_add_u64(frames, "swapped", 1000);
	js_add_u64(frames, "kept", 10);
	js_add_u64(frames, "exchanged", 1);
	json_object_object_add(o, "frames", frames);
	json_object_object_add(o, "downtime_ms", json_object_new_double(n * 100));
	json_object_object_add(o, "total_ms", json_object_new_double(4000));
	js_add_u64(o, "n", n);
	return o;
}

static int add(const struct history *h, const char *guest, const char *outcome, int n, int64_t now)
{
	struct json_object *report = migration(guest, outcome, n), *record = history_migration(report, now);
	int rc;

	js_add_u64(record, "n", n);
	rc = history_append(h, record, now);
	json_object_put(record);
	json_object_put(report);
	return rc;
}

/* The numbers of what was read, one after the other, as decimal digits. */
static int collect(struct json_object *json, void *arg)
{
	uint64_t *n = arg;

	*n = *n * 10 + js_u64(json, "n", 0);
	return 0;
}

static uint64_t read_with(const char *path, const struct history_filter *f)
{
	uint64_t n = 0;

	return history_read(path, f, collect, &n) ? 0 : n;
}

static int tally(struct json_object *json, void *arg)
{
	tally_add(arg, json);
	return 0;
}

static struct tally tally_of(const char *path)
{
	struct tally t = { 0 };

	history_read(path, NULL, tally, &t);
	return t;
}

TEST_F(history, a_record_has_what_the_report_says)
{
	struct json_object *report = migration("u1", "rolled-back", 3), *record;

	js_add_str(report, "error", "hv2: no memory");
	json_object_object_add(report, "kept_pfns", json_object_new_array());
	record = history_migration(report, NOW);
	EXPECT_STREQ("migration", js_str(record, "kind", ""));
	EXPECT_STREQ("rolled-back", js_str(record, "outcome", ""));
	EXPECT_STREQ("hv2: no memory", js_str(record, "error", ""));
	EXPECT_EQ(NOW, js_u64(record, "ended", 0));
	EXPECT_EQ(NOW - 4, js_u64(record, "begun", 0));
	EXPECT_EQ(1000, js_u64(js_get(record, "frames", json_type_object), "swapped", 0));
	/* Thousands of numbers that nobody asks for later. */
	EXPECT_EQ(NULL, json_object_object_get(record, "kept_pfns"));
	json_object_put(record);
	json_object_put(report);
}

TEST_F(history, on_the_disk_before_it_counts)
{
	struct stat st;

	EXPECT_EQ(0, read_with(self->path, NULL));
	files_synced = 0;
	dirs_synced = 0;
	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	EXPECT_EQ(1, files_synced);
	EXPECT_EQ(1, dirs_synced);
	ASSERT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0600, st.st_mode & 0777);
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW));
	EXPECT_EQ(2, files_synced);
	EXPECT_EQ(12, read_with(self->path, NULL));
	disk_is_broken = true;
	EXPECT_EQ(-EIO, add(&self->h, "u1", "done", 3, NOW));
	disk_is_broken = false;
	EXPECT_EQ(12, read_with(self->path, NULL));
}

static size_t slurp(const char *path, char *buf, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n = fread(buf, 1, room, f);

	fclose(f);
	return n;
}

static void spew(const char *path, const char *buf, size_t len)
{
	FILE *f = fopen(path, "w");

	fwrite(buf, 1, len, f);
	fclose(f);
}

TEST_F(history, torn_at_every_byte)
{
	static char buf[65536];
	size_t len;

	for (int i = 1; i <= 3; i++)
		ASSERT_EQ(0, add(&self->h, "u1", "done", i, NOW));
	len = slurp(self->path, buf, sizeof(buf));
	for (size_t cut = 0; cut <= len; cut++) {
		uint64_t whole = 0;
		int lines = 0;

		for (size_t i = 0; i < cut; i++)
			if (buf[i] == '\n')
				whole = whole * 10 + ++lines;
		spew(self->path, buf, cut);
		ASSERT_EQ(whole, read_with(self->path, NULL));
		ASSERT_EQ(0, add(&self->h, "u1", "done", 9, NOW));
		ASSERT_EQ(whole * 10 + 9, read_with(self->path, NULL))
			TH_LOG("cut at %zu", cut);
	}
}

/* A long torn line: its begin is found over several reads. */
TEST_F(history, a_long_torn_line_goes)
{
	static char junk[20000];
	FILE *f;

	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	memset(junk, 'x', sizeof(junk));
	f = fopen(self->path, "a");
	fwrite(junk, 1, sizeof(junk), f);
	fclose(f);
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW));
	EXPECT_EQ(12, read_with(self->path, NULL));
	EXPECT_LT(slurp(self->path, junk, sizeof(junk)), 2000);
}

TEST_F(history, a_line_that_is_damaged_hides_no_other)
{
	static char buf[65536];
	size_t len, at;

	for (int i = 1; i <= 3; i++)
		ASSERT_EQ(0, add(&self->h, "u1", "done", i, NOW));
	len = slurp(self->path, buf, sizeof(buf));
	at = strcspn(buf, "\n") + 1;
	buf[at] = 'x';
	spew(self->path, buf, len);
	EXPECT_EQ(13, read_with(self->path, NULL));
}

/* When the disk is full, no half of a line is left, and the next record is whole. */
TEST_F(history, a_full_disk_leaves_whole_lines)
{
	struct rlimit old, full;
	struct stat st;

	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	ASSERT_EQ(0, stat(self->path, &st));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	full = old;
	full.rlim_cur = st.st_size + 20;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &full));
	EXPECT_GT(0, add(&self->h, "u1", "done", 2, NOW));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	EXPECT_EQ(1, read_with(self->path, NULL));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 3, NOW));
	EXPECT_EQ(13, read_with(self->path, NULL));
}

TEST_F(history, bounded_by_size_and_nothing_is_uncounted)
{
	int last = 0;

	self->h.kib = 16;
	for (int i = 1; i <= 200; i++) {
		struct tally t;
		struct stat st;

		ASSERT_EQ(0, add(&self->h, "u1", i % 3 ? "done" : "refused", i % 10, NOW + i));
		ASSERT_EQ(0, stat(self->path, &st));
		ASSERT_GE(16 << 10, st.st_size);
		t = tally_of(self->path);
		ASSERT_EQ(i, t.migrations[TALLY_DONE] + t.migrations[TALLY_REFUSED]);
		ASSERT_EQ(i / 3, t.migrations[TALLY_REFUSED]);
		ASSERT_EQ(1000 * (i - i / 3), t.frames[TALLY_SWAPPED]);
		last = i;
	}
	/* The latest are those that stay. */
	EXPECT_EQ(last % 10, read_with(self->path, &(struct history_filter){ .last = 1 }));
	EXPECT_NE(0, access(self->temp, F_OK));
}

TEST_F(history, bounded_by_age_and_nothing_is_uncounted)
{
	struct tally t;

	self->h.days = 10;
	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW + 5 * DAY));
	EXPECT_EQ(12, read_with(self->path, NULL));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 3, NOW + 11 * DAY));
	EXPECT_EQ(23, read_with(self->path, &(struct history_filter){ 0 }));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 4, NOW + 16 * DAY));
	EXPECT_EQ(34, read_with(self->path, &(struct history_filter){ 0 }));
	t = tally_of(self->path);
	EXPECT_EQ(4, t.migrations[TALLY_DONE]);
	EXPECT_EQ(1, t.pauses[3]);	/* 0.1 s: a bound is in its bucket */
	EXPECT_LT(0.999, t.pauses_s);
	EXPECT_GT(1.001, t.pauses_s);
}

/* Cut off before the rename: the old one is there, whole, and what the dead one left does no harm. */
TEST_F(history, a_rotation_is_there_whole_or_not_at_all)
{
	self->h.days = 10;
	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW + 5 * DAY));
	no_rename = true;
	EXPECT_EQ(-EROFS, add(&self->h, "u1", "done", 3, NOW + 11 * DAY));
	no_rename = false;
	EXPECT_EQ(12, read_with(self->path, NULL));
	spew(self->temp, "garbage", 7);
	ASSERT_EQ(0, add(&self->h, "u1", "done", 3, NOW + 11 * DAY));
	EXPECT_EQ(23, read_with(self->path, &(struct history_filter){ 0 }));
}

TEST_F(history, the_new_file_is_synced_before_the_rename)
{
	self->h.days = 10;
	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	files_synced = 0;
	dirs_synced = 0;
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW + 11 * DAY));
	EXPECT_EQ(2, files_synced);
	EXPECT_EQ(1, dirs_synced);
}

TEST_F(history, filters)
{
	static const char text[] =
		"{\"kind\":\"maintenance\",\"n\":4,\"ended\":1000000004,\"from\":\"hv1\",\"to\":\"hv2\",\"outcome\":\"done\","
		"\"guests\":[{\"guest\":\"db1\"},{\"guest\":\"web2\"}]}";
	struct json_object *maintenance = json_tokener_parse(text);

	ASSERT_EQ(0, add(&self->h, "web1", "done", 1, NOW + 1));
	ASSERT_EQ(0, add(&self->h, "db1", "refused", 2, NOW + 2));
	ASSERT_EQ(0, add(&self->h, "web2", "done", 3, NOW + 3));
	ASSERT_EQ(0, history_append(&self->h, maintenance, NOW + 4));
	ASSERT_EQ(0, add(&self->h, "web2", "lost", 5, NOW + 5));
	json_object_put(maintenance);
	EXPECT_EQ(12345, read_with(self->path, &(struct history_filter){ 0 }));
	EXPECT_EQ(1345, read_with(self->path, &(struct history_filter){ .guest = "web*" }));
	EXPECT_EQ(24, read_with(self->path, &(struct history_filter){ .guest = "db1" }));
	EXPECT_EQ(1235, read_with(self->path,
				  &(struct history_filter){ .guest = "6ba7b810-9dad-11d1-80b4-00c04fd430c8" }));
	EXPECT_EQ(2, read_with(self->path, &(struct history_filter){ .hostvm = "hv3" }));
	EXPECT_EQ(25, read_with(self->path, &(struct history_filter){ .failed = true }));
	EXPECT_EQ(4, read_with(self->path, &(struct history_filter){ .kind = "maintenance" }));
	EXPECT_EQ(1235, read_with(self->path, &(struct history_filter){ .kind = "migration" }));
	EXPECT_EQ(234, read_with(self->path, &(struct history_filter){ .since = NOW + 2, .until = NOW + 4 }));
	EXPECT_EQ(45, read_with(self->path, &(struct history_filter){ .last = 2 }));
	EXPECT_EQ(12345, read_with(self->path, &(struct history_filter){ .last = 9 }));
	EXPECT_EQ(5, read_with(self->path, &(struct history_filter){ .last = 1, .guest = "web*" }));
}

static int refuse(struct json_object *json, void *arg)
{
	(void)json;
	++*(int *)arg;
	return -ECANCELED;
}

TEST_F(history, a_reader_that_has_enough_is_asked_no_more)
{
	int asked = 0;

	ASSERT_EQ(0, add(&self->h, "u1", "done", 1, NOW));
	ASSERT_EQ(0, add(&self->h, "u1", "done", 2, NOW));
	EXPECT_EQ(-ECANCELED, history_read(self->path, NULL, refuse, &asked));
	EXPECT_EQ(1, asked);
	EXPECT_EQ(-ECANCELED, history_read(self->path, &(struct history_filter){ .last = 2 }, refuse, &asked));
	EXPECT_EQ(2, asked);
}

static int parse_filter(const char *text, struct history_filter *f, struct error *err, struct json_object **json)
{
	*json = json_tokener_parse(text);
	return history_filter_parse(f, *json, err);
}

TEST(a_filter_from_a_request)
{
	static const char *const bad[] = {
		"{\"last\":0}", "{\"last\":10001}", "{\"last\":-1}", "{\"kind\":\"totals\"}",
	};
	struct history_filter f;
	struct json_object *json;
	struct error err;

	ASSERT_EQ(0, parse_filter("{\"guest\":\"u*\",\"last\":5,\"failed\":true,\"since\":7}", &f, &err, &json));
	EXPECT_STREQ("u*", f.guest);
	EXPECT_EQ(5, f.last);
	EXPECT_EQ(7, f.since);
	EXPECT_TRUE(f.failed);
	json_object_put(json);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, parse_filter(bad[i], &f, &err, &json))
			TH_LOG("%s", bad[i]);
		json_object_put(json);
	}
}

TEST(configuration)
{
	static const char *const bad[] = {
		"{\"days\":0}", "{\"days\":\"7\"}", "{\"kib\":1}", "{\"kib\":100000}", "{\"size\":1}",
		"{\"file\":7}", "[]", "7",
	};
	struct json_object *json;
	struct history h;
	struct error err;

	ASSERT_EQ(0, history_configure(&h, NULL, "conf", &err));
	EXPECT_STREQ("/var/lib/vmbeam/history", h.path);
	EXPECT_EQ(400, h.days);
	EXPECT_EQ(4096, h.kib);
	json = json_tokener_parse("{\"file\":\"/x\",\"days\":7,\"kib\":64}");
	ASSERT_EQ(0, history_configure(&h, json, "conf", &err));
	EXPECT_STREQ("/x", h.path);
	EXPECT_EQ(7, h.days);
	EXPECT_EQ(64, h.kib);
	json_object_put(json);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json = json_tokener_parse(bad[i]);
		EXPECT_EQ(-1, history_configure(&h, json, "conf", &err))
			TH_LOG("%s", bad[i]);
		EXPECT_EQ(0, strncmp("conf: ", err.text, 6));
		json_object_put(json);
	}
}

TEST(totals_of_totals)
{
	struct json_object *report = migration("u1", "done", 7), *record = history_migration(report, NOW);
	struct json_object *totals, *more;
	struct json_object *maintenance =
		json_tokener_parse("{\"kind\":\"maintenance\",\"what\":\"maintain\",\"outcome\":\"done\"}");
	struct tally once = { 0 }, twice = { 0 };

	tally_add(&once, record);
	tally_add(&once, maintenance);
	totals = tally_to_json(&once);
	more = json_tokener_parse(json_object_to_json_string(totals));
	tally_add(&twice, more);
	EXPECT_EQ(0, memcmp(&once, &twice, sizeof(once)));
	EXPECT_EQ(1, twice.maintenances[TALLY_MAINTAIN][TALLY_DONE]);
	tally_add(&twice, totals);
	EXPECT_EQ(2, twice.migrations[TALLY_DONE]);
	json_object_put(more);
	json_object_put(totals);
	json_object_put(maintenance);
	json_object_put(record);
	json_object_put(report);
}

TEST_HARNESS_MAIN
