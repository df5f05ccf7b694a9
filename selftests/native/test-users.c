// SPDX-License-Identifier: GPL-2.0
/* Who else has a disk: from a xenstore and a sysfs that are made up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "js.h"
#include "users.h"
#include "kselftest_harness.h"
#include "made-up-store.h"
#include "made-up-sysfs.h"

/* A disk of guest VM @domid, served by @back. */
static void vbd(int back, const char *kind, int domid, const char *device, const char *params, const char *mode,
		const char *state)
{
	const char *const values[][2] = {
		{ "physical-device", device }, { "params", params }, { "mode", mode }, { "state", state },
	};
	char path[200], id[16];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/local/domain/%d/backend/%s/%d/51712/%s", back, kind, domid,
			 values[i][0]);
		if (values[i][1])
			node(path, values[i][1]);
	}
	snprintf(path, sizeof(path), "/local/domain/%d/backend/%s/%d/51712/frontend-id", back, kind, domid);
	snprintf(id, sizeof(id), "%d", domid);
	node(path, id);
}

FIXTURE(users) {
	char dir[64];
	struct disk d;
	struct json_object *problems;
};

FIXTURE_SETUP(users)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/test-users-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	disk_sysfs = self->dir;
	memset(&self->d, 0, sizeof(self->d));
	self->d.dev = makedev(0xfe, 0x10);
	self->problems = json_object_new_array();
	nr_nodes = 0;
	no_store = false;
	node("/local/domain/0/name", "Domain-0");
	node("/local/domain/5/name", "u1");
	node("/local/domain/7/name", "malm\xe9");
	vbd(0, "vbd", 5, "fe:10", "/dev/vdb", "w", "4");
}

FIXTURE_TEARDOWN(users)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
	json_object_put(self->problems);
}

static const char *first(struct json_object *problems)
{
	return js_len(problems) ? json_object_get_string(json_object_array_get_idx(problems, 0)) : "";
}

TEST_F(users, its_own_guest_is_none)
{
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	EXPECT_EQ(0, js_len(self->problems));
}

TEST_F(users, another_that_can_write)
{
	vbd(0, "vbd", 7, "fe:10", "/dev/other-name", "w", "2");
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	ASSERT_EQ(1, js_len(self->problems));
	EXPECT_TRUE(strstr(first(self->problems),
			   "the disk /dev/vdb can be written by guest VM malm\\xe9, too (domain 7"));
}

TEST_F(users, on_the_destination_everybody_is_another)
{
	users_check(&self->d, "/dev/vdb", NO_DOMAIN, self->problems);
	ASSERT_EQ(1, js_len(self->problems));
	EXPECT_TRUE(strstr(first(self->problems), "guest VM u1"));
}

TEST_F(users, one_that_only_reads_one_that_is_closed_and_another_disk)
{
	vbd(0, "vbd", 7, "fe:10", "/dev/vdb", "r", "4");
	vbd(0, "vbd", 8, "fe:10", "/dev/vdb", "w", "6");
	vbd(0, "vbd", 9, "fe:11", "/dev/vdb1", "w", "4");
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	EXPECT_EQ(0, js_len(self->problems));
}

TEST_F(users, the_backend_of_a_driver_domain)
{
	vbd(3, "vbd", 7, "fe:10", "/dev/xvdq", "w", "4");
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	EXPECT_EQ(1, js_len(self->problems));
}

/* A partition of it, and a volume on that; and a volume that lies elsewhere. */
TEST_F(users, what_lies_on_it)
{
	char path[256];

	put(self->dir, "devices/vdb/dev", "254:16\n");
	put(self->dir, "devices/vdb/vdb1/dev", "254:17\n");
	put(self->dir, "devices/vdb/vdb1/partition", "1\n");
	put(self->dir, "devices/dm-0/slaves/vdb1/dev", "254:17\n");
	put(self->dir, "devices/dm-1/slaves/vdc/dev", "254:32\n");
	put(self->dir, "dev/block/x", "");
	snprintf(path, sizeof(path), "%s/dev/block/254:17", self->dir);
	ASSERT_EQ(0, symlink("../../devices/vdb/vdb1", path));
	snprintf(path, sizeof(path), "%s/dev/block/253:0", self->dir);
	ASSERT_EQ(0, symlink("../../devices/dm-0", path));
	snprintf(path, sizeof(path), "%s/dev/block/253:1", self->dir);
	ASSERT_EQ(0, symlink("../../devices/dm-1", path));

	EXPECT_TRUE(disk_overlap(makedev(254, 16), makedev(253, 0)));
	EXPECT_TRUE(disk_overlap(makedev(253, 0), makedev(254, 16)));
	EXPECT_TRUE(disk_overlap(makedev(254, 17), makedev(254, 16)));
	EXPECT_FALSE(disk_overlap(makedev(254, 16), makedev(253, 1)));
	EXPECT_FALSE(disk_overlap(makedev(253, 0), makedev(253, 1)));
	EXPECT_FALSE(disk_overlap(0, 0));
	vbd(0, "vbd", 7, "fd:0", "/dev/dm-0", "w", "4");
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	EXPECT_EQ(1, js_len(self->problems));
}

TEST_F(users, without_a_xenstore_nobody_knows)
{
	no_store = true;
	users_check(&self->d, "/dev/vdb", 5, self->problems);
	ASSERT_EQ(1, js_len(self->problems));
	EXPECT_TRUE(strstr(first(self->problems), "is not known"));
}

TEST_HARNESS_MAIN
