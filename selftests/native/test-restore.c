// SPDX-License-Identifier: GPL-2.0
/* The destination's side of the stream, over a made-up toolstack: an xl that does not read or end, or is given up. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "destroy.h"
#include "domain.h"
#include "js.h"
#include "ops.h"
#include "pack.h"
#include "restore.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

#define DOMID 9
#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
/* Far beyond AGAIN_MS as it is here, and far below what the harness allows. */
#define SOON_MS 5000

/* What the children see, too. */
static struct toolstack {
	bool made;		/* the domain that xl makes is there */
	int destroyed;
} *x;

int domains_read(struct domain **list, size_t *nr)
{
	*nr = x->made;
	*list = calloc(1, sizeof(**list));
	**list = (struct domain){ .domid = DOMID, .name = strdup("u1"), .uuid = UUID };
	return 0;
}

void domains_free(struct domain *list, size_t nr)
{
	(void)nr;
	if (list)
		free(list->name);
	free(list);
}

int domain_read(uint32_t domid, struct domain *d)
{
	memset(d, 0, sizeof(*d));
	d->domid = domid;
	return x->made && domid == DOMID ? 0 : -ESRCH;
}

int domain_rename(uint32_t domid, const char *form)
{
	(void)domid;
	(void)form;
	return 0;
}

const char *domain_helper(void)
{
	return "/bin/true";
}

int destroy(uint32_t domid)
{
	x->destroyed += domid == DOMID;
	x->made = false;
	return 0;
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

FIXTURE(restore) {
	struct request r;
	char dir[64];
	uint8_t *stream;
	uint32_t len;
	uint64_t unpacked;	/* 0: the stream is not packed */
};

FIXTURE_SETUP(restore)
{
	char path[400];

	x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, x);
	memset(&self->r, 0, sizeof(self->r));
	snprintf(self->dir, sizeof(self->dir), "/tmp/test-restore-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(path, sizeof(path), "%s:%s", self->dir, getenv("PATH"));
	setenv("PATH", path, 1);
	self->stream = calloc(1, MAX_BLOB_OUT);
	self->len = MAX_BLOB_OUT;
	self->unpacked = 0;
}

static int ask_once(FIXTURE_DATA(restore) *self, int (*op)(struct request *r), const char *migration, bool again)
{
	request_begin(&self->r, again);
	js_add_str(self->r.in, "migration", migration);
	js_add_str(self->r.in, "name", "u1");
	js_add_str(self->r.in, "uuid", UUID);
	js_add_u64(self->r.in, "frames", 1);
	if (op == op_restore_write && !again) {
		self->r.blob = self->stream;
		self->r.blob_len = self->len;
		if (self->unpacked)
			js_add_u64(self->r.in, "unpacked", self->unpacked);
	}
	return op(&self->r);
}

static int ask(FIXTURE_DATA(restore) *self, int (*op)(struct request *r), const char *migration)
{
	for (bool again = false;; again = true) {
		int rc = ask_once(self, op, migration, again);

		if (rc || !self->r.again)
			return rc;
	}
}

FIXTURE_TEARDOWN(restore)
{
	char command[100];

	ask(self, op_restore_abort, "m1");
	ask(self, op_restore_abort, "m2");
	request_forget(&self->r);
	free(self->stream);
	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
}

/* What xl does. */
static void program(FIXTURE_DATA(restore) *self, const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/xl", self->dir);
	f = fopen(path, "w");
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	chmod(path, 0700);
}

/* Has it come as far as to write that file? */
static bool has_come(FIXTURE_DATA(restore) *self)
{
	int64_t until = clock_ms() + 20000;
	char path[100];
	struct stat st;

	snprintf(path, sizeof(path), "%s/there", self->dir);
	while (stat(path, &st) || !st.st_size) {
		if (clock_ms() >= until)
			return false;
		usleep(10000);
	}
	return true;
}

/* Asks until the agent does not take any more. Does it come to that? */
static bool write_until_full(FIXTURE_DATA(restore) *self)
{
	for (int i = 0; i < 1000; i++)
		if (ask_once(self, op_restore_write, "m1", false) || self->r.again)
			return self->r.again;
	return false;
}

/* U8: the agent answers, whatever xl does. */
TEST_F(restore, an_xl_that_does_not_read)
{
	int64_t begun = clock_ms();

	program(self, "exec sleep 600");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_TRUE(write_until_full(self)) TH_LOG("%s", self->r.error);
	ASSERT_EQ(0, ask_once(self, op_restore_write, "m1", true)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(self->r.again);
	ASSERT_EQ(0, ask_once(self, op_restore_populated, "m1", false)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(self->r.again);
	ASSERT_EQ(0, ask_once(self, op_restore_end, "m1", false)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(self->r.again);
	EXPECT_GT(SOON_MS, clock_ms() - begun);
}

TEST_F(restore, a_packed_stream)
{
	uint8_t *plain = self->stream, *packed;
	char command[200];

	program(self, "cat >\"${0%/*}/got\"");
	for (int i = 0; i < MAX_BLOB_OUT; i++)
		plain[i] = i >> 8;
	ASSERT_EQ(0, pack(plain, MAX_BLOB_OUT, &packed, &self->len));
	self->stream = packed;
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	/* Nothing of these reaches xl. */
	self->unpacked = MAX_BLOB_OUT - 1;
	EXPECT_EQ(-EBADMSG, ask(self, op_restore_write, "m1"));
	EXPECT_NE(NULL, strstr(self->r.error, "cannot be unpacked"));
	self->unpacked = 1ULL << 40;
	EXPECT_EQ(-EINVAL, ask(self, op_restore_write, "m1")) TH_LOG("%s", self->r.error);
	self->unpacked = MAX_BLOB_OUT;
	ASSERT_EQ(0, ask(self, op_restore_write, "m1")) TH_LOG("%s", self->r.error);
	x->made = true;
	ASSERT_EQ(0, ask(self, op_restore_end, "m1")) TH_LOG("%s", self->r.error);
	snprintf(command, sizeof(command), "%s/plain", self->dir);
	FILE *f = fopen(command, "w");
	fwrite(plain, MAX_BLOB_OUT, 1, f);
	fclose(f);
	snprintf(command, sizeof(command), "cmp %s/plain %s/got", self->dir, self->dir);
	EXPECT_EQ(0, system(command));
	free(plain);
}

/* It has closed its end, and is at work for a long time before it ends. */
TEST_F(restore, an_xl_that_does_not_end)
{
	int64_t begun = clock_ms();
	bool again = false;

	signal(SIGPIPE, SIG_IGN);
	program(self, "exec <&-; echo >\"${0%/*}/there\"; exec sleep 600");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_TRUE(has_come(self));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, ask_once(self, op_restore_write, "m1", again)) TH_LOG("%s", self->r.error);
		again = self->r.again;
		ASSERT_EQ(0, ask_once(self, op_restore_populated, "m1", i)) TH_LOG("%s", self->r.error);
		EXPECT_TRUE(self->r.again);
		ASSERT_EQ(0, ask_once(self, op_restore_end, "m1", i)) TH_LOG("%s", self->r.error);
		EXPECT_TRUE(self->r.again);
	}
	EXPECT_GT(SOON_MS, clock_ms() - begun);
}

TEST_F(restore, an_xl_that_fails)
{
	program(self, "cat >/dev/null; echo libxl: cannot do it >&2; exit 3");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(-EIO, ask(self, op_restore_end, "m1"));
	EXPECT_NE(NULL, strstr(self->r.error, "exited with status 3): libxl: cannot")) TH_LOG("%s", self->r.error);
}

/* U13: of a migration that was given up, half way. */
TEST_F(restore, one_that_was_given_up_stands_in_nobodys_way)
{
	char command[100];

	program(self, "echo $$ >\"${0%/*}/there\"; exec sleep 600");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_TRUE(has_come(self));
	x->made = true;
	EXPECT_EQ(-EBUSY, ask(self, op_restore_begin, "m1"));
	EXPECT_EQ(0, x->destroyed);
	program(self, "exec sleep 600");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m2")) TH_LOG("%s", self->r.error);
	/* Its xl and its domain have gone with it. */
	EXPECT_EQ(1, x->destroyed);
	snprintf(command, sizeof(command), "! kill -0 $(cat %s/there)", self->dir);
	EXPECT_EQ(0, system(command));
	/* It is the other one that is under way now, and who gave the first one up cannot end it. */
	ASSERT_EQ(0, ask(self, op_restore_abort, "m1"));
	EXPECT_EQ(-EBUSY, ask(self, op_restore_begin, "m2"));
}

/* One that has come to its end may have been committed: its domain is nobody's to take away. */
TEST_F(restore, one_that_succeeded_is_left_alone)
{
	program(self, "cat >/dev/null");
	ASSERT_EQ(0, ask(self, op_restore_begin, "m1")) TH_LOG("%s", self->r.error);
	x->made = true;
	ASSERT_EQ(0, ask(self, op_restore_end, "m1")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(DOMID, js_u64(self->r.out, "domid", 0));
	ask(self, op_restore_begin, "m2");
	EXPECT_EQ(0, x->destroyed);
}

TEST_HARNESS_MAIN
