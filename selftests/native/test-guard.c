// SPDX-License-Identifier: GPL-2.0
/* The guard: what would start a guest VM that is away is put aside, whatever is killed in between, and comes back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "kselftest_harness.h"

#define U1 "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define U2 "6BA7B811-9dad-11d1-80b4-00c04fd430c8"

/* In the place of libc's: the system goes down at one of these. */
static int calls, dies_at;
static char order[200];

static bool dies(const char *what)
{
	strcat(order, what);
	return ++calls == dies_at;
}

int rename(const char *from, const char *to)
{
	if (dies("record "))
		_exit(99);
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned int flags)
{
	struct stat st;

	if (dies("move "))
		_exit(99);
	if ((flags & RENAME_NOREPLACE) && !lstat(to, &st)) {
		errno = EEXIST;
		return -1;
	}
	return renameat(a, from, b, to);
}

int unlink(const char *path)
{
	if (dies("forget "))
		_exit(99);
	return unlinkat(AT_FDCWD, path, 0);
}

FIXTURE(guard) {
	char dir[64], autostart[80], state[80], path[400], told[1000];
	struct guard g;
	struct error err;
};

static const char *put(FIXTURE_DATA(guard) *self, const char *where, const char *text)
{
	FILE *f;

	snprintf(self->path, sizeof(self->path), "%s/%s", self->dir, where);
	f = fopen(self->path, "w");
	fputs(text, f);
	fclose(f);
	return self->path;
}

static bool is_there(FIXTURE_DATA(guard) *self, const char *where)
{
	struct stat st;

	snprintf(self->path, sizeof(self->path), "%s/%s", self->dir, where);
	return !stat(self->path, &st);
}

FIXTURE_SETUP(guard)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/vmbeam-guard-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->autostart, sizeof(self->autostart), "%s/auto", self->dir);
	snprintf(self->state, sizeof(self->state), "%s/state", self->dir);
	ASSERT_EQ(0, mkdir(self->autostart, 0755));
	self->g = (struct guard){ .autostart = self->autostart, .state = self->state };
	put(self, "u1.cfg", "# a comment\nname = \"u1\"\nmemory = 256\ndisk = [ 'phy:/dev/vdb,xvda,w' ]\n");
	snprintf(self->path, sizeof(self->path), "%s/auto/10-u1.cfg", self->dir);
	ASSERT_EQ(0, symlink("../u1.cfg", self->path));
	put(self, "auto/20-other", "name='u11'\nkernel=\"/boot/u1\"\nextra=\"name=u1\"\n");
	put(self, "auto/30-by-uuid", "name='renamed'\nuuid='6ba7b810-9DAD-11d1-80b4-00c04fd430c8'\n");
	put(self, "auto/40-broken", "name = 'u1\n");
	put(self, "auto/50-nameless", "memory = 5\n");
	calls = 0;
	dies_at = 0;
	order[0] = 0;
	self->told[0] = 0;
}

FIXTURE_TEARDOWN(guard)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
}

static void hear(const char *text, void *arg)
{
	strcat(arg, text);
}

/* With a disk, as its configuration names it. */
static int leave_with(FIXTURE_DATA(guard) *self, const char *uuid, const char *name, const char *disk, int64_t now)
{
	struct xl_guest guest = { .uuid = uuid, .name = name, .disks = json_object_new_array() };
	int rc;

	if (disk)
		json_object_array_add(guest.disks, json_object_new_string(disk));
	rc = guard_leave(&self->g, &guest, now, &self->err);
	json_object_put(guest.disks);
	return rc;
}

static int leave(FIXTURE_DATA(guard) *self, const char *uuid, const char *name, int64_t now)
{
	return leave_with(self, uuid, name, NULL, now);
}

static int count(const struct guard_away *away, void *arg)
{
	int *n = arg;

	++*n;
	return strcmp(away->name, "u1") ? 7 : 0;
}

#define EXPECT_AWAY() do {						\
	EXPECT_FALSE(is_there(self, "auto/10-u1.cfg"));			\
	EXPECT_FALSE(is_there(self, "auto/30-by-uuid"));		\
	/* Its target is found from there, too. */			\
	EXPECT_TRUE(is_there(self, "auto.vmbeam-away/10-u1.cfg." U1));	\
	EXPECT_TRUE(is_there(self, "auto.vmbeam-away/30-by-uuid." U1));	\
	EXPECT_TRUE(is_there(self, "auto/20-other"));			\
	EXPECT_TRUE(is_there(self, "auto/40-broken"));			\
	EXPECT_TRUE(is_there(self, "auto/50-nameless"));		\
} while (0)

#define EXPECT_BACK() do {						\
	EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));			\
	EXPECT_TRUE(is_there(self, "auto/30-by-uuid"));			\
	EXPECT_FALSE(is_there(self, "auto.vmbeam-away"));		\
	EXPECT_FALSE(is_there(self, "state/" U1));			\
} while (0)

TEST_F(guard, away_and_back)
{
	int n = 0;

	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000))
		TH_LOG("%s", self->err.text);
	EXPECT_AWAY();
	EXPECT_EQ(0, guard_list(&self->g, count, &n, &self->err));
	EXPECT_EQ(1, n);
	EXPECT_STREQ("record move move ", order);
	/* Again is no error. */
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000001));
	EXPECT_AWAY();
	order[0] = 0;
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_BACK();
	EXPECT_STREQ("move move forget ", order);
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	n = 0;
	EXPECT_EQ(0, guard_list(&self->g, count, &n, &self->err));
	EXPECT_EQ(0, n);
}

/* Whenever the system goes down in between, the next boot guards it, or it never was to be guarded. */
TEST_F(guard, killed_at_every_point)
{
	for (int k = 1; k <= 4; k++) {
		pid_t child = fork();
		int status, moved;

		if (!child) {
			dies_at = k;
			calls = 0;
			leave(self, U1, "u1", 1764000000);
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(k < 4 ? 99 : 0, WEXITSTATUS(status));
		moved = guard_apply(&self->g, &self->err);
		if (k == 1) {
			EXPECT_EQ(0, moved);
			EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
		} else {
			EXPECT_EQ(4 - k, moved);
			EXPECT_AWAY();
		}
		ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
		EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
	}
	for (int k = 1; k <= 4; k++) {
		pid_t child;
		int status;

		ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
		child = fork();
		if (!child) {
			dies_at = k;
			calls = 0;
			guard_back(&self->g, U1, &self->err);
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(k < 4 ? 99 : 0, WEXITSTATUS(status));
		/* Asked for again. */
		ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
		EXPECT_BACK();
	}
}

/* Somebody renamed the guest VM: of what its file says only the disk is still true. */
TEST_F(guard, renamed)
{
	char disk[80], link[80], text[300];

	snprintf(disk, sizeof(disk), "%s/disk", self->dir);
	snprintf(link, sizeof(link), "%s/by-id", self->dir);
	put(self, "disk", "");
	ASSERT_EQ(0, symlink("disk", link));
	snprintf(text, sizeof(text),
		 "name='old'\ndisk=['/dev/other,raw,xvdb,w','format=raw,vdev=xvda,access=rw,target=%s']\n", disk);
	put(self, "auto/70-disk", text);
	snprintf(text, sizeof(text), "name='cd'\ndisk=['%s,raw,xvdc,cdrom']\n", disk);
	put(self, "auto/80-reads", text);
	put(self, "auto/85-others", "name='o'\ndisk=['phy:/dev/other,xvda,w']\n");
	ASSERT_EQ(0, leave_with(self, U1, "new", link, 17)) TH_LOG("%s", self->err.text);
	EXPECT_FALSE(is_there(self, "auto/70-disk"));
	EXPECT_TRUE(is_there(self, "auto/80-reads"));
	EXPECT_TRUE(is_there(self, "auto/85-others"));
	/* What comes anew, by the record, which is all that is left after a restart. */
	put(self, "auto/71-anew", "name='x'\ndisk=['phy:by-id,xvda,w']\n");
	snprintf(text, sizeof(text), "name='y'\ndisk=['phy:%s,xvda,w']\n", link);
	put(self, "auto/72-anew", text);
	EXPECT_EQ(1, guard_apply(&self->g, &self->err)) TH_LOG("%s", self->err.text);
	EXPECT_TRUE(is_there(self, "auto/71-anew"));
	EXPECT_FALSE(is_there(self, "auto/72-anew"));
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_TRUE(is_there(self, "auto/70-disk"));
	EXPECT_TRUE(is_there(self, "auto/72-anew"));
}

/* What is no path is one in /dev, as for the toolstack. The device itself need not be there. */
TEST_F(guard, disks_are_in_dev)
{
	put(self, "auto/70-disk", "name='old'\ndisk=['phy:no-such-disk,xvda,w']\n");
	ASSERT_EQ(0, leave_with(self, U1, "new", "/dev/no-such-disk", 17)) TH_LOG("%s", self->err.text);
	EXPECT_FALSE(is_there(self, "auto/70-disk"));
}

/* Renamed since an earlier migration, which did not put its record away. */
TEST_F(guard, record_is_of_the_last_time)
{
	put(self, "auto/70-new", "name='new'\n");
	ASSERT_EQ(0, leave(self, U2, "old", 17));
	ASSERT_EQ(0, leave(self, U2, "new", 18));
	EXPECT_FALSE(is_there(self, "auto/70-new"));
	put(self, "auto/71-anew", "name='new'\n");
	EXPECT_EQ(1, guard_apply(&self->g, &self->err)) TH_LOG("%s", self->err.text);
	EXPECT_FALSE(is_there(self, "auto/71-anew"));
	ASSERT_EQ(0, guard_back(&self->g, U2, &self->err));
	EXPECT_TRUE(is_there(self, "auto/70-new"));
}

/* Something that manages configurations writes it anew while it is away: the next boot does not start it. */
TEST_F(guard, one_that_comes_anew)
{
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
	put(self, "auto/30-by-uuid", "name='u1'\nmemory=999\n");
	put(self, "auto/60-more", "uuid='" U1 "'\n");
	EXPECT_EQ(2, guard_apply(&self->g, &self->err));
	EXPECT_AWAY();
	EXPECT_TRUE(is_there(self, "auto.vmbeam-away/60-more." U1));
	/* One that is there when the guest VM comes back counts, and the older one is not thrown away. */
	put(self, "auto/60-more", "name='u1'\nmemory=5\n");
	EXPECT_EQ(0, guard_left(&self->g, hear, self->told, &self->err));
	EXPECT_STREQ("", self->told);
	ASSERT_EQ(1, guard_back(&self->g, U1, &self->err));
	EXPECT_TRUE(is_there(self, "auto/60-more"));
	EXPECT_TRUE(is_there(self, "auto.vmbeam-away/60-more." U1));
	EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
	EXPECT_FALSE(is_there(self, "state/" U1));
	/* And what to do is told until it is done. */
	EXPECT_NE(NULL, strstr(self->err.text, "leave that one as"));
	EXPECT_NE(NULL, strstr(self->err.text, "/auto.vmbeam-away/60-more." U1 " was put aside while"));
	EXPECT_EQ(0, guard_left(&self->g, hear, self->told, &self->err));
	EXPECT_STREQ(self->err.text, self->told);
	is_there(self, "auto/60-more");
	ASSERT_EQ(0, remove(self->path));
	self->told[0] = 0;
	EXPECT_EQ(0, guard_left(&self->g, hear, self->told, &self->err));
	EXPECT_STREQ("", self->told);
}

/* Two guest VMs whose files are called the same, since the first one's is aside when the second one's comes. */
TEST_F(guard, two_of_the_same_name)
{
	char text[100];
	FILE *f;

	ASSERT_EQ(0, leave(self, U1, "u1", 17));
	put(self, "auto/30-by-uuid", "name='u2'\n");
	ASSERT_EQ(0, leave(self, U2, "u2", 17));
	EXPECT_FALSE(is_there(self, "auto/30-by-uuid"));
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_TRUE(is_there(self, "auto/30-by-uuid"));
	f = fopen(self->path, "r");
	ASSERT_NE(NULL, fgets(text, sizeof(text), f));
	fclose(f);
	EXPECT_STREQ("name='renamed'\n", text);
	/* Both are still there. */
	EXPECT_EQ(1, guard_back(&self->g, U2, &self->err));
	EXPECT_TRUE(is_there(self, "auto.vmbeam-away/30-by-uuid." U2));
}

TEST_F(guard, name_is_too_long)
{
	char where[300] = "auto/";

	memset(where + 5, 'x', 230);
	put(self, where, "name='u1'\n");
	EXPECT_EQ(-1, leave(self, U1, "u1", 17));
	EXPECT_NE(NULL, strstr(self->err.text, "File name too long"));
	EXPECT_TRUE(is_there(self, where));
	EXPECT_EQ(0, guard_back(&self->g, U1, &self->err));
}

TEST_F(guard, two_that_are_away)
{
	put(self, "auto/70-u2", "name='u\xe9\\\\2'\n");
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
	ASSERT_EQ(0, leave(self, U2, "u\\xe9\\\\2", 1764000000));
	EXPECT_FALSE(is_there(self, "auto/70-u2"));
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_FALSE(is_there(self, "auto/70-u2"));
	EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
	ASSERT_EQ(0, guard_back(&self->g, U2, &self->err));
	EXPECT_TRUE(is_there(self, "auto/70-u2"));
}

TEST_F(guard, one_that_stays_away)
{
	int n = 0;

	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
	ASSERT_EQ(0, guard_adopt(&self->g, U1, &self->err));
	EXPECT_AWAY();
	EXPECT_EQ(0, guard_list(&self->g, count, &n, &self->err));
	EXPECT_EQ(0, n);
	/* Nothing brings it back by itself. */
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_AWAY();
	ASSERT_EQ(0, guard_adopt(&self->g, U1, &self->err));
}

TEST_F(guard, no_autostart_at_all)
{
	self->g.autostart = "/no/such/directory";
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
	EXPECT_EQ(0, guard_apply(&self->g, &self->err));
	EXPECT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_FALSE(is_there(self, "state/" U1));
	/* A guard that nobody ever needed. */
	self->g.state = "/no/such/state";
	EXPECT_EQ(0, guard_apply(&self->g, &self->err));
}

TEST_F(guard, a_record_that_makes_no_sense)
{
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000));
	put(self, "state/" U1, "{\"uuid\":\"7\"}");
	/* Whoever asks is told: silence would let it start. */
	EXPECT_EQ(-1, guard_apply(&self->g, &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, U1));
	/* The files aside say themselves whose they are. */
	ASSERT_EQ(0, guard_back(&self->g, U1, &self->err));
	EXPECT_BACK();
}

/* On a system that is new. */
TEST_F(guard, directories_are_made)
{
	snprintf(self->state, sizeof(self->state), "%s/var/state", self->dir);
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000))
		TH_LOG("%s", self->err.text);
	EXPECT_TRUE(is_there(self, "var/state/" U1));
	put(self, "file", "");
	snprintf(self->state, sizeof(self->state), "%s/file/state", self->dir);
	EXPECT_EQ(-1, leave(self, U1, "u1", 1764000000));
	EXPECT_NE(NULL, strstr(self->err.text, "file/state cannot be made: Not a directory"));
}

TEST_F(guard, a_uuid_is_no_path)
{
	EXPECT_EQ(-1, leave(self, "../auto/0123456789abcdef0123456789ab", "u1", 1));
	EXPECT_EQ(-1, leave(self, "", "u1", 1));
	EXPECT_EQ(-1, guard_back(&self->g, "..", &self->err));
	EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
	EXPECT_FALSE(is_there(self, "auto/0123456789abcdef0123456789ab"));
}

/* What is no file is not read: a pipe would keep the boot. Nor does xl read it. */
TEST_F(guard, what_is_no_configuration)
{
	snprintf(self->path, sizeof(self->path), "%s/auto/80-pipe", self->dir);
	ASSERT_EQ(0, mkfifo(self->path, 0600));
	snprintf(self->path, sizeof(self->path), "%s/auto/85-dangling", self->dir);
	ASSERT_EQ(0, symlink("/no/such/file", self->path));
	ASSERT_EQ(0, leave(self, U1, "u1", 1764000000)) TH_LOG("%s", self->err.text);
	EXPECT_AWAY();
}

/* Nobody knows whose they are. The others are moved all the same, now and at the next boot. */
TEST_F(guard, what_cannot_be_read)
{
	snprintf(self->path, sizeof(self->path), "%s/auto/00-bad", self->dir);
	/* A file, and nothing is at the beginning of that memory: EIO. */
	ASSERT_EQ(0, symlink("/proc/self/mem", self->path));
	EXPECT_EQ(-1, leave(self, U1, "u1", 17));
	EXPECT_NE(NULL, strstr(self->err.text, "00-bad cannot be read: Input/output error"));
	EXPECT_AWAY();
	put(self, "auto/30-by-uuid", "name='u1'\n");
	put(self, "auto/70-u2", "name='u2'\n");
	EXPECT_EQ(-1, leave(self, U2, "u2", 17));
	put(self, "auto/70-u2", "name='u2'\n");
	EXPECT_EQ(-1, guard_apply(&self->g, &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, "00-bad cannot be read"));
	EXPECT_AWAY();
	EXPECT_FALSE(is_there(self, "auto/70-u2"));
}

TEST_F(guard, what_is_too_large)
{
	put(self, "auto/90-large", "name='u1'\n");
	ASSERT_EQ(0, truncate(self->path, 2 << 20));
	EXPECT_EQ(-1, leave(self, U1, "u1", 17));
	EXPECT_NE(NULL, strstr(self->err.text, "90-large has more than 1048576 bytes"));
	EXPECT_NE(NULL, strstr(self->err.text, "move it out of that directory"));
}

/* However few files the agent may open still: what it says that it has guarded it has. */
TEST_F(guard, out_of_files)
{
	struct rlimit before, few;
	int first = dup(0), failed = 0, rc;

	ASSERT_LT(0, first);
	close(first);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	for (int n = 0; n < 6; n++) {
		few = (struct rlimit){ first + n, before.rlim_max };
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
		rc = leave(self, U1, "u1", 17);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
		failed += rc != 0;
		if (!rc)
			EXPECT_AWAY();
		ASSERT_EQ(0, guard_back(&self->g, U1, &self->err)) TH_LOG("%s", self->err.text);
		EXPECT_TRUE(is_there(self, "auto/10-u1.cfg"));
	}
	EXPECT_LT(1, failed);
	EXPECT_GT(6, failed);
}

/* xendomains would restore it. */
TEST_F(guard, an_old_image_is_in_the_way)
{
	self->g.saved = self->dir;
	put(self, "u1", "an image");
	EXPECT_EQ(-1, leave(self, U1, "u1", 17));
	EXPECT_NE(NULL, strstr(self->err.text, "remove it"));
	EXPECT_EQ(0, leave(self, U2, "u2", 17));
}

TEST_HARNESS_MAIN
