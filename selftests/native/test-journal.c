// SPDX-License-Identifier: GPL-2.0
/* The journal: replay, a write torn at every byte, damage in the middle, a second daemon, and what is on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "journal.h"
#include "kselftest_harness.h"

FIXTURE(journal) {
	char dir[64], path[80];
	struct journal j;
	int seen, sum;
};

/* In the place of libc's: what was asked of the disk. */
static int files_synced, dirs_synced;
static bool disk_is_broken;

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

/* Likewise; with a rival that puts a file of its own in the place of this one, just before it is locked. */
static const char *rival[2];

int flock(int fd, int operation)
{
	if (rival[0] && rename(rival[0], rival[1]))
		return -1;
	return syscall(SYS_flock, fd, operation);
}

static int count(struct json_object *json, void *arg)
{
	int *n = arg;

	n[0]++;
	n[1] += json_object_get_int(json_object_object_get(json, "n"));
	return 0;
}

static int refuse(struct json_object *json, void *arg)
{
	(void)json;
	(void)arg;
	return -ENOTSUP;
}

static int append(struct journal *j, int n)
{
	struct json_object *json = json_object_new_object();
	int rc;

	json_object_object_add(json, "n", json_object_new_int(n));
	json_object_object_add(json, "text", json_object_new_string("a \"quoted\"\nline"));
	rc = journal_append(j, json);
	json_object_put(json);
	return rc;
}

FIXTURE_SETUP(journal)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/vmbeam-journal-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/journal", self->dir);
	self->seen = 0;
	self->sum = 0;
	disk_is_broken = false;
	memset(rival, 0, sizeof(rival));
	ASSERT_EQ(0, journal_open(&self->j, self->path, count, &self->seen));
	for (int i = 1; i <= 3; i++)
		ASSERT_EQ(0, append(&self->j, i));
}

FIXTURE_TEARDOWN(journal)
{
	journal_close(&self->j);
	unlink(self->path);
	rmdir(self->dir);
}

TEST_F(journal, replay)
{
	journal_close(&self->j);
	ASSERT_EQ(0, journal_open(&self->j, self->path, count, &self->seen));
	EXPECT_EQ(3, self->seen);
	EXPECT_EQ(6, self->sum);
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

TEST_F(journal, torn_at_every_byte)
{
	char buf[4096];
	size_t len = slurp(self->path, buf, sizeof(buf));

	journal_close(&self->j);
	for (size_t cut = 0; cut <= len; cut++) {
		int whole = 0, seen[2] = { 0, 0 }, again[2] = { 0, 0 };

		for (size_t i = 0; i < cut; i++)
			whole += buf[i] == '\n';
		spew(self->path, buf, cut);
		ASSERT_EQ(0, journal_open(&self->j, self->path, count, seen));
		ASSERT_EQ(whole, seen[0]);
		ASSERT_EQ(0, append(&self->j, 100));
		journal_close(&self->j);
		ASSERT_EQ(0, journal_open(&self->j, self->path, count, again));
		ASSERT_EQ(whole + 1, again[0]);
		ASSERT_EQ(seen[1] + 100, again[1]);
		journal_close(&self->j);
	}
}

/* The length was written and the data was not: a tail of zeros, or of anything. */
TEST_F(journal, last_line_changed_at_every_byte)
{
	char buf[4096], bad[4096];
	size_t len = slurp(self->path, buf, sizeof(buf)), last = len - 1;

	journal_close(&self->j);
	while (buf[last - 1] != '\n')
		last--;
	for (size_t at = last; at < len; at++) {
		int seen[2] = { 0, 0 };

		memcpy(bad, buf, len);
		memset(bad + at, 0, len - at);
		spew(self->path, bad, len);
		ASSERT_EQ(0, journal_open(&self->j, self->path, count, seen));
		ASSERT_EQ(2, seen[0]);
		journal_close(&self->j);

		memcpy(bad, buf, len);
		bad[at] ^= 0x20;
		spew(self->path, bad, len);
		ASSERT_EQ(0, journal_open(&self->j, self->path, count, seen));
		ASSERT_EQ(4, seen[0]);
		journal_close(&self->j);
	}
}

TEST_F(journal, damage_in_the_middle_is_told)
{
	char buf[4096], bad[4096];
	size_t len = slurp(self->path, buf, sizeof(buf)), first = strcspn(buf, "\n");

	journal_close(&self->j);
	for (size_t at = 0; at <= first; at++) {
		memcpy(bad, buf, len);
		bad[at] ^= 1;
		spew(self->path, bad, len);
		ASSERT_EQ(-EBADMSG, journal_open(&self->j, self->path, NULL, NULL));
		ASSERT_EQ(len, slurp(self->path, bad, sizeof(bad)));
	}
}

TEST_F(journal, one_daemon_at_a_time)
{
	struct journal other;

	EXPECT_EQ(-EWOULDBLOCK, journal_open(&other, self->path, NULL, NULL));
}

TEST_F(journal, one_that_was_replaced_before_the_lock_is_not_taken)
{
	struct journal other;
	char temp[96];

	journal_close(&self->j);
	snprintf(temp, sizeof(temp), "%s.rival", self->path);
	spew(temp, "", 0);
	rival[0] = temp;
	rival[1] = self->path;
	EXPECT_EQ(-EWOULDBLOCK, journal_open(&other, self->path, NULL, NULL));
}

TEST_F(journal, on_the_disk_before_it_counts)
{
	files_synced = 0;
	ASSERT_EQ(0, append(&self->j, 4));
	EXPECT_EQ(1, files_synced);

	/* The name, too: also of one that was there, since whoever made it may have died before that. */
	journal_close(&self->j);
	dirs_synced = 0;
	ASSERT_EQ(0, journal_open(&self->j, self->path, NULL, NULL));
	EXPECT_EQ(1, dirs_synced);
}

TEST_F(journal, shortened_to_the_last_record)
{
	struct journal other;
	char temp[96];

	/* What one that died in the middle of it has left. */
	snprintf(temp, sizeof(temp), "%s.new", self->path);
	spew(temp, "12345678 garbage\n", 17);
	EXPECT_EQ(3, self->j.records);
	files_synced = 0;
	dirs_synced = 0;
	ASSERT_EQ(0, journal_shorten(&self->j));
	EXPECT_EQ(1, files_synced);
	EXPECT_EQ(1, dirs_synced);
	EXPECT_EQ(1, self->j.records);
	EXPECT_EQ(-1, access(temp, F_OK));
	/* It is still ours, and goes on. */
	EXPECT_EQ(-EWOULDBLOCK, journal_open(&other, self->path, NULL, NULL));
	EXPECT_EQ(0, append(&self->j, 10));
	journal_close(&self->j);
	ASSERT_EQ(0, journal_open(&self->j, self->path, count, &self->seen));
	EXPECT_EQ(2, self->seen);
	EXPECT_EQ(13, self->sum);
}

TEST_F(journal, as_it_was_when_it_cannot_be_shortened)
{
	char temp[96];

	snprintf(temp, sizeof(temp), "%s.new", self->path);
	ASSERT_EQ(0, mkdir(temp, 0700));
	EXPECT_EQ(-EISDIR, journal_shorten(&self->j));
	EXPECT_EQ(0, rmdir(temp));
	EXPECT_EQ(0, append(&self->j, 10));
	journal_close(&self->j);
	ASSERT_EQ(0, journal_open(&self->j, self->path, count, &self->seen));
	EXPECT_EQ(4, self->seen);
	EXPECT_EQ(16, self->sum);
}

/* Of what was written while it failed nothing is left, and all before and after it is there, in order. */
static void check_that_it_goes_on(struct __test_metadata *_metadata, struct journal *j, const char *path)
{
	int seen[2] = { 0, 0 };

	EXPECT_EQ(0, append(j, 10));
	EXPECT_EQ(0, append(j, 100));
	journal_close(j);
	ASSERT_EQ(0, journal_open(j, path, count, seen));
	/* The last one before, and these. */
	EXPECT_EQ(3, seen[0]);
	EXPECT_EQ(3 + 10 + 100, seen[1]);
}

TEST_F(journal, goes_on_after_a_full_disk)
{
	struct journal other;
	int good = self->j.fd;

	self->j.fd = open("/dev/full", O_WRONLY);
	EXPECT_EQ(-ENOSPC, append(&self->j, 4));
	close(good);
	check_that_it_goes_on(_metadata, &self->j, self->path);
	/* The new file is locked as the old one was. */
	EXPECT_EQ(-EWOULDBLOCK, journal_open(&other, self->path, NULL, NULL));
}

/* Whether the record is on the disk nobody knows, and a second fsync would not tell. */
TEST_F(journal, nothing_is_built_on_a_failed_sync)
{
	struct stat before, after;

	ASSERT_EQ(0, stat(self->path, &before));
	disk_is_broken = true;
	EXPECT_EQ(-EIO, append(&self->j, 4));
	EXPECT_EQ(-EIO, append(&self->j, 5));
	ASSERT_EQ(0, stat(self->path, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
	disk_is_broken = false;
	check_that_it_goes_on(_metadata, &self->j, self->path);
	ASSERT_EQ(0, stat(self->path, &after));
	EXPECT_NE(before.st_ino, after.st_ino);
}

/* Torn, and not even the rest can be cut off: the old file stays behind as it is, until there is a new one. */
TEST_F(journal, goes_on_after_half_a_record)
{
	FILE *f;

	disk_is_broken = true;
	EXPECT_EQ(-EIO, append(&self->j, 4));
	disk_is_broken = false;
	f = fopen(self->path, "a");
	fputs("0123", f);
	fclose(f);
	check_that_it_goes_on(_metadata, &self->j, self->path);
}

TEST_F(journal, a_record_that_the_caller_does_not_take)
{
	struct journal other;

	journal_close(&self->j);
	EXPECT_EQ(-ENOTSUP, journal_open(&other, self->path, refuse, NULL));
}

TEST_HARNESS_MAIN
