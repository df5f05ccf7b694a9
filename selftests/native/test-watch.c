// SPDX-License-Identifier: GPL-2.0
/* The process that stays with a domain, over a made-up toolstack: a guest VM that cannot be made anew is not lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "create.h"
#include "destroy.h"
#include "domain.h"
#include "down.h"
#include "js.h"
#include "state_dir.h"
#include "watch.h"
#include "work.h"
#include "kselftest_harness.h"

#define U1	"6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static struct {
	const enum ending *endings;	/* one after the other */
	int fails;			/* so many times no domain can be made */
	bool unreadable, stands;	/* its configuration; it does not run when it is let go */
	char order[200];
} x;

static void note(const char *what)
{
	strcat(x.order, what);
}

static bool is_kept(void)
{
	struct error err;
	struct json_object *down = down_read(U1, &err);
	bool is = down && !strcmp(js_str(down, "name", ""), "u1") && js_bool(down, "starting");

	json_object_put(down);
	return is;
}

enum ending create_wait(uint32_t domid)
{
	(void)domid;
	return *x.endings++;
}

int domains_read(struct domain **list, size_t *nr)
{
	*nr = 1;
	*list = calloc(1, sizeof(**list));
	**list = (struct domain){ .domid = 5, .uuid = U1, .name = strdup("u1") };
	return 0;
}

int domain_keep(uint32_t domid, bool to_stay_down, struct json_object **kept)
{
	note(domid == 5 && !to_stay_down ? "keep " : "wrong ");
	*kept = x.unreadable ? NULL : json_tokener_parse("{\"c_info\":{}}");
	return x.unreadable ? -1 : 0;
}

int destroy(uint32_t domid)
{
	note(domid == 9 ? "undo " : is_kept() ? "end " : "lost ");
	return 0;
}

/* Nobody else may do so at the same time. */
int create_domain(struct json_object *kept, const char *form, uint32_t *domid)
{
	FILE *f = fopen(RUN_DIR "/down-" U1 ".lock", "r");

	note(f && flock(fileno(f), LOCK_EX | LOCK_NB) && kept && !strcmp(form, "u1") ? "create " : "wrong ");
	if (f)
		fclose(f);
	if (x.fails && x.fails--)
		return -1;
	*domid = 9;
	return 0;
}

int domain_unpause(uint32_t domid)
{
	note(domid == 9 ? "unpause " : "wrong ");
	return x.stands ? -1 : 0;
}

FIXTURE(watch) {
	int unused;
};

FIXTURE_SETUP(watch)
{
	memset(&x, 0, sizeof(x));
	ASSERT_EQ(0, system("rm -rf " STATE_DIR " " RUN_DIR));
}

FIXTURE_TEARDOWN(watch)
{
	EXPECT_EQ(0, system("rm -rf " STATE_DIR " " RUN_DIR));
}

TEST_F(watch, reboots_and_ends)
{
	x.endings = (const enum ending[]){ ENDING_RESTART, ENDING_GONE };
	EXPECT_EQ(0, watch(5));
	EXPECT_STREQ("keep end create unpause ", x.order);
	EXPECT_FALSE(is_kept());
}

TEST_F(watch, shuts_down)
{
	x.endings = (const enum ending[]){ ENDING_DESTROY };
	EXPECT_EQ(0, watch(9));
	EXPECT_STREQ("undo ", x.order);
}

TEST_F(watch, is_left)
{
	x.endings = (const enum ending[]){ ENDING_LEFT };
	EXPECT_EQ(0, watch(5));
	EXPECT_STREQ("", x.order);
}

/* Its disks are not free at once. */
TEST_F(watch, is_made_at_the_second_try)
{
	x.endings = (const enum ending[]){ ENDING_RESTART, ENDING_GONE };
	x.fails = 1;
	EXPECT_EQ(0, watch(5));
	EXPECT_STREQ("keep end create create unpause ", x.order);
	EXPECT_FALSE(is_kept());
}

TEST_F(watch, cannot_be_made_anew)
{
	x.endings = (const enum ending[]){ ENDING_RESTART };
	x.fails = 100;
	EXPECT_EQ(-1, watch(5));
	EXPECT_STREQ("keep end create create create create create ", x.order);
	EXPECT_TRUE(is_kept());
}

TEST_F(watch, does_not_run)
{
	x.endings = (const enum ending[]){ ENDING_RESTART };
	x.stands = true;
	EXPECT_EQ(-1, watch(5));
	EXPECT_STREQ("keep end create unpause undo ", x.order);
	EXPECT_TRUE(is_kept());
}

/* Then the old domain is all that is known of it. */
TEST_F(watch, cannot_be_kept)
{
	x.endings = (const enum ending[]){ ENDING_RESTART };
	x.unreadable = true;
	EXPECT_EQ(-1, watch(5));
	EXPECT_STREQ("keep ", x.order);
	x.unreadable = false;
	x.endings = (const enum ending[]){ ENDING_RESTART };
	fclose(fopen(STATE_DIR, "w"));
	EXPECT_EQ(-1, watch(5));
	EXPECT_STREQ("keep keep ", x.order);
}

TEST_HARNESS_MAIN
