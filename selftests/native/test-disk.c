// SPDX-License-Identifier: GPL-2.0
/* What the agent says of a disk: its identity, from a sysfs that is made up, and what its blocks have, from files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ops.h"
#include "disk.h"
#include "js.h"
#include "kselftest_harness.h"
#include "made-up-sysfs.h"

FIXTURE(disk) {
	char dir[64];
	struct disk d;
};

FIXTURE_SETUP(disk)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/test-disk-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	memset(&self->d, 0, sizeof(self->d));
	disk_sysfs = self->dir;
}

FIXTURE_TEARDOWN(disk)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
}

static void link_disk(const char *dir, const char *number, const char *to)
{
	char path[256];

	put(dir, "dev/block/x", "");
	snprintf(path, sizeof(path), "%s/dev/block/%s", dir, number);
	if (symlink(to, path))
		abort();
}

TEST_F(disk, what_a_unit_calls_itself)
{
	put(self->dir, "devices/sda/device/wwid", " \tnaa.5000c500\t\n");
	put(self->dir, "devices/sda/serial", "\n");
	put(self->dir, "devices/sda/device/serial", "S 1\n");
	link_disk(self->dir, "8:0", "../../devices/sda");
	self->d.dev = makedev(8, 0);
	disk_identify(&self->d);
	EXPECT_STREQ("naa.5000c500", self->d.wwid);
	EXPECT_STREQ("S 1", self->d.serial);
	EXPECT_STREQ("", self->d.dm_uuid);
}

/* Two partitions of a disk are two, and the same on both sides only if they begin at the same place. */
TEST_F(disk, a_partition_is_a_place_of_its_disk)
{
	put(self->dir, "devices/vdb/serial", "abc\n");
	put(self->dir, "devices/vdb/vdb2/partition", "2\n");
	put(self->dir, "devices/vdb/vdb2/start", "2048\n");
	link_disk(self->dir, "254:18", "../../devices/vdb/vdb2");
	self->d.dev = makedev(254, 18);
	disk_identify(&self->d);
	EXPECT_STREQ("abc@2048", self->d.serial);
	EXPECT_STREQ("", self->d.wwid);
}

/* A file of one system says nothing about one of another. */
TEST_F(disk, a_loop_device_has_no_identity)
{
	struct json_object *o = json_object_new_object();

	put(self->dir, "devices/loop5/loop/backing_file", "/srv/img\n");
	link_disk(self->dir, "7:5", "../../devices/loop5");
	self->d.dev = makedev(7, 5);
	self->d.bytes = 1 << 20;
	disk_identify(&self->d);
	disk_describe(&self->d, o);
	EXPECT_EQ(1 << 20, js_u64(o, "bytes", 0));
	EXPECT_EQ(0, json_object_object_length(js_get(o, "ids", json_type_object)));
	json_object_put(o);
}

TEST_F(disk, half_an_identity_is_none)
{
	char text[200];

	memset(text, 'x', 199);
	text[199] = 0;
	put(self->dir, "devices/sda/wwid", text);
	link_disk(self->dir, "8:0", "../../devices/sda");
	self->d.dev = makedev(8, 0);
	disk_identify(&self->d);
	EXPECT_STREQ("", self->d.wwid);
}

TEST_F(disk, what_is_no_disk)
{
	char why[400], path[300];

	EXPECT_EQ(-1, disk_look("relative", &self->d, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "not an absolute path"));
	EXPECT_EQ(-1, disk_look("/nowhere/at/all", &self->d, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "is not here"));
	put(self->dir, "img", "x");
	snprintf(path, sizeof(path), "%s/img", self->dir);
	EXPECT_EQ(-1, disk_look(path, &self->d, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "is a file, not a block device"));
	EXPECT_TRUE(strstr(why, "(phy:)"));
	EXPECT_EQ(-1, disk_look("/dev/null", &self->d, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "not a disk"));
}

TEST_F(disk, digests_of_blocks)
{
	uint64_t first, second, again, zero = 1;
	char path[300], block[DISK_BLOCK];
	int fd, out;

	put(self->dir, "img", "");
	snprintf(path, sizeof(path), "%s/img", self->dir);
	out = open(path, O_WRONLY);
	memset(block, 'a', sizeof(block));
	ASSERT_EQ(DISK_BLOCK, pwrite(out, block, DISK_BLOCK, 0));
	block[DISK_BLOCK - 1] = 'b';
	ASSERT_EQ(DISK_BLOCK, pwrite(out, block, DISK_BLOCK, DISK_BLOCK));
	ASSERT_EQ(0, ftruncate(out, 3 * DISK_BLOCK + 1));
	ASSERT_EQ(0, fsync(out));
	fd = disk_open(path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, disk_digest(fd, 0, &first));
	ASSERT_EQ(0, disk_digest(fd, 1, &second));
	ASSERT_EQ(0, disk_digest(fd, 2, &zero));
	EXPECT_NE(0, first);
	EXPECT_NE(first, second);
	EXPECT_EQ(0, zero);
	EXPECT_EQ(-ENXIO, disk_digest(fd, 3, &zero));
	/* What was written since is seen. */
	ASSERT_EQ(DISK_BLOCK, pwrite(out, block, DISK_BLOCK, 0));
	ASSERT_EQ(0, fsync(out));
	ASSERT_EQ(0, disk_digest(fd, 0, &again));
	EXPECT_EQ(second, again);
	close(fd);
	close(out);
}

TEST_HARNESS_MAIN
