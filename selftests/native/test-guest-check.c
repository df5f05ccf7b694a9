// SPDX-License-Identifier: GPL-2.0
/* What the agent says of a guest VM that is to be moved: its problems, and of its memory. The toolstack is made up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "devices.h"
#include "domain.h"
#include "installed.h"
#include "js.h"
#include "message.h"
#include "ops.h"
#include "placement.h"
#include "policy.h"
#include "made-up-request.h"
#include "kselftest_harness.h"
#include "made-up-store.h"

static struct domain one;
static uint64_t target_kib;

int domains_read(struct domain **list, size_t *nr)
{
	*list = malloc(sizeof(**list));
	**list = one;
	(*list)->name = strdup("u1");
	snprintf((*list)->called, sizeof((*list)->called), "u1");
	*nr = 1;
	return 0;
}

int domain_read(uint32_t domid, struct domain *d)
{
	*d = one;
	return domid == one.domid ? 0 : -ESRCH;
}

int domain_config(uint32_t domid, struct json_object **config, char *why, size_t size)
{
	struct json_object *b_info = json_object_new_object();

	(void)domid;
	(void)why;
	(void)size;
	js_add_u64(b_info, "target_memkb", target_kib);
	*config = json_object_new_object();
	json_object_object_add(*config, "b_info", b_info);
	return 0;
}

int placement_of(uint32_t domid, struct json_object **placement, char *why, size_t size)
{
	(void)domid;
	(void)why;
	(void)size;
	*placement = json_tokener_parse("{\"online\": 1, \"cpupool\": \"Pool-0\", \"vcpus\": []}");
	return 0;
}

int policy_of(uint32_t domid, uint32_t *words)
{
	(void)domid;
	memset(words, 0, POLICY_WORDS * sizeof(*words));
	return 0;
}

int devices_list(uint32_t domid, struct json_object *items, bool whole)
{
	(void)domid;
	(void)items;
	(void)whole;
	return 0;
}

void check_installed(struct json_object *problems)
{
	(void)problems;
}

FIXTURE(check) {
	struct request r;
};

FIXTURE_SETUP(check)
{
	one = (struct domain){
		.domid = 5, .uuid = "00000000-0000-4000-8000-000000000005", .pv = true, .utf8 = true, .ended = "",
		.current_kib = 262144, .max_kib = 263168,
	};
	target_kib = 262144;
	nr_nodes = 0;
	no_store = false;
	node("/local/domain/5/name", "u1");
	node("/local/domain/5/control/feature-suspend", "1");
	memset(&self->r, 0, sizeof(self->r));
	request_begin(&self->r, false);
	js_add_str(self->r.in, "name", "u1");
}

FIXTURE_TEARDOWN(check)
{
	request_forget(&self->r);
}

/* The problems, as one text. */
static const char *problems(struct request *r)
{
	if (op_guest_check(r))
		abort();
	return json_object_to_json_string_ext(js_array(r->out, "problems"), JSON_C_TO_STRING_PLAIN);
}

static struct json_object *need(struct request *r, const char *kind)
{
	struct json_object *needs = js_array(r->out, "needs");

	for (size_t i = 0; i < js_len(needs); i++)
		if (!strcmp(kind, js_str(json_object_array_get_idx(needs, i), "kind", "")))
			return json_object_array_get_idx(needs, i);
	return NULL;
}

TEST_F(check, one_that_can_be_moved)
{
	EXPECT_STREQ("[]", problems(&self->r));
	EXPECT_TRUE(js_bool(self->r.out, "can_suspend"));
	EXPECT_EQ(5, js_u64(self->r.out, "domid", 0));
	EXPECT_EQ(65536, js_u64(self->r.out, "frames", 0));
	EXPECT_EQ(263168, js_u64(self->r.out, "max_kib", 0));
}

/* The toolstack has made the node, and nobody in the guest VM has written to it: its boot loader waits. */
TEST_F(check, one_that_does_not_say_that_it_can_suspend)
{
	node("/local/domain/5/control/feature-suspend", "");
	EXPECT_NE(NULL, strstr(problems(&self->r), "u1 does not say that it can suspend: boot it to the end"));
	EXPECT_FALSE(js_bool(self->r.out, "can_suspend"));
}

TEST_F(check, states_in_which_it_cannot_suspend_itself)
{
	one.paused = true;
	one.pv = false;
	EXPECT_NE(NULL, strstr(problems(&self->r), "u1 is paused"));
	EXPECT_NE(NULL, strstr(problems(&self->r), "u1 is not a PV guest VM"));
	one.suspended = true;
	one.shutdown = true;
	EXPECT_NE(NULL, strstr(problems(&self->r), "u1 is suspended"));
	one.suspended = false;
	one.ended = "crash";
	EXPECT_NE(NULL, strstr(problems(&self->r), "u1 has ended (crash)"));
}

/* What it holds, which may be more than its target: the destination's toolstack gives it no more than that. */
TEST_F(check, memory_beyond_its_target)
{
	struct json_object *needs;

	target_kib = 131072;
	problems(&self->r);
	needs = js_array(self->r.out, "needs");
	ASSERT_NE(NULL, need(&self->r, "memory"));
	EXPECT_EQ(262144, js_u64(need(&self->r, "memory"), "held_kib", 0));
	EXPECT_EQ(263168, js_u64(need(&self->r, "memory"), "max_kib", 0));
	EXPECT_EQ(131072, js_u64(need(&self->r, "memory"), "target_kib", 0));
	/* The last: its time is that of the reply. */
	EXPECT_STREQ("clock", js_str(json_object_array_get_idx(needs, js_len(needs) - 1), "kind", ""));
}

TEST_F(check, one_that_is_not_there)
{
	js_add_str(self->r.in, "name", "u2");
	EXPECT_EQ(-ESRCH, op_guest_check(&self->r));
	EXPECT_NE(NULL, strstr(self->r.error, "no guest VM called u2"));
}

TEST_HARNESS_MAIN
