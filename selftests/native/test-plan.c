// SPDX-License-Identifier: GPL-2.0
/* The plan: who moves in which order, what stands in the way, and that the journal gives back what it got. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "plan.h"
#include "kselftest_harness.h"

#define GIB (1 << 20)

FIXTURE(plan) {
	struct plan p;
	struct plan_options o;
	struct json_object *problems;
	struct plan_candidate c[4];
};

FIXTURE_SETUP(plan)
{
	static const char *const names[] = { "small", "large", "db1", "db2" };
	static const char *const uuids[] = {
		"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002",
		"00000000-0000-0000-0000-000000000003", "00000000-0000-0000-0000-000000000004",
	};

	memset(&self->p, 0, sizeof(self->p));
	self->o = (struct plan_options){ .what = PLAN_MAINTAIN, .retries = 1 };
	self->problems = json_object_new_array();
	for (int i = 0; i < 4; i++)
		self->c[i] = (struct plan_candidate){ names[i], uuids[i], GIB, -1, NULL, false };
	self->c[0].need_kib = GIB / 2;
	self->c[1].need_kib = 4 * GIB;
	self->c[1].pause_ms = 250;
	self->c[2].pause_ms = 100;
}

FIXTURE_TEARDOWN(plan)
{
	for (int i = 0; i < 4; i++)
		json_object_put(self->c[i].blockers);
	json_object_put(self->problems);
	json_object_put(self->o.only);
	json_object_put(self->o.except);
	plan_clear(&self->p);
}

static int make(FIXTURE_DATA(plan) *self, uint64_t free_kib)
{
	plan_clear(&self->p);
	json_object_put(self->problems);
	self->problems = json_object_new_array();
	return plan_make(&self->p, &self->o, "hv1", "hv2", self->c, 4, free_kib, self->problems);
}

/* The names in the order of the plan, each with the first letter of its way. */
static const char *order(const struct plan *p)
{
	static char text[200];

	text[0] = 0;
	for (size_t i = 0; i < p->nr; i++)
		sprintf(text + strlen(text), "%s%s:%c", i ? " " : "", p->guests[i].name, *plan_ways[p->guests[i].way]);
	return text;
}

static bool told(struct json_object *problems, const char *text)
{
	for (size_t i = 0; i < js_len(problems); i++)
		if (strstr(json_object_get_string(json_object_array_get_idx(problems, i)), text))
			return true;
	return false;
}

static void block(struct plan_candidate *c, const char *why)
{
	if (!c->blockers)
		c->blockers = json_object_new_array();
	json_object_array_add(c->blockers, json_object_new_string(why));
}

static struct json_object *list(const char *a, const char *b)
{
	struct json_object *o = json_object_new_array();

	json_object_array_add(o, json_object_new_string(a));
	if (b)
		json_object_array_add(o, json_object_new_string(b));
	return o;
}

TEST_F(plan, the_large_ones_first)
{
	ASSERT_EQ(0, make(self, 7 * GIB));
	EXPECT_STREQ("large:m db1:m db2:m small:m", order(&self->p));
	EXPECT_EQ(4, self->p.moving);
	EXPECT_EQ(6 * GIB + GIB / 2, self->p.need_kib);
	EXPECT_EQ(350, self->p.pause_ms);
	EXPECT_EQ(2, self->p.unknown_pauses);
}

TEST_F(plan, why_one_cannot_move_is_in_it)
{
	struct json_object *json;
	struct plan back;
	struct error err;

	self->o.unmovable = UNMOVABLE_SHUTDOWN;
	block(&self->c[0], "it has a PCI device");
	block(&self->c[0], "it is pinned");
	ASSERT_EQ(0, make(self, 8 * GIB));
	ASSERT_STREQ("large:m db1:m db2:m small:s", order(&self->p));
	json = plan_to_json(&self->p);
	ASSERT_EQ(0, plan_from_json(&back, json, &err));
	EXPECT_EQ(2, js_len(back.guests[3].blockers));
	EXPECT_TRUE(told(back.guests[3].blockers, "it is pinned"));
	EXPECT_EQ(NULL, back.guests[0].blockers);
	plan_clear(&back);
	json_object_put(json);
}

TEST_F(plan, a_return_is_the_reverse)
{
	self->o.what = PLAN_RETURN;
	self->c[3].down = true;
	block(&self->c[3], "it does not run");
	ASSERT_EQ(0, make(self, 7 * GIB));
	EXPECT_STREQ("db2:s small:m db1:m large:m", order(&self->p));
}

TEST_F(plan, all_must_fit_at_once)
{
	ASSERT_EQ(0, make(self, 6 * GIB + GIB / 2));
	ASSERT_EQ(-1, make(self, 6 * GIB + GIB / 2 - 1));
	EXPECT_EQ(1, js_len(self->problems));
	EXPECT_TRUE(told(self->problems, "hv2 has 6655 MiB of memory free, and the 4 guest VMs of hv1 need 6656"));
	/* There to be shown, all the same. */
	EXPECT_STREQ("large:m db1:m db2:m small:m", order(&self->p));
}

TEST_F(plan, blockers_of_all_are_told_at_once)
{
	block(&self->c[0], "it has a PCI device");
	block(&self->c[0], "it is pinned");
	block(&self->c[2], "its disk /dev/x is not on hv2\x1b[2J");
	ASSERT_EQ(-1, make(self, 5 * GIB));
	EXPECT_EQ(4, js_len(self->problems));
	EXPECT_TRUE(told(self->problems, "small: it has a PCI device"));
	EXPECT_TRUE(told(self->problems, "small: it is pinned"));
	EXPECT_TRUE(told(self->problems, "db1: its disk /dev/x is not on hv2\\x1b[2J"));
	EXPECT_TRUE(told(self->problems, "MiB of memory free"));
}

TEST_F(plan, what_cannot_move_is_shut_down_or_left)
{
	block(&self->c[1], "it has a PCI device");
	self->o.unmovable = UNMOVABLE_SHUTDOWN;
	/* It takes no room at the refuge. */
	ASSERT_EQ(0, make(self, 3 * GIB));
	EXPECT_STREQ("db1:m db2:m small:m large:s", order(&self->p));
	EXPECT_EQ(3, self->p.moving);

	self->o.unmovable = UNMOVABLE_LEAVE;
	ASSERT_EQ(-1, make(self, 3 * GIB));
	EXPECT_TRUE(told(self->problems, "hv1 is going to be restarted"));
	self->o.what = PLAN_EVACUATE;
	ASSERT_EQ(0, make(self, 3 * GIB));
	EXPECT_STREQ("db1:m db2:m small:m large:l", order(&self->p));

	self->o.unmovable = UNMOVABLE_REFUSE;
	EXPECT_EQ(-1, make(self, 3 * GIB));
}

TEST_F(plan, patterns)
{
	self->o.what = PLAN_EVACUATE;
	self->o.only = list("db*", "00000000-0000-0000-0000-000000000001");
	self->o.except = list("db2", NULL);
	/* What stays by the operator's word does not block. */
	block(&self->c[1], "it has a PCI device");
	ASSERT_EQ(0, make(self, 2 * GIB));
	EXPECT_STREQ("db1:m small:m large:e db2:e", order(&self->p));
}

/* A misspelt name must not leave a guest VM behind, nor move it. */
TEST_F(plan, a_pattern_that_fits_nothing)
{
	self->o.what = PLAN_EVACUATE;
	self->o.only = list("db*", "dc1");
	EXPECT_EQ(-1, make(self, 7 * GIB));
	EXPECT_TRUE(told(self->problems, "--only dc1: no guest VM on hv1"));
	json_object_put(self->o.only);
	self->o.only = NULL;
	self->o.except = list("db9", NULL);
	EXPECT_EQ(-1, make(self, 7 * GIB));
	EXPECT_TRUE(told(self->problems, "--except db9"));
}

TEST_F(plan, options_that_do_not_go_together)
{
	self->o.only = list("db*", NULL);
	EXPECT_EQ(-1, make(self, 7 * GIB));
	EXPECT_TRUE(told(self->problems, "all guest VMs must leave it"));
	json_object_put(self->o.only);
	self->o.only = NULL;

	self->o.retries = PLAN_MAX_RETRIES + 1;
	EXPECT_EQ(-1, make(self, 7 * GIB));
	self->o.retries = 0;

	self->o.what = PLAN_EVACUATE;
	self->o.run = "true";
	EXPECT_EQ(-1, make(self, 7 * GIB));
	self->o.run = NULL;

	self->o.what = PLAN_RETURN;
	self->o.unmovable = UNMOVABLE_SHUTDOWN;
	EXPECT_EQ(-1, make(self, 7 * GIB));
	self->o.unmovable = UNMOVABLE_REFUSE;

	plan_clear(&self->p);
	EXPECT_EQ(-1, plan_make(&self->p, &self->o, "hv1", "hv1", self->c, 4, 7 * GIB, self->problems));
	EXPECT_TRUE(told(self->problems, "hv1 is where the guest VMs are already"));
	plan_clear(&self->p);
	EXPECT_EQ(0, plan_make(&self->p, &self->o, "hv1", "hv2", NULL, 0, 0, self->problems));
}

TEST_F(plan, the_journal_gives_back_what_it_got)
{
	struct json_object *json, *again;
	struct plan back;
	struct error err;

	self->o.config = "/etc/xen/hv1-new.cfg";
	self->o.run = "echo \"a b\"";
	self->o.no_return = true;
	self->o.unmovable = UNMOVABLE_SHUTDOWN;
	block(&self->c[1], "it has a PCI device");
	ASSERT_EQ(0, make(self, 7 * GIB));
	json = plan_to_json(&self->p);
	again = json_tokener_parse(json_object_to_json_string(json));
	ASSERT_EQ(0, plan_from_json(&back, again, &err));
	json_object_put(again);
	again = plan_to_json(&back);
	EXPECT_STREQ(json_object_to_json_string(json), json_object_to_json_string(again));
	EXPECT_STREQ("echo \"a b\"", back.run);
	EXPECT_EQ(3, back.moving);
	plan_clear(&back);
	json_object_put(again);
	json_object_put(json);
}

TEST(a_plan_that_makes_no_sense)
{
	static const char *const bad[] = {
		"{}", "7", "{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\"}",
		"{\"what\":\"dance\",\"from\":\"a\",\"to\":\"b\",\"guests\":[]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"guests\":[]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\",\"retries\":99,\"guests\":[]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\",\"guests\":[7]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\",\"guests\":[{\"guest\":\"u\",\"uuid\":\"x\",\"way\":\"fly\"}]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\",\"guests\":[{\"guest\":\"u\",\"uuid\":\"\",\"way\":\"move\"}]}",
		"{\"what\":\"evacuate\",\"from\":\"a\",\"to\":\"b\",\"guests\":["
		"{\"guest\":\"v\",\"uuid\":\"y\",\"way\":\"move\"},{\"uuid\":\"x\",\"way\":\"move\"}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json_object *json = json_tokener_parse(bad[i]);
		struct error err;
		struct plan p;

		EXPECT_EQ(-1, plan_from_json(&p, json, &err))
			TH_LOG("%s", bad[i]);
		EXPECT_NE(0, err.text[0]);
		json_object_put(json);
	}
}

TEST(the_last_pause_is_the_expected_one)
{
	static const char *const records[] = {
		"{\"kind\":\"migration\",\"outcome\":\"done\",\"uuid\":\"a\",\"downtime_ms\":100.0}",
		"{\"kind\":\"migration\",\"outcome\":\"done\",\"uuid\":\"b\",\"downtime_ms\":900.0}",
		"{\"kind\":\"migration\",\"outcome\":\"done\",\"uuid\":\"a\",\"downtime_ms\":200.0}",
		"{\"kind\":\"migration\",\"outcome\":\"rolled-back\",\"uuid\":\"a\",\"downtime_ms\":5000.0}",
		"{\"kind\":\"maintenance\",\"outcome\":\"done\",\"uuid\":\"a\",\"downtime_ms\":5000.0}",
	};
	struct plan_pause a = { "a", -1 }, none = { "c", -1 };

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		struct json_object *json = json_tokener_parse(records[i]);

		EXPECT_EQ(0, plan_pause_of(json, &a));
		EXPECT_EQ(0, plan_pause_of(json, &none));
		json_object_put(json);
	}
	EXPECT_EQ(200, a.ms);
	EXPECT_EQ(-1, none.ms);
}

TEST_HARNESS_MAIN
