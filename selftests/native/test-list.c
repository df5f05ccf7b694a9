// SPDX-License-Identifier: GPL-2.0
/* What the agent says to hello of its host VM's domains and exports, which are made up: all, or those asked for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "ops.h"
#include "domain.h"
#include "js.h"
#include "vmbeam.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

static struct domain all[3000];
static char names[3000][128];
static size_t nr_domains;
static struct vmbeam_export_info exports[5000];
static int nr_exports;

int domains_read(struct domain **list, size_t *nr)
{
	*list = malloc((nr_domains + 1) * sizeof(**list));
	memcpy(*list, all, nr_domains * sizeof(**list));
	for (size_t i = 0; i < nr_domains; i++)
		(*list)[i].name = strdup(names[i]);
	*nr = nr_domains;
	return 0;
}

int vmbeam_open(void)
{
	return nr_exports == -ENODEV ? -ENOENT : open("/dev/null", O_RDWR | O_CLOEXEC);
}

int vmbeam_export_list(int dev, struct vmbeam_export_info *to, uint32_t room)
{
	(void)dev;
	for (int i = 0; i < nr_exports && i < (int)room; i++)
		to[i] = exports[i];
	return nr_exports;
}

FIXTURE(list) {
	struct request r;
};

FIXTURE_SETUP(list)
{
	for (size_t i = 0; i < 3000; i++) {
		all[i].domid = i + 1;
		snprintf(names[i], sizeof(names[i]), "vm%zu", i + 1);
		snprintf(all[i].uuid, sizeof(all[i].uuid), "00000000-0000-4000-8000-%012zx", i + 1);
	}
	for (int i = 0; i < 5000; i++)
		exports[i] = (struct vmbeam_export_info){ .id = 100 + i, .domid = i + 1, .state = VMBEAM_EXPORT_ARMED };
	nr_domains = 5;
	nr_exports = 3;
	memset(&self->r, 0, sizeof(self->r));
	request_begin(&self->r, false);
}

FIXTURE_TEARDOWN(list)
{
	request_forget(&self->r);
}

static size_t len(struct request *r, const char *key)
{
	return js_len(js_array(r->out, key));
}

static uint64_t nth(struct request *r, const char *key, size_t n, const char *what)
{
	return js_u64(json_object_array_get_idx(js_array(r->out, key), n), what, 0);
}

TEST_F(list, few_are_told_whole)
{
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_EQ(5, len(&self->r, "domains"));
	EXPECT_EQ(3, len(&self->r, "exports"));
	EXPECT_FALSE(js_bool(self->r.out, "more"));
	EXPECT_EQ(102, nth(&self->r, "exports", 2, "id"));
}

TEST_F(list, many_are_cut_and_it_says_so)
{
	nr_domains = 257;
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_EQ(256, len(&self->r, "domains"));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
}

TEST_F(list, many_exports_are_cut_and_it_says_so)
{
	nr_exports = 65;
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_EQ(64, len(&self->r, "exports"));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
}

TEST_F(list, long_names_fit_the_reply)
{
	nr_domains = 256;
	for (size_t i = 0; i < nr_domains; i++)
		memset(names[i], '"', sizeof(names[i]) - 1);
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
	EXPECT_LT(50, len(&self->r, "domains"));
	EXPECT_GT(MESSAGE_MAX_JSON * 7 / 8,
		  strlen(json_object_to_json_string_ext(self->r.out, JSON_C_TO_STRING_PLAIN)));
}

/* Whatever else there is: the domain by its UUID, its exports, and those of the domid, whose domain may be gone. */
TEST_F(list, the_one_asked_for)
{
	nr_domains = 2990;
	nr_exports = 3000;
	exports[10].domid = 2000;
	js_add_str(self->r.in, "uuid", "00000000-0000-4000-8000-0000000007D0");
	js_add_u64(self->r.in, "domid", 2999);
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_FALSE(js_bool(self->r.out, "more"));
	ASSERT_EQ(1, len(&self->r, "domains"));
	EXPECT_EQ(2000, nth(&self->r, "domains", 0, "domid"));
	ASSERT_EQ(3, len(&self->r, "exports"));
	EXPECT_EQ(110, nth(&self->r, "exports", 0, "id"));
	EXPECT_EQ(2099, nth(&self->r, "exports", 1, "id"));
	EXPECT_EQ(3098, nth(&self->r, "exports", 2, "id"));
}

TEST_F(list, exports_beyond_the_modules_list)
{
	nr_exports = 4097;
	js_add_str(self->r.in, "uuid", all[4].uuid);
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_EQ(1, len(&self->r, "exports"));
	EXPECT_TRUE(js_bool(self->r.out, "more"));
}

TEST_F(list, no_module_no_exports)
{
	nr_exports = -ENODEV;
	ASSERT_EQ(0, list_all(&self->r));
	EXPECT_EQ(0, len(&self->r, "exports"));
	EXPECT_FALSE(js_bool(self->r.out, "more"));
}

TEST_F(list, what_cannot_be_listed_is_an_error)
{
	nr_exports = -ENOMEM;
	EXPECT_EQ(-ENOMEM, list_all(&self->r));
	EXPECT_NE(0, *self->r.error);
}

TEST_F(list, a_filter_that_makes_no_sense)
{
	js_add_u64(self->r.in, "uuid", 5);
	EXPECT_EQ(-EINVAL, list_all(&self->r));
	json_object_object_del(self->r.in, "uuid");
	js_add_u64(self->r.in, "domid", 0);
	EXPECT_EQ(-EINVAL, list_all(&self->r));
}

TEST_HARNESS_MAIN
