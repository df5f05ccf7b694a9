// SPDX-License-Identifier: GPL-2.0
/* What a guest VM needs of the destination besides memory and disks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "js.h"
#include "needs.h"
#include "kselftest_harness.h"

FIXTURE(needs) {
	char dir[64], script[100];
	struct json_object *request, *vifs, *boot, *problems, *warnings;
};

FIXTURE_SETUP(needs)
{
	char path[200];

	snprintf(self->dir, sizeof(self->dir), "/tmp/test-needs-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	needs_net = self->dir;
	snprintf(path, sizeof(path), "%s/xenbr0", self->dir);
	ASSERT_EQ(0, mkdir(path, 0700));
	snprintf(self->script, sizeof(self->script), "%s/vif-openvswitch", self->dir);
	fclose(fopen(self->script, "w"));
	ASSERT_EQ(0, chmod(self->script, 0700));
	self->request = json_object_new_object();
	self->vifs = json_object_new_array();
	self->boot = json_object_new_array();
	json_object_object_add(self->request, "vifs", self->vifs);
	json_object_object_add(self->request, "boot", self->boot);
	self->problems = json_object_new_array();
	self->warnings = json_object_new_array();
}

FIXTURE_TEARDOWN(needs)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
	json_object_put(self->request);
	json_object_put(self->problems);
	json_object_put(self->warnings);
}

static void add(struct json_object *list, const char *a, const char *value_a, const char *b, const char *value_b)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, a, value_a);
	js_add_str(o, b, value_b);
	json_object_array_add(list, o);
}

static const char *nth(struct json_object *list, size_t n)
{
	return n < js_len(list) ? json_object_get_string(json_object_array_get_idx(list, n)) : "";
}

TEST_F(needs, all_is_there)
{
	add(self->vifs, "bridge", "xenbr0", "script", self->script);
	add(self->vifs, "bridge", "xenbr0.100:200", "script", self->script);
	add(self->vifs, "bridge", "", "script", "");
	add(self->boot, "what", "kernel", "path", self->script);
	add(self->boot, "what", "boot loader", "path", "pygrub");
	needs_check(self->request, self->problems, self->warnings);
	EXPECT_EQ(0, js_len(self->problems)) TH_LOG("%s", nth(self->problems, 0));
	EXPECT_EQ(0, js_len(self->warnings));
}

TEST_F(needs, a_bridge_that_is_not_there)
{
	add(self->vifs, "bridge", "br9", "script", "");
	add(self->vifs, "bridge", "xenbr0.100", "script", "/etc/xen/scripts/vif-bridge");
	add(self->vifs, "bridge", "../xenbr0", "script", "");
	add(self->vifs, "bridge", "longer-than-an-interface", "script", "");
	needs_check(self->request, self->problems, self->warnings);
	EXPECT_TRUE(strstr(nth(self->problems, 0), "the bridge br9 of a network card is not here"));
	EXPECT_TRUE(strstr(nth(self->problems, 1), "the bridge xenbr0.100 of"));
	EXPECT_TRUE(strstr(nth(self->problems, 2), "/etc/xen/scripts/vif-bridge of a network card cannot be run here"));
	EXPECT_TRUE(strstr(nth(self->problems, 3), "no name of an interface"));
	EXPECT_TRUE(strstr(nth(self->problems, 4), "no name of an interface"));
}

TEST_F(needs, a_script_that_cannot_be_run)
{
	ASSERT_EQ(0, unlink(self->script));
	add(self->vifs, "bridge", "xenbr0", "script", self->script);
	needs_check(self->request, self->problems, self->warnings);
	EXPECT_EQ(1, js_len(self->problems));
	EXPECT_TRUE(strstr(nth(self->problems, 0), "cannot be run here: No such file"));
}

/* It is needed at the next reboot only: no reason to refuse. */
TEST_F(needs, a_kernel_that_is_not_there)
{
	add(self->boot, "what", "kernel", "path", "/nowhere/vmlinuz");
	needs_check(self->request, self->problems, self->warnings);
	EXPECT_EQ(0, js_len(self->problems));
	EXPECT_TRUE(strstr(nth(self->warnings, 0), "kernel, /nowhere/vmlinuz, is not here"));
	EXPECT_TRUE(strstr(nth(self->warnings, 0), "next reboot"));
}

TEST_F(needs, requests_that_make_no_sense)
{
	json_object_array_add(self->vifs, json_object_new_int(5));
	json_object_object_del(self->request, "boot");
	js_add_str(self->request, "boot", "x");
	needs_check(self->request, self->problems, self->warnings);
	EXPECT_EQ(0, js_len(self->problems));
}

TEST_HARNESS_MAIN
