// SPDX-License-Identifier: GPL-2.0
/* Guest VMs that are shut down and started again, over a made-up toolstack: whatever is killed, none is lost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create.h"
#include "destroy.h"
#include "domain.h"
#include "down.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "state_dir.h"
#include "store.h"
#include "watch.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

#define DOMID	5
#define U1	"6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define DOWN	STATE_DIR "/down-" U1 ".json"

/* What the children see, too. @order: what was asked of the toolstack. */
static struct toolstack {
	struct domain d;
	bool there;
	bool refuses;		/* to take the request to shut down */
	bool goes_on;		/* and takes it, but stays */
	bool preserved;		/* nobody destroys what has shut down */
	bool no_room;		/* no domain can be made */
	bool would_restart;
	bool unreadable;	/* the toolstack does not take back what it wrote */
	char order[100];
} *x;

static void note(const char *what)
{
	strcat(x->order, what);
}

int domain_read(uint32_t domid, struct domain *d)
{
	*d = x->d;
	return x->there && domid == x->d.domid ? 0 : -ESRCH;
}

int domains_read(struct domain **list, size_t *nr)
{
	*nr = x->there;
	*list = calloc(1, sizeof(**list));
	if (x->there)
		**list = x->d;
	(*list)->name = strdup("u1");
	return 0;
}

int domain_keep(uint32_t domid, bool to_stay_down, struct json_object **kept)
{
	(void)domid;
	*kept = NULL;
	if (x->would_restart && to_stay_down) {
		fprintf(stderr, "it would not stay down\n");
		return -1;
	}
	note("keep ");
	*kept = json_tokener_parse("{\"c_info\":{\"name\":\"u1\"}}");
	return 0;
}

int domain_shutdown(uint32_t domid)
{
	(void)domid;
	note(access(DOWN, F_OK) ? "unsaved " : "shutdown ");
	if (x->refuses)
		return -1;
	x->d.shutdown = !x->goes_on;
	x->there = x->goes_on || x->preserved;
	return 0;
}

int destroy(uint32_t domid)
{
	(void)domid;
	note("end ");
	x->there = false;
	return 0;
}

int domain_unpause(uint32_t domid)
{
	(void)domid;
	note("unpause ");
	x->d.paused = false;
	return 0;
}

int create_check(struct json_object *kept, const char *uuid)
{
	if (!x->unreadable && !strcmp(uuid, U1) && js_get(kept, "c_info", json_type_object))
		return 0;
	fprintf(stderr, "no toolstack reads that\n");
	return -1;
}

int create_domain(struct json_object *kept, const char *form, uint32_t *domid)
{
	struct error err;
	struct json_object *down = down_read(U1, &err);

	bool right = js_bool(down, "starting") && js_get(kept, "c_info", json_type_object) && !strcmp(form, "u1");

	note(right ? "create " : "wrong ");
	json_object_put(down);
	if (x->no_room) {
		fprintf(stderr, "no room\n");
		return -1;
	}
	x->d = (struct domain){ .domid = 9, .paused = true, .uuid = U1 };
	x->there = true;
	*domid = 9;
	return 0;
}

void watched(uint32_t domid)
{
	note(domid == 9 && x->d.paused ? "watch " : "late ");
}

bool store_cancel(uint32_t domid, const char *request)
{
	(void)domid;
	note(strcmp(request, "poweroff") ? "wrong " : "cancel ");
	return x->refuses;
}

FIXTURE(power) {
	struct request r;
};

FIXTURE_SETUP(power)
{
	x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, x);
	x->d = (struct domain){ .domid = DOMID, .uuid = U1, .cpu_ns = 1000 };
	x->there = true;
	memset(&self->r, 0, sizeof(self->r));
	ASSERT_EQ(0, limit_set("shutdown", 1));
	ASSERT_EQ(0, system("rm -rf " STATE_DIR));
}

FIXTURE_TEARDOWN(power)
{
	request_forget(&self->r);
	EXPECT_EQ(0, system("rm -rf " STATE_DIR));
}

static int ask(FIXTURE_DATA(power) *self, int (*op)(struct request *r))
{
	bool again = false;
	int rc;

	do {
		request_begin(&self->r, again);
		js_add_u64(self->r.in, "domid", DOMID);
		js_add_str(self->r.in, "uuid", U1);
		rc = op(&self->r);
		again = self->r.again;
	} while (!rc && again);
	return rc;
}

static bool is_kept(void)
{
	return !access(DOWN, F_OK);
}

TEST_F(power, down_and_up)
{
	ASSERT_EQ(0, ask(self, op_guest_shutdown)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("keep shutdown ", x->order);
	EXPECT_TRUE(is_kept());
	/* Asked for again, since the answer was lost. */
	ASSERT_EQ(0, ask(self, op_guest_shutdown));
	EXPECT_STREQ("keep shutdown ", x->order);
	*x->order = 0;
	ASSERT_EQ(0, ask(self, op_guest_start)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("create watch unpause ", x->order);
	EXPECT_EQ(9, js_u64(self->r.out, "domid", 0));
	EXPECT_FALSE(is_kept());
	ASSERT_EQ(0, ask(self, op_guest_start));
	EXPECT_EQ(9, js_u64(self->r.out, "domid", 0));
	EXPECT_STREQ("create watch unpause ", x->order);
}

/* Nobody waits for the toolstack for ever. */
TEST_F(power, what_is_left_is_destroyed)
{
	x->preserved = true;
	ASSERT_EQ(0, ask(self, op_guest_shutdown));
	EXPECT_STREQ("keep shutdown end ", x->order);
}

TEST_F(power, does_not_shut_down)
{
	x->goes_on = true;
	ASSERT_EQ(-EIO, ask(self, op_guest_shutdown));
	EXPECT_STREQ("domain 5 did not shut down within 1 s, and runs on. It has taken the request: it may still do so",
		     self->r.error);
	EXPECT_STREQ("keep shutdown cancel ", x->order);
	/* It may shut down later, and is to be started then. */
	EXPECT_TRUE(is_kept());
	/* It runs on: then what was kept is of no use any more. */
	ASSERT_EQ(0, ask(self, op_guest_start));
	EXPECT_EQ(DOMID, js_u64(self->r.out, "domid", 0));
	EXPECT_FALSE(is_kept());
}

TEST_F(power, takes_no_request)
{
	x->refuses = true;
	ASSERT_EQ(-EIO, ask(self, op_guest_shutdown));
	EXPECT_STREQ("domain 5 did not take the request to shut down, and runs on", self->r.error);
	EXPECT_STREQ("keep shutdown cancel ", x->order);
	EXPECT_TRUE(x->there);
}

TEST_F(power, no_shutdown_of_one_that_would_restart)
{
	x->would_restart = true;
	EXPECT_EQ(-EIO, ask(self, op_guest_shutdown));
	EXPECT_STREQ("it would not stay down", self->r.error);
	EXPECT_STREQ("", x->order);
}

TEST_F(power, no_shutdown_unless_its_configuration_is_kept)
{
	fclose(fopen(STATE_DIR, "w"));
	EXPECT_EQ(-EIO, ask(self, op_guest_shutdown));
	EXPECT_NE(NULL, strstr(self->r.error, "cannot be kept for its start"));
	EXPECT_STREQ("keep ", x->order);
}

TEST_F(power, no_shutdown_unless_it_can_be_started_again)
{
	x->unreadable = true;
	EXPECT_EQ(-EIO, ask(self, op_guest_shutdown));
	EXPECT_STREQ("no toolstack reads that|domain 5 could not be started again from its configuration as it is "
		     "kept, so it is not shut down",
		     self->r.error);
	EXPECT_STREQ("keep ", x->order);
	EXPECT_TRUE(x->there);
	EXPECT_FALSE(is_kept());
}

/* A start would make that one, and this one would still be down. */
TEST_F(power, what_was_kept_is_of_another)
{
	FILE *f;

	ASSERT_EQ(0, ask(self, op_guest_shutdown));
	f = fopen(DOWN, "w");
	fprintf(f, "{\"uuid\":\"6ba7b811-9dad-11d1-80b4-00c04fd430c8\",\"name\":\"u2\",\"config\":{\"c_info\":{}}}");
	fclose(f);
	*x->order = 0;
	EXPECT_EQ(-ENOENT, ask(self, op_guest_start));
	EXPECT_NE(NULL, strstr(self->r.error, "is of another guest VM"));
	EXPECT_STREQ("", x->order);
	EXPECT_TRUE(is_kept());
}

TEST_F(power, no_shutdown_of_one_that_is_paused)
{
	x->d.paused = true;
	EXPECT_EQ(-EINVAL, ask(self, op_guest_shutdown));
	EXPECT_STREQ("", x->order);
	EXPECT_FALSE(is_kept());
}

/* The domid was given anew. */
TEST_F(power, gone_already)
{
	snprintf(x->d.uuid, sizeof(x->d.uuid), "another");
	EXPECT_EQ(0, ask(self, op_guest_shutdown));
	EXPECT_STREQ("", x->order);
}

TEST_F(power, start_that_fails)
{
	ASSERT_EQ(0, ask(self, op_guest_shutdown));
	x->no_room = true;
	EXPECT_EQ(-EIO, ask(self, op_guest_start));
	EXPECT_STREQ("no room", self->r.error);
	EXPECT_TRUE(is_kept());
	x->no_room = false;
	EXPECT_EQ(0, ask(self, op_guest_start));
	EXPECT_FALSE(is_kept());
}

/* The agent was killed in the middle of a start. */
TEST_F(power, start_after_half_a_start)
{
	struct json_object *config = json_tokener_parse("{\"c_info\":{}}");
	struct error err;

	ASSERT_EQ(0, down_write(U1, "u1", config, true, &err));
	json_object_put(config);
	x->d = (struct domain){ .domid = 8, .paused = true, .uuid = U1 };
	ASSERT_EQ(0, ask(self, op_guest_start)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("end create watch unpause ", x->order);
}

/* One that has run, or that is not of a start, has a memory that nobody else has. */
TEST_F(power, paused_is_not_half_made)
{
	struct json_object *config = json_tokener_parse("{\"c_info\":{}}");
	struct error err;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, down_write(U1, "u1", config, i, &err));
		x->d = (struct domain){ .domid = 8, .paused = true, .uuid = U1, .cpu_ns = i };
		EXPECT_EQ(-EEXIST, ask(self, op_guest_start));
		EXPECT_NE(NULL, strstr(self->r.error, "is here as domain 8, but it is paused"));
	}
	json_object_put(config);
	EXPECT_STREQ("", x->order);
	EXPECT_TRUE(is_kept());
}

TEST_F(power, start_of_one_that_was_not_shut_down)
{
	x->there = false;
	EXPECT_EQ(-ENOENT, ask(self, op_guest_start));
	EXPECT_NE(NULL, strstr(self->r.error, U1));
}

TEST_F(power, what_was_kept_makes_no_sense)
{
	FILE *f;

	ASSERT_EQ(0, ask(self, op_guest_shutdown));
	f = fopen(DOWN, "w");
	fprintf(f, "{\"name\":\"u1\"");
	fclose(f);
	EXPECT_EQ(-ENOENT, ask(self, op_guest_start));
	EXPECT_NE(NULL, strstr(self->r.error, "create the guest VM by hand"));
	EXPECT_TRUE(is_kept());
}

TEST_HARNESS_MAIN
