// SPDX-License-Identifier: GPL-2.0
/* Who else has a disk: from a xenstore and a sysfs that are made up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xenstore.h>

#include "js.h"
#include "users.h"
#include "kselftest_harness.h"
#include "made-up-sysfs.h"

static struct {
	char path[200], value[100];
} store[64];
static size_t nr_nodes;
static bool no_store;

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	errno = ECONNREFUSED;
	return no_store ? NULL : (struct xs_handle *)store;
}

void xs_close(struct xs_handle *xs)
{
	(void)xs;
}

void *xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *len)
{
	(void)xs;
	(void)t;
	for (size_t i = 0; i < nr_nodes; i++)
		if (!strcmp(store[i].path, path)) {
			*len = strlen(store[i].value);
			return strdup(store[i].value);
		}
	return NULL;
}

/* One block of memory, as the library's: the strings lie behind the pointers. */
char **xs_directory(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *num)
{
	char **list = calloc(1, 64 * sizeof(*list) + 4096), *text = (char *)(list + 64);
	size_t len = strlen(path);

	(void)xs;
	(void)t;
	*num = 0;
	for (size_t i = 0; i < nr_nodes; i++) {
		const char *key = store[i].path + len + 1;
		size_t n = strcspn(key, "/");
		bool had = strncmp(store[i].path, path, len) || store[i].path[len] != '/';

		for (unsigned int k = 0; !had && k < *num; k++)
			had = strlen(list[k]) == n && !strncmp(list[k], key, n);
		if (had)
			continue;
		memcpy(text, key, n);
		list[(*num)++] = text;
		text += n + 1;
	}
	return list;
}

bool xs_write(struct xs_handle *xs, xs_transaction_t t, const char *path, const void *data, unsigned int len)
{
	(void)xs;
	(void)t;
	(void)path;
	(void)data;
	(void)len;
	return false;
}

xs_transaction_t xs_transaction_start(struct xs_handle *xs)
{
	(void)xs;
	return XBT_NULL;
}

bool xs_transaction_end(struct xs_handle *xs, xs_transaction_t t, bool abort)
{
	(void)xs;
	(void)t;
	(void)abort;
	return false;
}

static void node(const char *path, const char *value)
{
	snprintf(store[nr_nodes].path, sizeof(store[0].path), "%s", path);
	snprintf(store[nr_nodes++].value, sizeof(store[0].value), "%s", value);
}

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
