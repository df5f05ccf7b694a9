// SPDX-License-Identifier: GPL-2.0
/* Which devices a guest VM has, and whether it can suspend: from a xenstore that is made up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"
#include "js.h"
#include "suspend.h"
#include "sysfs.h"
#include "kselftest_harness.h"
#include "made-up-store.h"

#define DOMID 5

static bool unserved;		/* by the kernel's drivers */

bool device_bound(const struct device *d)
{
	return d->domid == DOMID && !unserved;
}

FIXTURE(devices) {
	struct json_object *items;
};

FIXTURE_SETUP(devices)
{
	self->items = json_object_new_array();
	nr_nodes = 0;
	no_store = false;
	unserved = false;
}

FIXTURE_TEARDOWN(devices)
{
	json_object_put(self->items);
}

static void put(const char *dir, const char *key, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	node(path, value);
}

/* A device of the guest VM, whose backend of the kind @back_kind is in domain @back. */
static void attach(const char *kind, const char *id, int back, const char *back_kind, char *backend)
{
	char path[200];

	snprintf(backend, 100, "/local/domain/%d/backend/%s/%d/%s", back, back_kind, DOMID, id);
	snprintf(path, sizeof(path), "/libxl/%d/device/%s/%s/backend", DOMID, kind, id);
	node(path, backend);
	put(backend, "online", "1");
	put(backend, "state", "4");
}

static void disk(const char *type, const char *target, int back, const char *back_kind)
{
	char backend[100];

	attach("vbd", "51712", back, back_kind, backend);
	put(backend, "dev", "xvda");
	put(backend, "type", type);
	put(backend, "params", target);
	put(backend, "mode", "w");
}

static struct json_object *only(FIXTURE_DATA(devices) *self)
{
	if (devices_list(DOMID, self->items, true) || js_len(self->items) != 1)
		abort();
	return json_object_array_get_idx(self->items, 0);
}

/* The one problem that an item has; "" if it has none. */
static const char *problem(struct json_object *item)
{
	struct json_object *list = js_array(item, "problems");

	return js_len(list) == 1 ? json_object_get_string(json_object_array_get_idx(list, 0)) :
	       js_len(list) ? "several" : "";
}

/* S14 */
TEST_F(devices, a_disk_in_a_file)
{
	struct json_object *item;

	disk("file", "/run/img", 0, "vbd");
	item = only(self);
	EXPECT_STREQ(problem(item),
		     "the disk xvda is \"file:/run/img\": only a block device of this host VM can be moved. Use phy: and a block device that both host VMs see under one path");
	EXPECT_STREQ("xvda", js_str(item, "dev", ""));
	EXPECT_STREQ("/run/img", js_str(item, "target", ""));
	EXPECT_STREQ("file", js_str(item, "backend", ""));
}

/* A path that the toolstack's script makes a device of is none that the other side could open. */
TEST_F(devices, a_disk_that_is_no_path)
{
	disk("phy", "iqn.2024-01:x", 0, "vbd");
	EXPECT_NE(NULL, strstr(problem(only(self)), "the disk xvda is \"phy:iqn.2024-01:x\""));
}

TEST_F(devices, a_disk_that_is_no_block_device)
{
	disk("phy", "/dev/null", 0, "vbd");
	EXPECT_NE(NULL, strstr(problem(only(self)), "the disk xvda, /dev/null, "));
}

TEST_F(devices, a_disk_that_qemu_serves)
{
	disk("qdisk", "/run/img", 0, "qdisk");
	EXPECT_STREQ(problem(only(self)),
		     "the backend of vbd 51712 is qdisk: only blkback and netback can be quiesced. Use phy: and a block device that both host VMs see under one path");
}

/* U23: it is told of in any case, so that a backend that moves elsewhere after the check is seen. */
TEST_F(devices, a_backend_in_another_domain)
{
	struct json_object *item;

	disk("phy", "/dev/vdb", 3, "vbd");
	item = only(self);
	EXPECT_EQ(3, js_u64(item, "backend_domid", 0));
	EXPECT_STREQ(problem(item),
		     "the backend of vbd 51712 is in domain 3, not here: only backends in the management VM can be moved");
	/* What domain 3 calls the disk means nothing here. */
	EXPECT_STREQ("", js_str(item, "target", ""));
}

TEST_F(devices, a_backend_that_is_here)
{
	char backend[100];
	struct json_object *item;

	attach("vif", "0", 0, "vif", backend);
	put(backend, "mac", "00:16:3e:01:02:03");
	put(backend, "bridge", "xenbr0");
	put(backend, "script", "/etc/xen/scripts/vif-bridge");
	item = only(self);
	EXPECT_STREQ("", problem(item));
	EXPECT_TRUE(json_object_object_get_ex(item, "backend_domid", NULL));
	EXPECT_EQ(0, js_u64(item, "backend_domid", 9));
	EXPECT_STREQ("00:16:3e:01:02:03", js_str(item, "mac", ""));
	EXPECT_STREQ("xenbr0", js_str(item, "bridge", ""));
	EXPECT_STREQ("/etc/xen/scripts/vif-bridge", js_str(item, "script", ""));
	EXPECT_STREQ("connected", js_str(item, "state", ""));
}

/* As after the suspend: nothing is looked into, and the same is told. */
TEST_F(devices, listed_again)
{
	struct json_object *item;

	disk("phy", "/nowhere", 3, "vbd");
	unserved = true;
	ASSERT_EQ(0, devices_list(DOMID, self->items, false));
	ASSERT_EQ(1, js_len(self->items));
	item = json_object_array_get_idx(self->items, 0);
	EXPECT_EQ(3, js_u64(item, "backend_domid", 0));
	EXPECT_STREQ("", problem(item));
}

TEST_F(devices, one_that_no_driver_serves)
{
	char backend[100];

	attach("vif", "0", 0, "vif", backend);
	unserved = true;
	EXPECT_STREQ("the kernel's driver does not serve vif-5-0: is the device half attached?", problem(only(self)));
}

TEST_F(devices, states)
{
	static const char *const states[][3] = {
		{ "1", "4", "connected" }, { "1", "2", "idle" }, { "1", "5", "detaching" }, { "0", "4", "detaching" },
		{ "1", "junk", "idle" },
	};
	char backend[100];

	attach("vif", "0", 0, "vif", backend);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		put(backend, "online", states[i][0]);
		put(backend, "state", states[i][1]);
		EXPECT_STREQ(states[i][2], js_str(only(self), "state", ""));
		json_object_array_del_idx(self->items, 0, 1);
	}
}

/* The first console is the toolstack's own. Another one is somebody's. */
TEST_F(devices, consoles)
{
	char backend[100];

	attach("console", "0", 0, "console", backend);
	ASSERT_EQ(0, devices_list(DOMID, self->items, true));
	EXPECT_EQ(0, js_len(self->items));
	attach("console", "1", 0, "console", backend);
	EXPECT_NE(NULL, strstr(problem(only(self)), "the backend of console 1 is console"));
}

TEST_F(devices, one_that_serves_others)
{
	node("/local/domain/5/backend/vbd/7/51712/state", "4");
	EXPECT_NE(NULL, strstr(problem(only(self)), "it serves a device (vbd) to domain 7 here"));
	EXPECT_STREQ("served", js_str(json_object_array_get_idx(self->items, 0), "kind", ""));
}

TEST_F(devices, without_a_xenstore_nobody_knows)
{
	disk("phy", "/dev/vdb", 0, "vbd");
	no_store = true;
	EXPECT_EQ(-ECONNREFUSED, devices_list(DOMID, self->items, true));
}

#define FEATURE "/local/domain/5/control/feature-suspend"

/* U25: the toolstack makes the node and leaves it empty; a boot loader at its menu does not write to it. */
TEST_F(devices, whether_it_can_suspend)
{
	EXPECT_FALSE(suspend_possible(DOMID));
	node(FEATURE, "");
	EXPECT_FALSE(suspend_possible(DOMID));
	node(FEATURE, "0");
	EXPECT_FALSE(suspend_possible(DOMID));
	node(FEATURE, "1");
	EXPECT_TRUE(suspend_possible(DOMID));
	EXPECT_FALSE(suspend_possible(DOMID + 1));
	no_store = true;
	EXPECT_FALSE(suspend_possible(DOMID));
}

/* Its kernel does not write it again after a restore. */
TEST_F(devices, whether_one_that_was_restored_can_suspend)
{
	node(FEATURE, "");
	suspend_proved(DOMID);
	EXPECT_TRUE(suspend_possible(DOMID));
}

TEST_HARNESS_MAIN
