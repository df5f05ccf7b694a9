// SPDX-License-Identifier: GPL-2.0
/* What a host VM offers to a guest VM, and what makes an item of a configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "item.h"
#include "js.h"
#include "net.h"
#include "offers.h"
#include "placement.h"
#include "policy.h"
#include "users.h"
#include "kselftest_harness.h"

/* --- the host VM is made up ------------------------------------------------------------------------------------- */

#define POOLS "{\"name\": \"Pool-0\", \"cpus\": \"0-1\"}, {\"name\": \"fast\", \"cpus\": \"2,3\"}"

static bool unreadable;

int placement_here(struct json_object **here, char *why, size_t size)
{
	snprintf(why, size, "xenstore is down");
	*here = unreadable ? NULL : json_tokener_parse("{\"free_kib\": 4096, \"cpupools\": [" POOLS "]}");
	return unreadable ? -EIO : 0;
}

int policy_here(uint32_t *words)
{
	for (int i = 0; i < POLICY_WORDS; i++)
		words[i] = i;
	return unreadable ? -EIO : 0;
}

/* Who else has the disk is tested by test-users. */
void users_check(const struct disk *d, const char *called, uint32_t domid, struct json_object *problems)
{
	(void)d;
	(void)called;
	(void)domid;
	(void)problems;
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

FIXTURE(offers) {
	char dir[64], script[100];
	struct json_object *needs, *offers;
};

FIXTURE_SETUP(offers)
{
	char path[200];

	snprintf(self->dir, sizeof(self->dir), "/tmp/test-offers-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	net_sysfs = self->dir;
	snprintf(path, sizeof(path), "%s/xenbr0", self->dir);
	ASSERT_EQ(0, mkdir(path, 0700));
	snprintf(self->script, sizeof(self->script), "%s/vif-openvswitch", self->dir);
	fclose(fopen(self->script, "w"));
	ASSERT_EQ(0, chmod(self->script, 0700));
	self->needs = json_object_new_array();
	self->offers = json_object_new_array();
	unreadable = false;
}

FIXTURE_TEARDOWN(offers)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
	json_object_put(self->needs);
	json_object_put(self->offers);
}

static struct json_object *need(struct json_object *needs, const char *kind, const char *key, const char *value)
{
	struct json_object *item = item_add(needs, kind, NULL);

	put_string(item, key, value);
	return item;
}

static void need_vif(struct json_object *needs, const char *bridge, const char *script)
{
	put_string(need(needs, "vif", "bridge", bridge), "script", script);
}

static struct json_object *nth(struct json_object *list, size_t n)
{
	return n < js_len(list) ? json_object_array_get_idx(list, n) : NULL;
}

static const char *problem(struct json_object *items, size_t n)
{
	struct json_object *list = js_array(nth(items, n), "problems");

	return js_len(list) ? json_object_get_string(json_object_array_get_idx(list, 0)) : "";
}

TEST_F(offers, all_is_there)
{
	need_vif(self->needs, "xenbr0", self->script);
	need_vif(self->needs, "xenbr0.100:200", self->script);
	need_vif(self->needs, "", "");
	need(self->needs, "file", "path", self->script);
	need(self->needs, "file", "path", "pygrub");
	offers_for(self->needs, self->offers);
	ASSERT_EQ(5, js_len(self->offers));
	for (int i = 0; i < 5; i++)
		EXPECT_STREQ("", problem(self->offers, i));
	EXPECT_STREQ("xenbr0", js_str(nth(self->offers, 0), "bridge", ""));
	EXPECT_STREQ(self->script, js_str(nth(self->offers, 3), "path", ""));
	EXPECT_STREQ("pygrub", js_str(nth(self->offers, 4), "path", ""));
}

TEST_F(offers, a_bridge_that_is_not_there)
{
	need_vif(self->needs, "br9", "");
	need_vif(self->needs, "xenbr0.100", "");
	need_vif(self->needs, "../xenbr0", "");
	need_vif(self->needs, "longer-than-an-interface", "");
	offers_for(self->needs, self->offers);
	EXPECT_TRUE(strstr(problem(self->offers, 0), "the bridge br9 of a network card is not here"));
	EXPECT_TRUE(strstr(problem(self->offers, 1), "the bridge xenbr0.100 of"));
	EXPECT_TRUE(strstr(problem(self->offers, 2), "no name of an interface"));
	EXPECT_TRUE(strstr(problem(self->offers, 3), "no name of an interface"));
}

TEST_F(offers, a_script_that_cannot_be_run)
{
	ASSERT_EQ(0, unlink(self->script));
	need_vif(self->needs, "xenbr0", self->script);
	put_string(need(self->needs, "vbd", "target", "/dev/null"), "script", self->script);
	offers_for(self->needs, self->offers);
	EXPECT_TRUE(strstr(problem(self->offers, 0), "of a network card cannot be run here: No such file"));
	EXPECT_TRUE(strstr(problem(self->offers, 1), "of a disk cannot be run here: No such file"));
}

TEST_F(offers, a_disk_that_is_none)
{
	need(self->needs, "vbd", "target", "/nowhere");
	need(self->needs, "vbd", "target", self->script);
	offers_for(self->needs, self->offers);
	EXPECT_TRUE(strstr(problem(self->offers, 0), "the disk /nowhere is not here"));
	EXPECT_TRUE(strstr(problem(self->offers, 1), "is a file, not a block device"));
}

/* It is needed at the next reboot only. */
TEST_F(offers, a_kernel_that_is_not_there)
{
	need(self->needs, "file", "path", "/nowhere/vmlinuz");
	offers_for(self->needs, self->offers);
	EXPECT_STREQ("", js_str(nth(self->offers, 0), "path", ""));
	EXPECT_TRUE(strstr(js_str(nth(self->offers, 0), "missing", ""), "No such file"));
}

TEST_F(offers, the_cpus_of_its_pool)
{
	need(self->needs, "pin", "hard", "0");
	need(self->needs, "cpupool", "name", "fast");
	item_add(self->needs, "cpu", NULL);
	item_add(self->needs, "memory", NULL);
	offers_for(self->needs, self->offers);
	EXPECT_STREQ("2,3", js_str(nth(self->offers, 0), "cpus", ""));
	EXPECT_STREQ("fast", js_str(nth(self->offers, 1), "name", ""));
	EXPECT_EQ(POLICY_WORDS, js_len(js_array(nth(self->offers, 2), "features")));
	EXPECT_EQ(4096, js_u64(nth(self->offers, 3), "free_kib", 0));
}

TEST_F(offers, a_pool_that_is_not_there)
{
	need(self->needs, "cpupool", "name", "slow");
	offers_for(self->needs, self->offers);
	EXPECT_STREQ("", js_str(nth(self->offers, 0), "name", ""));
}

TEST_F(offers, what_cannot_be_read_is_a_problem)
{
	unreadable = true;
	item_add(self->needs, "memory", NULL);
	item_add(self->needs, "cpu", NULL);
	item_add(self->needs, "vcpus", NULL);
	offers_for(self->needs, self->offers);
	EXPECT_TRUE(strstr(problem(self->offers, 0), "xenstore is down"));
	EXPECT_TRUE(strstr(problem(self->offers, 1), "CPU features"));
	EXPECT_TRUE(strstr(problem(self->offers, 2), "xenstore is down"));
}

TEST_F(offers, requests_that_make_no_sense)
{
	json_object_array_add(self->needs, json_object_new_int(5));
	item_add(self->needs, "teapot", "7");
	offers_for(self->needs, self->offers);
	ASSERT_EQ(2, js_len(self->offers));
	EXPECT_STREQ("7", js_str(nth(self->offers, 1), "id", ""));
}

/* --- of a configuration ------------------------------------------------------------------------------------------ */

#define PLAIN_C_INFO "\"type\": \"pv\", \"name\": \"u1\", \"driver_domain\": \"False\""
#define PLAIN_PV "\"type.pv\": {\"e820_host\": \"False\"}"
#define PLAIN_FILES "\"kernel\": \"/boot/vmlinuz\", \"bootloader\": \"/usr/bin/pygrub\""
#define PLAIN_B_INFO "\"max_vcpus\": 2, \"disable_migrate\": \"<default>\", " PLAIN_FILES ", " PLAIN_PV
#define PLAIN "\"disks\": [{}], \"nics\": [{}], \"channels\": [], \"on_reboot\": \"restart\""
#define ODD_B_INFO "\"disable_migrate\": \"True\", \"type.pv\": {\"e820_host\": \"True\"}"
#define ODD "\"channels\": [{}], \"pcidevs\": [{}], \"c_info\": {\"driver_domain\": \"True\"}"
#define NEW_B_INFO "\"xenon\": \"yes\", \"argon\": \"<default>\", \"type.pv\": {\"krypton\": \"True\"}"
#define NEW "\"quantumdevs\": [{}], \"c_info\": {\"teleport\": 1}"

static void config(FIXTURE_DATA(offers) *self, const char *json)
{
	struct json_object *o = json_tokener_parse(json);

	config_needs(o, self->needs);
	json_object_put(o);
}

TEST_F(offers, a_plain_configuration)
{
	config(self, "{\"c_info\": {" PLAIN_C_INFO "}, \"b_info\": {" PLAIN_B_INFO "}, " PLAIN "}");
	ASSERT_EQ(2, js_len(self->needs));
	EXPECT_STREQ("file", js_str(nth(self->needs, 0), "kind", ""));
	EXPECT_STREQ("file", js_str(nth(self->needs, 1), "kind", ""));
	EXPECT_STREQ("kernel", js_str(nth(self->needs, 0), "id", ""));
	EXPECT_STREQ("boot loader", js_str(nth(self->needs, 1), "id", ""));
	EXPECT_STREQ("/usr/bin/pygrub", js_str(nth(self->needs, 1), "path", ""));
}

TEST_F(offers, what_cannot_be_carried_over)
{
	config(self, "{" ODD ", \"b_info\": {" ODD_B_INFO "}}");
	ASSERT_EQ(5, js_len(self->needs));
	EXPECT_TRUE(strstr(problem(self->needs, 0), "consoles of channel="));
	EXPECT_TRUE(strstr(problem(self->needs, 1), "PCI devices"));
	EXPECT_TRUE(strstr(problem(self->needs, 2), "driver_domain=1"));
	EXPECT_TRUE(strstr(problem(self->needs, 3), "nomigrate=1"));
	EXPECT_TRUE(strstr(problem(self->needs, 4), "e820_host=1"));
}

/* A newer toolstack has keys that nobody here has heard of. */
TEST_F(offers, keys_that_nobody_knows_are_refused_by_name)
{
	config(self, "{" NEW ", \"b_info\": {" NEW_B_INFO "}}");
	ASSERT_EQ(4, js_len(self->needs));
	EXPECT_TRUE(strstr(problem(self->needs, 0), "\"quantumdevs\", which this version"));
	EXPECT_TRUE(strstr(problem(self->needs, 1), "\"c_info.teleport\", which"));
	EXPECT_TRUE(strstr(problem(self->needs, 2), "\"b_info.xenon\", which"));
	EXPECT_TRUE(strstr(problem(self->needs, 3), "\"type.pv.krypton\", which"));
}

TEST_HARNESS_MAIN
