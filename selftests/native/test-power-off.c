// SPDX-License-Identifier: GPL-2.0
/* A host VM powers off when it is empty, and not before: over a made-up toolstack, and a made-up poweroff. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "ops.h"
#include "request.h"
#include "kselftest_harness.h"

#define DIR	"/tmp/test-power-off"
#define PROBE	"b7f3f7a6-0000-0000-0000-000000000000"

static struct domain d;
static int unlisted;

int domains_read(struct domain **list, size_t *nr)
{
	*nr = 0;
	*list = NULL;
	if (unlisted)
		return unlisted;
	if (!d.domid)
		return 0;
	*list = calloc(1, sizeof(**list));
	**list = d;
	*nr = 1;
	return 0;
}

bool probe_is(const char *uuid)
{
	return !strcmp(uuid, PROBE);
}

FIXTURE(power_off) {
	struct request r;
};

/* It notes that it ran, and ends with what is in "status". */
FIXTURE_SETUP(power_off)
{
	memset(&self->r, 0, sizeof(self->r));
	memset(&d, 0, sizeof(d));
	unlisted = 0;
	ASSERT_EQ(0, system("rm -rf " DIR "; mkdir " DIR "; cd " DIR "; echo 0 >status; "
			    "printf '#!/bin/sh\\ntouch " DIR "/called\\nexit $(cat " DIR "/status)\\n' >poweroff; "
			    "chmod +x poweroff"));
	ASSERT_EQ(0, setenv("PATH", DIR ":/usr/bin:/bin", 1));
}

FIXTURE_TEARDOWN(power_off)
{
	EXPECT_EQ(0, system("rm -rf " DIR));
}

static bool ran(void)
{
	return !access(DIR "/called", F_OK);
}

TEST_F(power_off, empty)
{
	EXPECT_EQ(0, op_power_off(&self->r));
	EXPECT_TRUE(ran());
}

/* What runs here would end with it; so would what is suspended, which a save or a migration has. */
TEST_F(power_off, not_empty)
{
	const struct domain there[] = {
		{ .domid = 5, .called = "u1" },
		{ .domid = 5, .called = "u1", .paused = true },
		{ .domid = 5, .called = "u1", .suspended = true, .shutdown = true, .ended = "suspend" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
		d = there[i];
		EXPECT_EQ(-EBUSY, op_power_off(&self->r));
		EXPECT_STREQ("u1 (domain 5) runs here: move it or shut it down first", self->r.error);
	}
	EXPECT_FALSE(ran());
}

TEST_F(power_off, what_is_only_waiting_to_go)
{
	const struct domain there[] = {
		{ .domid = 5, .dying = true },
		{ .domid = 5, .shutdown = true, .ended = "poweroff" },
		{ .domid = 5, .uuid = PROBE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
		d = there[i];
		EXPECT_EQ(0, op_power_off(&self->r)) TH_LOG("%zu: %s", i, self->r.error);
	}
	EXPECT_TRUE(ran());
}

/* Whether it is empty is not known. */
TEST_F(power_off, cannot_be_listed)
{
	unlisted = -EIO;
	EXPECT_EQ(-EIO, op_power_off(&self->r));
	EXPECT_FALSE(ran());
}

TEST_F(power_off, poweroff_fails)
{
	ASSERT_EQ(0, system("echo 3 >" DIR "/status"));
	EXPECT_EQ(-EIO, op_power_off(&self->r));
	EXPECT_NE(NULL, strstr(self->r.error, "poweroff failed"));
}

TEST_HARNESS_MAIN
