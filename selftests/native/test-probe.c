// SPDX-License-Identifier: GPL-2.0
/* Is a host VM sound? Over a made-up toolstack: what is made is destroyed again, whatever comes of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "create.h"
#include "destroy.h"
#include "domain.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "placement.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

static struct toolstack {
	struct domain d;
	bool there, stands_still, crashes, no_room;
	int free_mib;		/* -1: nobody knows */
	char kernel[100], order[100];
} *x;

static void note(const char *what)
{
	strcat(x->order, what);
}

int domain_read(uint32_t domid, struct domain *d)
{
	if (!x->there || domid != x->d.domid)
		return -ESRCH;
	if (!x->d.paused && !x->stands_still && !x->crashes)
		x->d.cpu_ns += 9000000;
	x->d.shutdown = x->crashes;
	x->d.ended = "crash";
	*d = x->d;
	return 0;
}

int domains_read(struct domain **list, size_t *nr)
{
	*nr = 2;
	*list = calloc(2, sizeof(**list));
	(*list)[0] = (struct domain){ .domid = 3, .uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8" };
	(*list)[0].name = strdup("u1");
	(*list)[1] = x->d;
	(*list)[1].name = strdup("vmbeam-probe");
	return 0;
}

int destroy(uint32_t domid)
{
	note(x->there && domid == x->d.domid ? "end " : "wrong ");
	x->there = false;
	x->d.uuid[0] = 0;
	return 0;
}

int domain_unpause(uint32_t domid)
{
	(void)domid;
	note("unpause ");
	x->d.paused = false;
	return 0;
}

int create_small(const char *name, const char *uuid, const char *kernel, uint64_t kib, uint32_t *domid)
{
	note(!strncmp(name, "vmbeam-probe-", 13) && probe_is(uuid) && kib ? "create " : "wrong ");
	if (x->no_room) {
		fprintf(stderr, "no room\n");
		return -1;
	}
	snprintf(x->kernel, sizeof(x->kernel), "%s", kernel);
	x->d = (struct domain){ .domid = ++x->d.domid, .paused = true };
	snprintf(x->d.uuid, sizeof(x->d.uuid), "%s", uuid);
	x->there = true;
	*domid = x->d.domid;
	return 0;
}

int placement_here(struct json_object **here, char *why, size_t size)
{
	*here = NULL;
	snprintf(why, size, "no libxl");
	if (x->free_mib < 0)
		return -EIO;
	*here = json_object_new_object();
	js_add_u64(*here, "free_kib", x->free_mib * 1024);
	return 0;
}

FIXTURE(probe) {
	struct request r;
};

FIXTURE_SETUP(probe)
{
	x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, x);
	x->d.domid = 7;
	x->free_mib = 200;
	memset(&self->r, 0, sizeof(self->r));
	ASSERT_EQ(0, limit_set("probe", 1));
	probe_kernel("/proc/self/exe");
}

FIXTURE_TEARDOWN(probe)
{
	request_forget(&self->r);
}

static int ask(FIXTURE_DATA(probe) *self)
{
	int rc;

	do {
		request_begin(&self->r, self->r.again);
		rc = op_probe(&self->r);
	} while (!rc && self->r.again);
	return rc;
}

TEST_F(probe, sound)
{
	ASSERT_EQ(0, ask(self)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("create unpause end ", x->order);
	EXPECT_STREQ("/proc/self/exe", x->kernel);
}

TEST_F(probe, gets_no_time)
{
	x->stands_still = true;
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_STREQ("a guest VM was started to see whether this host VM is sound, and its vCPU ran for 0 ms only",
		     self->r.error);
	EXPECT_STREQ("create unpause end ", x->order);
}

TEST_F(probe, crashes_at_once)
{
	x->crashes = true;
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_NE(NULL, strstr(self->r.error, "it ended, crash"));
	EXPECT_STREQ("create unpause end ", x->order);
}

TEST_F(probe, cannot_be_made)
{
	x->no_room = true;
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_STREQ("no room", self->r.error);
	EXPECT_STREQ("create ", x->order);
}

/* The agent was killed in the middle of one. The guest VMs of others stay. */
TEST_F(probe, what_an_earlier_one_left)
{
	ASSERT_EQ(0, create_small("vmbeam-probe-", "B7F3F7A6-8a0c-4f0e-9c53-3f6f4f1a2d75", "k", 1, &x->d.domid));
	x->order[0] = 0;
	ASSERT_EQ(0, ask(self)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("end create unpause end ", x->order);
}

/* When the next agent starts, though nobody asks for a probe. */
TEST_F(probe, what_an_earlier_one_left_goes_at_once)
{
	probe_clear();
	EXPECT_STREQ("", x->order);
	ASSERT_EQ(0, create_small("vmbeam-probe-", "B7F3F7A6-8a0c-4f0e-9c53-3f6f4f1a2d75", "k", 1, &x->d.domid));
	x->order[0] = 0;
	probe_clear();
	EXPECT_STREQ("end ", x->order);
}

TEST_F(probe, no_memory_is_told_before)
{
	x->free_mib = 130;
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_NE(NULL, strstr(self->r.error, "a guest VM of 128 MiB"));
	EXPECT_NE(NULL, strstr(self->r.error, "only 130 MiB are free: make room"));
	x->free_mib = -1;
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_STREQ("how much memory is free cannot be read: no libxl", self->r.error);
	EXPECT_STREQ("", x->order);
}

TEST_F(probe, no_kernel)
{
	probe_kernel("/no/such/kernel");
	EXPECT_EQ(-EIO, ask(self));
	EXPECT_STREQ("/no/such/kernel cannot be read: name a kernel for a PV guest VM with --probe-kernel",
		     self->r.error);
	EXPECT_STREQ("", x->order);
}

TEST_HARNESS_MAIN
