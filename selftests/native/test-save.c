// SPDX-License-Identifier: GPL-2.0
/* The source's side of the stream, over a made-up toolstack: guest VMs that do not suspend, saves that nobody wants. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "domain.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "pack.h"
#include "saved_frames.h"
#include "store.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

#define DOMID 5

/* What the children see, too. */
static struct toolstack {
	bool gone, dying, shutdown, suspended;
	const char *ended;
	int cancelled;
	bool cancels;		/* the guest VM has not taken the request yet */
	bool fails;		/* libxl, as soon as it has leave */
	uint32_t zeros;		/* so long is what the save sends before all that */
	bool frames;		/* it leaves a list of two of them */
	int64_t suspends_at;
} *x;

int domain_read(uint32_t domid, struct domain *d)
{
	if (x->gone || domid != DOMID)
		return -ESRCH;
	memset(d, 0, sizeof(*d));
	d->domid = domid;
	if (x->suspends_at && clock_ms() >= x->suspends_at)
		x->suspended = true;
	x->shutdown |= x->suspended;
	d->dying = x->dying;
	d->shutdown = x->shutdown;
	d->suspended = x->suspended;
	d->ended = x->ended;
	return 0;
}

const char *domain_helper(void)
{
	return "/bin/true";
}

/* In the child: prepares, and waits for leave, as the helper does. */
int domain_save(uint32_t domid, int fd)
{
	int control = atoi(getenv("VMBEAM_HELPER_FD")), frames = atoi(getenv("VMBEAM_FRAMES_FD"));
	static const uint64_t list[] = { 17, NO_FRAME };
	static char zeros[4096];
	char go;

	(void)domid;
	for (uint32_t sent = 0; sent < x->zeros; sent += sizeof(zeros))
		if (write(fd, zeros, sizeof(zeros)) != sizeof(zeros))
			return 1;
	if (send(control, "P", 1, 0) != 1 || recv(control, &go, 1, 0) != 1)
		return 1;
	if (x->frames && write(frames, list, sizeof(list)) != sizeof(list))
		return 1;
	if (x->fails) {
		fprintf(stderr, "libxl: error: guest did not suspend, timed out\n");
		return 1;
	}
	if (x->frames)
		return 0;
	for (;;)
		pause();
}

bool store_cancel(uint32_t domid, const char *request)
{
	(void)request;
	(void)domid;
	x->cancelled++;
	return x->cancels;
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

FIXTURE(save) {
	struct request r;
	int repeats;
	bool pack;
};

FIXTURE_SETUP(save)
{
	x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, x);
	memset(&self->r, 0, sizeof(self->r));
	self->pack = false;
	ASSERT_EQ(0, limit_set("freeze", 3));
}

static int ask_once(FIXTURE_DATA(save) *self, int (*op)(struct request *r), const char *migration, bool again)
{
	request_begin(&self->r, again);
	js_add_str(self->r.in, "migration", migration);
	js_add_u64(self->r.in, "domid", DOMID);
	if (self->pack)
		js_add_bool(self->r.in, "pack", true);
	return op(&self->r);
}

static int ask(FIXTURE_DATA(save) *self, int (*op)(struct request *r), const char *migration)
{
	int rc;

	self->repeats = 0;
	for (bool again = false;; again = true, self->repeats++) {
		rc = ask_once(self, op, migration, again);
		if (rc || !self->r.again)
			return rc;
	}
}

FIXTURE_TEARDOWN(save)
{
	x->cancels = true;
	ask(self, op_save_abort, "m1");
	ask(self, op_save_abort, "m2");
	request_forget(&self->r);
}

static bool suspended(FIXTURE_DATA(save) *self)
{
	return js_bool(self->r.out, "suspended");
}

static void go(FIXTURE_DATA(save) *self, struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, ask(self, op_save_begin, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_EQ(0, ask(self, op_save_read, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_STREQ("prepared", js_str(self->r.out, "state", ""));
	ASSERT_EQ(0, ask(self, op_save_go, "m1"));
}

TEST_F(save, a_guest_that_suspends)
{
	go(self, _metadata);
	ASSERT_EQ(0, ask(self, op_save_status, "m1"));
	EXPECT_FALSE(suspended(self));
	x->suspended = true;
	ASSERT_EQ(0, ask(self, op_save_status, "m1"));
	EXPECT_TRUE(suspended(self));
}

/* U18 */
TEST_F(save, a_guest_that_reboots_instead)
{
	go(self, _metadata);
	x->shutdown = true;
	x->ended = "reboot";
	EXPECT_EQ(-ECANCELED, ask(self, op_save_status, "m1"));
	EXPECT_NE(NULL, strstr(self->r.error, "domain 5 has ended (reboot) while it was asked to suspend"));
}

TEST_F(save, a_guest_that_has_gone)
{
	go(self, _metadata);
	x->dying = true;
	EXPECT_EQ(-ESRCH, ask(self, op_save_status, "m1"));
	x->gone = true;
	EXPECT_EQ(-ESRCH, ask(self, op_save_status, "m1"));
	EXPECT_NE(NULL, strstr(self->r.error, "rebooted, shut down or crashed"));
}

/* U19: a guest VM that refuses; only libxl can tell. */
TEST_F(save, the_reason_is_the_toolstacks)
{
	int64_t until = clock_ms() + 60000;
	int rc;

	x->fails = true;
	go(self, _metadata);
	while (!(rc = ask(self, op_save_status, "m1")) && clock_ms() < until)
		usleep(20000);
	EXPECT_EQ(-EIO, rc);
	EXPECT_NE(NULL, strstr(self->r.error, "guest did not suspend, timed out")) TH_LOG("%s", self->r.error);
}

/* U9: the request was taken; Linux takes its time to freeze. */
TEST_F(save, a_late_suspend_is_waited_for)
{
	go(self, _metadata);
	x->suspends_at = clock_ms() + 1000;
	ASSERT_EQ(0, ask(self, op_save_abort, "m1"));
	EXPECT_TRUE(suspended(self));
	EXPECT_LT(0, self->repeats);
}

/* The first daemon died while it waited. */
TEST_F(save, a_late_suspend_is_waited_for_anew)
{
	go(self, _metadata);
	x->suspends_at = clock_ms() + 1000;
	ASSERT_EQ(0, ask_once(self, op_save_abort, "m1", false));
	EXPECT_TRUE(self->r.again);
	EXPECT_FALSE(suspended(self));
	ASSERT_EQ(0, ask(self, op_save_abort, "m1"));
	EXPECT_TRUE(suspended(self));
}

/* By default: Linux's freezer may take 20 s for processes and as long for kernel threads; the daemon waits longer. */
TEST(limits_of_a_late_suspend)
{
	EXPECT_LT(40, limit_s(LIMIT_FREEZE));
	EXPECT_LT(limit_s(LIMIT_FREEZE), limit_s(LIMIT_SHORT));
}

TEST_F(save, a_suspend_that_does_not_come)
{
	int64_t begun;

	go(self, _metadata);
	begun = clock_ms();
	ASSERT_EQ(0, ask(self, op_save_abort, "m1"));
	EXPECT_FALSE(suspended(self));
	EXPECT_LE(3000, clock_ms() - begun);
}

TEST_F(save, a_request_that_is_taken_back)
{
	go(self, _metadata);
	x->cancels = true;
	ASSERT_EQ(0, ask(self, op_save_abort, "m1"));
	EXPECT_EQ(1, x->cancelled);
	EXPECT_EQ(0, self->repeats);
}

/* U13 */
TEST_F(save, one_that_was_given_up_stands_in_nobodys_way)
{
	go(self, _metadata);
	EXPECT_EQ(-EBUSY, ask(self, op_save_begin, "m1"));
	ASSERT_EQ(0, ask(self, op_save_begin, "m2")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(1, x->cancelled);
	EXPECT_EQ(-EINVAL, ask(self, op_save_abort, "m1"));
}

/* The helper has written down the frames: they are those of the guest VM until it may run. */
TEST_F(save, the_list_of_frames)
{
	const uint64_t *list;
	size_t nr;

	x->frames = true;
	go(self, _metadata);
	EXPECT_EQ(NULL, saved_frames_get(DOMID, &nr));
	ASSERT_EQ(0, ask(self, op_save_read, "m1")) TH_LOG("%s", self->r.error);
	ASSERT_STREQ("end", js_str(self->r.out, "state", ""));
	list = saved_frames_get(DOMID, &nr);
	ASSERT_NE(NULL, list);
	ASSERT_EQ(2, nr);
	EXPECT_EQ(17, list[0]);
	EXPECT_EQ(NO_FRAME, list[1]);
	EXPECT_EQ(NULL, saved_frames_get(DOMID + 1, &nr));
	x->cancels = true;
	ASSERT_EQ(0, ask(self, op_save_abort, "m1"));
	EXPECT_EQ(NULL, saved_frames_get(DOMID, &nr));
}

TEST_F(save, a_list_of_a_save_that_fails)
{
	size_t nr;

	x->fails = true;
	x->frames = true;
	go(self, _metadata);
	EXPECT_EQ(-EIO, ask(self, op_save_read, "m1"));
	EXPECT_EQ(NULL, saved_frames_get(DOMID, &nr));
}

/* How much of the stream there was before the helper was prepared; @wire: as it crosses the line. */
static uint64_t read_all(FIXTURE_DATA(save) *self, struct __test_metadata *_metadata, uint64_t *wire)
{
	uint64_t total = 0;

	*wire = 0;
	for (;;) {
		uint8_t *unpacked;
		uint32_t len;

		EXPECT_EQ(0, ask(self, op_save_read, "m1")) TH_LOG("%s", self->r.error);
		if (strcmp(js_str(self->r.out, "state", ""), "stream"))
			return total;
		*wire += self->r.out_len;
		len = js_u64(self->r.out, "unpacked", 0);
		if (!len) {
			total += self->r.out_len;
			continue;
		}
		if (unpack(self->r.out_blob, self->r.out_len, len, &unpacked))
			return 0;
		total += len;
		free(unpacked);
	}
}

TEST_F(save, the_stream_is_packed_for_who_asks)
{
	uint64_t wire;

	x->zeros = 3 << 20;
	ASSERT_EQ(0, ask(self, op_save_begin, "m1")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(3 << 20, read_all(self, _metadata, &wire));
	EXPECT_EQ(3 << 20, wire);
	ASSERT_EQ(0, ask(self, op_save_begin, "m2")) TH_LOG("%s", self->r.error);
	self->pack = true;
	EXPECT_EQ(3 << 20, read_all(self, _metadata, &wire));
	EXPECT_GT(100000, wire);
}

/* U8 */
TEST_F(save, a_wait_that_is_over_is_not_for_ever)
{
	EXPECT_EQ(0, clock_left_ms(clock_ms() - 1000));
	EXPECT_EQ(0, clock_left_ms(INT64_MIN / 2));
	EXPECT_LT(900, clock_left_ms(clock_ms() + 1000));
	EXPECT_EQ(INT_MAX, clock_left_ms(INT64_MAX / 2));
}

TEST_HARNESS_MAIN
