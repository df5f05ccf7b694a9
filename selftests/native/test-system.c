// SPDX-License-Identifier: GPL-2.0
/* What the agent says of its host VM, which is made up: bounded, and with a word where something cannot be read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain.h"
#include "guard.h"
#include "js.h"
#include "message.h"
#include "ops.h"
#include "placement.h"
#include "store.h"
#include "system.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

struct guard guard_here;
static struct domain all[1000];
static char long_name[MAX_NAME + 1];
static size_t nr_domains;
static int nr_away, nr_left;
static bool broken, unlisted;

int domains_read(struct domain **list, size_t *nr)
{
	if (unlisted)
		return -EIO;
	*list = malloc((nr_domains + 1) * sizeof(**list));
	memcpy(*list, all, nr_domains * sizeof(**list));
	for (size_t i = 0; i < nr_domains; i++)
		(*list)[i].name = strdup(all[i].name);
	*nr = nr_domains;
	return 0;
}

int placement_here(struct json_object **here, char *why, size_t size)
{
	*here = broken ? NULL : json_tokener_parse("{\"free_kib\":123456}");
	snprintf(why, size, "no libxl");
	return broken ? -EIO : 0;
}

bool probe_is(const char *uuid)
{
	return strstr(uuid, "0077");
}

struct xs_handle *store_open(void)
{
	return broken ? NULL : (struct xs_handle *)all;
}

void store_close(struct xs_handle *xs)
{
	(void)xs;
}

char **store_list(struct xs_handle *xs, unsigned int *nr, const char *fmt, ...)
{
	char path[100];
	va_list args;

	(void)xs;
	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	*nr = !strcmp(path, "/libxl/1/device/vbd") ? 2 : !strcmp(path, "/libxl/1/device/vif") ? 1 : 0;
	return *nr ? calloc(*nr, sizeof(char *)) : NULL;
}

int guard_list(const struct guard *g, int (*each)(const struct guard_away *away, void *arg), void *arg,
	       struct error *err)
{
	struct guard_away away = { .uuid = "00000000-0000-4000-8000-000000000099", .since = 17 };

	if (broken || g != &guard_here) {
		snprintf(err->text, sizeof(err->text), "a record makes no sense");
		return -1;
	}
	away.name = long_name + MAX_NAME - 2;
	for (int i = 0; i < nr_away; i++)
		if (each(&away, arg))
			return 1;
	return 0;
}

/* More than anybody reads. */
int guard_left(const struct guard *g, void (*each)(const char *text, void *arg), void *arg, struct error *err)
{
	(void)g;
	(void)err;
	for (int i = 0; i < nr_left; i++)
		each("a file is left aside", arg);
	return 0;
}

FIXTURE(system) {
	struct request r;
};

static void put_version(const char *part, const char *text)
{
	char path[100];
	FILE *f;

	mkdir(XEN_VERSION_DIR, 0700);
	snprintf(path, sizeof(path), XEN_VERSION_DIR "/%s", part);
	f = fopen(path, "w");
	fprintf(f, "%s\n", text);
	fclose(f);
}

FIXTURE_SETUP(system)
{
	memset(long_name, 'x', MAX_NAME);
	for (size_t i = 0; i < 1000; i++) {
		all[i] = (struct domain){ .domid = i + 1, .name = "u1", .current_kib = 131072, .max_kib = 262144,
			.vcpus = 2, .ended = "" };
		snprintf(all[i].uuid, sizeof(all[i].uuid), "00000000-0000-4000-8000-%012zx", i + 1);
	}
	nr_domains = 1;
	nr_away = 1;
	nr_left = 0;
	put_version("major", "4");
	put_version("minor", "20");
	put_version("extra", ".0-rc");
	memset(&self->r, 0, sizeof(self->r));
	request_begin(&self->r, false);
}

FIXTURE_TEARDOWN(system)
{
	request_forget(&self->r);
	EXPECT_EQ(0, system("rm -r " XEN_VERSION_DIR));
}

static struct json_object *nth(struct request *r, const char *key, size_t n)
{
	return json_object_array_get_idx(js_array(r->out, key), n);
}

TEST_F(system, told_whole)
{
	struct json_object *guest, *away;

	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_STREQ(VMBEAM_VERSION, js_str(self->r.out, "version", ""));
	EXPECT_STREQ("4.20.0-rc", js_str(self->r.out, "xen", ""));
	EXPECT_STREQ("4.20", js_str(self->r.out, "hostvm_xen", ""));
	EXPECT_EQ(36, strlen(js_str(self->r.out, "boot", "")));
	EXPECT_NE('\0', *js_str(self->r.out, "kernel", ""));
	EXPECT_LT(0, js_u64(self->r.out, "uptime_s", 0));
	EXPECT_EQ(123456, js_u64(self->r.out, "free_kib", 0));
	guest = nth(&self->r, "guests", 0);
	EXPECT_STREQ("u1", js_str(guest, "name", ""));
	EXPECT_STREQ("00000000-0000-4000-8000-000000000001", js_str(guest, "uuid", ""));
	EXPECT_STREQ("running", js_str(guest, "state", ""));
	EXPECT_EQ(1, js_u64(guest, "domid", 0));
	EXPECT_EQ(131072, js_u64(guest, "held_kib", 0));
	EXPECT_EQ(262144, js_u64(guest, "max_kib", 0));
	EXPECT_EQ(2, js_u64(guest, "vcpus", 0));
	EXPECT_EQ(2, js_u64(guest, "disks", 9));
	EXPECT_EQ(1, js_u64(guest, "vifs", 9));
	away = nth(&self->r, "away", 0);
	EXPECT_STREQ("xx", js_str(away, "name", ""));
	EXPECT_STREQ("00000000-0000-4000-8000-000000000099", js_str(away, "uuid", ""));
	EXPECT_EQ(17, js_u64(away, "since", 0));
	EXPECT_EQ(0, js_len(js_array(self->r.out, "problems")));
	EXPECT_FALSE(js_bool(self->r.out, "more"));
}

/* That of a probe is no guest VM. */
TEST_F(system, no_probe)
{
	nr_domains = 3;
	memcpy(all[1].uuid + 32, "0077", 4);
	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_EQ(2, js_len(js_array(self->r.out, "guests")));
}

TEST_F(system, states)
{
	static const char *const states[] = { "dying", "suspended", "crashed", "shutdown", "paused", "running" };

	nr_domains = 6;
	all[0].dying = true;
	all[0].shutdown = true;
	all[1].shutdown = true;
	all[1].suspended = true;
	all[1].ended = "suspend";
	all[2].shutdown = true;
	all[2].ended = "crash";
	all[3].shutdown = true;
	all[3].paused = true;
	all[3].ended = "poweroff";
	all[4].paused = true;
	ASSERT_EQ(0, op_system(&self->r));
	for (int i = 0; i < 6; i++)
		EXPECT_STREQ(states[i], js_str(nth(&self->r, "guests", i), "state", ""));
}

TEST_F(system, no_more_than_a_message_takes)
{
	uint8_t *buf;
	size_t len;

	nr_domains = 1000;
	nr_away = 1000;
	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_EQ(256, js_len(js_array(self->r.out, "guests")));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
	EXPECT_EQ(0, message_encode(1, self->r.out, 0, &buf, &len));
	free(buf);
}

TEST_F(system, long_names)
{
	uint8_t *buf;
	size_t len;

	nr_domains = 5;
	for (int i = 0; i < 5; i++)
		all[i].name = long_name;
	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_EQ(2, js_len(js_array(self->r.out, "guests")));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
	EXPECT_EQ(0, message_encode(1, self->r.out, 0, &buf, &len));
	free(buf);
}

/* The rest is told: that the toolstack does not answer is what an operator wants to see. */
TEST_F(system, what_cannot_be_read)
{
	broken = true;
	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_EQ(1, js_len(js_array(self->r.out, "guests")));
	EXPECT_STREQ("4.20.0-rc", js_str(self->r.out, "xen", ""));
	EXPECT_EQ(3, js_len(js_array(self->r.out, "problems")));
	EXPECT_FALSE(json_object_object_get_ex(self->r.out, "free_kib", NULL));
}

/* An empty list would say that no guest VM is here: whoever empties this host VM would end it. */
TEST_F(system, guests_cannot_be_listed)
{
	unlisted = true;
	EXPECT_EQ(-EIO, op_system(&self->r));
}

/* As on a system that is no domain. */
TEST_F(system, no_xen)
{
	unlink(XEN_VERSION_DIR "/minor");
	ASSERT_EQ(0, op_system(&self->r));
	EXPECT_STREQ("", js_str(self->r.out, "xen", "?"));
}

TEST_F(system, what_is_left_aside_is_told)
{
	struct json_object *chores;

	nr_left = 1000;
	ASSERT_EQ(0, op_system(&self->r));
	chores = js_array(self->r.out, "chores");
	EXPECT_EQ(8, js_len(chores));
	EXPECT_STREQ("a file is left aside", json_object_get_string(json_object_array_get_idx(chores, 0)));
	EXPECT_EQ(0, js_len(js_array(self->r.out, "problems")));
}

TEST_HARNESS_MAIN
