// SPDX-License-Identifier: GPL-2.0
/* What the journal keeps of a migration: written and read back, records of older daemons, and what makes no sense. */
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "kselftest_harness.h"
#include "record.h"

/* As vmbeamd wrote them before records had a version, member by member, but for the state. */
static const char *const old[] = {
	"\"migration\":\"20261125T101112-89abcdef\"",
	"\"time\":1795601472",
	"\"boot_id\":\"0f3a\"",
	"\"guest\":\"u1\"",
	"\"uuid\":\"4ae1b2f0-0000-4000-8000-0123456789ab\"",
	"\"from\":\"hv1\"",
	"\"to\":\"hv2\"",
	"\"host_a\":2",
	"\"host_b\":1",
	"\"dom_a\":5",
	"\"dom_b\":9",
	"\"txn\":77",
	"\"went\":true",
	"\"resumed\":false",
	"\"error\":\"why\"",
};

static struct json_object *old_record(const char *state)
{
	char text[1024];
	size_t at = snprintf(text, sizeof(text), "{\"state\":\"%s\"", state);

	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		at += snprintf(text + at, sizeof(text) - at, ",%s", old[i]);
	snprintf(text + at, sizeof(text) - at, "}");
	return json_tokener_parse(text);
}

FIXTURE(record) {
	struct record r;
	struct json_object *json;
	struct error err;
};

FIXTURE_SETUP(record)
{
	memset(self, 0, sizeof(*self));
	self->json = old_record("swap");
	ASSERT_NE(NULL, self->json);
}

FIXTURE_TEARDOWN(record)
{
	free(self->r.name);
	json_object_put(self->json);
}

TEST_F(record, of_an_older_daemon)
{
	struct record done = { 0 };
	struct json_object *json = old_record("done");

	ASSERT_EQ(0, record_from_json(&self->r, self->json, &self->err));
	EXPECT_EQ(STATE_SWAP, self->r.state);
	EXPECT_STREQ("u1", self->r.name);
	EXPECT_STREQ("hv1", self->r.from);
	EXPECT_STREQ("hv2", self->r.to);
	EXPECT_EQ(2, self->r.host_a);
	EXPECT_EQ(9, self->r.dom_b);
	EXPECT_EQ(77, self->r.txn_id);
	EXPECT_TRUE(self->r.went);
	EXPECT_FALSE(self->r.resumed);
	EXPECT_STREQ("why", self->r.error.text);
	ASSERT_EQ(0, record_from_json(&done, json, &self->err));
	EXPECT_EQ(STATE_DONE, done.state);
	free(done.name);
	json_object_put(json);
}

TEST_F(record, written_and_read_back)
{
	struct json_object *json;
	struct record r = { 0 };

	ASSERT_EQ(0, record_from_json(&self->r, self->json, &self->err));
	snprintf(self->r.lost.text, sizeof(self->r.lost.text), "gone");
	for (int state = 0; state < STATES; state++) {
		json = record_to_json(&self->r, state);
		EXPECT_EQ(RECORD_VERSION, js_u64(json, "version", 0));
		ASSERT_EQ(0, record_from_json(&r, json, &self->err));
		EXPECT_EQ(state, r.state);
		/* All but the state. */
		r.state = self->r.state;
		EXPECT_STREQ(self->r.name, r.name);
		free(r.name);
		r.name = self->r.name;
		EXPECT_EQ(0, memcmp(&self->r, &r, sizeof(r)));
		json_object_put(json);
		memset(&r, 0, sizeof(r));
	}
}

TEST_F(record, of_a_later_daemon)
{
	js_add_u64(self->json, "version", RECORD_VERSION + 1);
	ASSERT_EQ(-1, record_from_json(&self->r, self->json, &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, "the later vmbeamd that wrote it"));
}

TEST_F(record, without_something)
{
	static const char *const needed[] = {
		"migration", "state", "boot_id", "guest", "uuid", "from", "to", "host_a", "host_b", "dom_a", "dom_b",
		"txn",
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct json_object *json = old_record("swap");
		struct record r = { 0 };

		json_object_object_del(json, needed[i]);
		EXPECT_EQ(-1, record_from_json(&r, json, &self->err));
		/* Of another type is the same. */
		json_object_object_add(json, needed[i], json_object_new_array());
		EXPECT_EQ(-1, record_from_json(&r, json, &self->err));
		json_object_put(json);
	}
}

TEST_F(record, with_what_does_not_fit)
{
	char longer[RECORD_HOSTVM + 1];

	memset(longer, 'h', RECORD_HOSTVM);
	longer[RECORD_HOSTVM] = 0;
	js_add_str(self->json, "from", longer);
	EXPECT_EQ(-1, record_from_json(&self->r, self->json, &self->err));
	longer[RECORD_HOSTVM - 1] = 0;
	js_add_str(self->json, "from", longer);
	EXPECT_EQ(0, record_from_json(&self->r, self->json, &self->err));
	js_add_str(self->json, "state", "swop");
	EXPECT_EQ(-1, record_from_json(&self->r, self->json, &self->err));
}

/* Whatever a daemon is told, it is the same way as before, or one that it may take back later. */
TEST(ways)
{
	for (int state = 0; state < STATES; state++) {
		EXPECT_EQ(state, state_of(state_name(state)));
		for (int word = 0; word < TXN_WORDS; word++) {
			enum way way = state_way(state, word);

			EXPECT_EQ(state_over(state), way == WAY_OVER);
			if (state_over(state))
				continue;
			/* A commit is never taken back, and nothing goes forward without one. */
			EXPECT_EQ(state == STATE_COMMITTED || word == TXN_COMMITTED, way == WAY_FORWARD);
			if (word == TXN_STUCK && state != STATE_COMMITTED)
				EXPECT_EQ(WAY_STUCK, way);
			if ((word == TXN_OPEN || word == TXN_SILENT) && state != STATE_COMMITTED)
				EXPECT_EQ(WAY_WAIT, way);
		}
	}
	EXPECT_EQ(WAY_STUCK, state_way(STATE_COMMITTING, TXN_UNKNOWN));
	EXPECT_EQ(WAY_STUCK, state_way(STATE_STUCK, TXN_UNKNOWN));
	EXPECT_EQ(WAY_BACK, state_way(STATE_SWAP, TXN_UNKNOWN));
	EXPECT_EQ(WAY_BACK, state_way(STATE_SWAP, TXN_ROLLED_BACK));
	EXPECT_EQ(-1, state_of("commit"));
}

TEST_HARNESS_MAIN
