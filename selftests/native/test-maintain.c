// SPDX-License-Identifier: GPL-2.0
/*
 * A maintenance in a made-up world, where whoever drives it is killed at every point: the end is always the same, no
 * host VM is stopped under a guest VM, and nothing is "done" before it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "maintain.h"
#include "kselftest_harness.h"

#define GUESTS	4
#define DOWN	3	/* the one that cannot move */

/* How things are, whatever anybody has in memory. */
struct world {
	bool home[GUESTS], refuge[GUESTS];
	int fails[GUESTS];		/* how many of the next tries of each fail */
	enum maintain_system system;
	int boot, agent_late;		/* looks until the agent answers */
	bool refuge_silent;
	int stop_fails, start_fails, run_fails, probe_fails, dies;
	bool new_is_bad;		/* no guest VM can come home to the new configuration's Xen */
	bool new, crashes;		/* it was started from that one; and crashes at the next move home */
	bool never_back;
	unsigned int others;
	/* What happened. */
	int stops, starts, runs, asks;
	char moves[400];
};

struct run {
	struct __test_metadata *_metadata;
	struct world w;
	struct maintenance m;
	int points, kill[2];		/* at which points the driver is killed */
	bool abort_at_ask, adopt_at_ask;
	int abort_at;			/* or at this point; 0: never */
	const char *config;		/* a new one of the host VM; NULL: none */
};

static const char *const uuids[GUESTS] = { "a", "b", "c", "d" };

static void begin(struct run *r, enum plan_what what, unsigned int retries)
{
	struct __test_metadata *_metadata = r->_metadata;
	struct json_object *problems = json_object_new_array(), *blockers = json_object_new_array();
	struct plan_options o = { .what = what, .retries = retries, .unmovable = UNMOVABLE_SHUTDOWN };
	struct plan_candidate c[GUESTS] = {
		{ "u1", "a", 400, -1, NULL, false }, { "u2", "b", 300, -1, NULL, false },
		{ "u3", "c", 200, -1, NULL, false }, { "u4", "d", 100, -1, blockers, false },
	};
	struct plan p;

	if (what == PLAN_RETURN) {
		o.unmovable = UNMOVABLE_REFUSE;
		c[DOWN].down = true;
	} else {
		json_object_array_add(blockers, json_object_new_string("it has a PCI device"));
	}
	o.run = what == PLAN_MAINTAIN ? "true" : NULL;
	o.config = what == PLAN_MAINTAIN ? r->config : NULL;
	ASSERT_EQ(0, plan_make(&p, &o, what == PLAN_RETURN ? "hv2" : "hv1", what == PLAN_RETURN ? "hv1" : "hv2", c,
			       GUESTS, 1000, problems));
	json_object_put(problems);
	json_object_put(blockers);
	memset(&r->w, 0, sizeof(r->w));
	r->w.system = SYSTEM_UP;
	r->w.boot = 1;
	for (int i = 0; i < GUESTS; i++) {
		r->w.home[i] = what != PLAN_RETURN;
		r->w.refuge[i] = what == PLAN_RETURN && i != DOWN;
	}
	ASSERT_EQ(0, maintain_init(&r->m, "m1", &p, 1));
	r->points = 0;
}

/* In the world a guest VM has its number, whatever its place in the plan. */
static int number(const struct run *r, size_t place)
{
	return r->m.plan.guests[place].uuid[0] - 'a';
}

static void look(struct run *r, struct maintain_seen *seen, enum maintain_where *where, char *boot)
{
	struct world *w = &r->w;
	bool agent = w->system == SYSTEM_UP && !w->agent_late;

	if (w->agent_late && !w->never_back)
		w->agent_late--;
	sprintf(boot, "boot-%d", w->boot);
	*seen = (struct maintain_seen){ .guests = where, .system = w->system, .agent = agent,
		.boot = agent ? boot : "", .xen = !agent ? "" : w->boot == 1 ? "4.20.1" : "4.20.2",
		.others = w->others };
	for (size_t i = 0; i < r->m.plan.nr; i++) {
		int n = number(r, i);

		where[i] = maintain_where(w->system == SYSTEM_GONE ? 0 : agent ? w->home[n] : -1,
					  w->refuge_silent ? -1 : w->refuge[n]);
	}
}

static void kill_driver(struct run *r)
{
	struct __test_metadata *_metadata = r->_metadata;
	struct json_object *json, *again;
	struct error err;

	r->points++;
	if (r->abort_at == r->points)
		maintain_abort(&r->m);
	if (r->points != r->kill[0] && r->points != r->kill[1])
		return;
	json = maintain_to_json(&r->m);
	maintain_clear(&r->m);
	again = json_tokener_parse(json_object_to_json_string(json));
	ASSERT_EQ(0, maintain_from_json(&r->m, again, &err))
		TH_LOG("%s", err.text);
	json_object_put(again);
	again = maintain_to_json(&r->m);
	ASSERT_STREQ(json_object_to_json_string(json), json_object_to_json_string(again));
	json_object_put(json);
	json_object_put(again);
}

/* In the world. NULL, or why it failed. */
static const char *carry_out(struct run *r, const struct maintain_action *a)
{
	struct __test_metadata *_metadata = r->_metadata;
	struct world *w = &r->w;
	int n = a->guest < r->m.plan.nr ? number(r, a->guest) : 0;

	switch (a->act) {
	case ACT_MOVE_AWAY:
	case ACT_MOVE_HOME:
		EXPECT_EQ(a->act == ACT_MOVE_AWAY, w->home[n]);
		EXPECT_EQ(a->act == ACT_MOVE_HOME, w->refuge[n]);
		EXPECT_NE(DOWN, n);
		if (w->crashes && a->act == ACT_MOVE_HOME) {
			w->crashes = false;
			w->system = SYSTEM_GONE;
			return "hv1: its agent is gone";
		}
		if (w->new && w->new_is_bad && a->act == ACT_MOVE_HOME)
			return "hv1 runs Xen 4.21, hv2 runs Xen 4.20";
		if (w->fails[n] && w->fails[n]--)
			return "hv2: no memory";
		w->home[n] ^= 1;
		w->refuge[n] ^= 1;
		sprintf(w->moves + strlen(w->moves), "%d%c ", n + 1, a->act == ACT_MOVE_AWAY ? '>' : '<');
		return NULL;
	case ACT_SHUT_DOWN:
	case ACT_START_GUEST:
		EXPECT_EQ(DOWN, n);
		EXPECT_EQ(a->act == ACT_SHUT_DOWN, w->home[n]);
		if (w->fails[n] && w->fails[n]--)
			return "it does not want to";
		w->home[n] ^= 1;
		sprintf(w->moves + strlen(w->moves), "%d%c ", n + 1, a->act == ACT_SHUT_DOWN ? 'v' : '^');
		return NULL;
	case ACT_STOP_SYSTEM:
		for (int i = 0; i < GUESTS; i++)
			EXPECT_FALSE(w->home[i]);
		EXPECT_EQ(0, w->others);
		if (w->stop_fails && w->stop_fails--)
			return "xl shutdown: timed out";
		w->stops += w->system == SYSTEM_UP;
		w->system = SYSTEM_GONE;
		return NULL;
	case ACT_RUN:
		EXPECT_EQ(SYSTEM_GONE, w->system);
		w->runs++;
		return w->run_fails && w->run_fails-- ? "exit status 1" : NULL;
	case ACT_START_SYSTEM:
		EXPECT_EQ(SYSTEM_GONE, w->system);
		if (w->start_fails && w->start_fails--)
			return "no such file";
		w->starts++;
		if (w->dies && w->dies--)
			return NULL;
		w->system = SYSTEM_UP;
		w->new = r->m.plan.config && !r->m.aborting;
		w->boot++;
		w->agent_late = 3;
		return NULL;
	case ACT_PROBE:
		EXPECT_EQ(SYSTEM_UP, w->system);
		return w->probe_fails && w->probe_fails-- ? "xl create failed" : NULL;
	default:
		return NULL;
	}
}

/* Until the end, or until nothing comes any more. An operator does what is said. */
static void drive(struct run *r)
{
	struct __test_metadata *_metadata = r->_metadata;
	enum maintain_where where[GUESTS];
	struct maintain_seen seen;
	int looks = 0;
	char boot[20];

	for (int turn = 0; turn < 300 && !maintain_over(&r->m); turn++) {
		struct maintain_action a;
		const char *error;

		look(r, &seen, where, boot);
		a = maintain_next(&r->m, &seen);
		if (a.act == ACT_LOOK && ++looks > 20) {
			ASSERT_NE(0, a.why.text[0]);
			maintain_ask(&r->m, a.why.text);
			looks = 0;
			kill_driver(r);
			continue;
		}
		if (a.act != ACT_LOOK)
			looks = 0;
		if (a.act == ACT_ASK) {
			ASSERT_NE(NULL, strstr(a.why.text, "vmbeam "));
			maintain_do(&r->m, &a, &seen, 1000 + turn);
			r->w.asks++;
			ASSERT_GT(30, r->w.asks)
				TH_LOG("%s", a.why.text);
			if (r->adopt_at_ask) {
				for (int i = 0; i < GUESTS; i++)
					ASSERT_EQ(0, maintain_adopt(&r->m, uuids[i]));
			}
			if (r->abort_at_ask)
				maintain_abort(&r->m);
			else
				maintain_resume(&r->m);
			continue;
		}
		if (!maintain_do(&r->m, &a, &seen, 1000 + turn))
			continue;
		kill_driver(r);
		error = carry_out(r, &a);
		kill_driver(r);
		maintain_end(&r->m, &a, error);
		kill_driver(r);
	}
	ASSERT_TRUE(maintain_over(&r->m));
}

#define RUN(r, what, retries) struct run r = { ._metadata = _metadata }; begin(&r, what, retries)

static bool all_home(const struct world *w)
{
	for (int i = 0; i < GUESTS; i++)
		if (!w->home[i] || w->refuge[i])
			return false;
	return true;
}

/* One look at a state that is put together by hand. */
static struct maintain_action next_of(struct maintenance *m, enum maintain_where a, enum maintain_where others,
				      enum maintain_system system, const char *boot, unsigned int strangers)
{
	enum maintain_where where[GUESTS] = { a, others, others, others == WHERE_REFUGE ? WHERE_NONE : others };
	struct maintain_seen seen = { .guests = where, .system = system, .agent = *boot, .boot = boot, .xen = "4.20",
				      .others = strangers };

	return maintain_next(m, &seen);
}

TEST(a_maintenance_that_goes_well)
{
	RUN(r, PLAN_MAINTAIN, 1);
	struct json_object *report;

	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	EXPECT_TRUE(all_home(&r.w));
	EXPECT_STREQ("1> 2> 3> 4v 4^ 3< 2< 1< ", r.w.moves);
	EXPECT_EQ(1, r.w.stops);
	EXPECT_EQ(1, r.w.runs);
	EXPECT_EQ(1, r.w.starts);
	EXPECT_EQ(0, r.w.asks);
	report = maintain_report(&r.m, NULL, 9999);
	EXPECT_STREQ("done", js_str(report, "outcome", ""));
	EXPECT_STREQ("4.20.1", js_str(report, "xen_before", ""));
	EXPECT_STREQ("4.20.2", js_str(report, "xen_after", ""));
	EXPECT_LT(0, js_u64(report, "down_ms", 0));
	json_object_put(report);
	maintain_clear(&r.m);
}

TEST(an_evacuation_and_its_return)
{
	RUN(r, PLAN_EVACUATE, 1);

	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	EXPECT_STREQ("1> 2> 3> 4v ", r.w.moves);
	EXPECT_EQ(0, r.w.stops);
	maintain_clear(&r.m);

	begin(&r, PLAN_RETURN, 1);
	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	EXPECT_STREQ("4^ 3< 2< 1< ", r.w.moves);
	EXPECT_TRUE(all_home(&r.w));
	maintain_clear(&r.m);
}

TEST(a_failed_one_is_tried_again_at_the_end)
{
	RUN(r, PLAN_MAINTAIN, 1);

	r.w.fails[0] = 1;
	drive(&r);
	EXPECT_STREQ("2> 3> 1> 4v 4^ 3< 2< 1< ", r.w.moves);
	EXPECT_EQ(0, r.w.asks);
	maintain_clear(&r.m);

	/* Twice is too often: an operator is asked, before anybody is shut down for it. */
	begin(&r, PLAN_MAINTAIN, 1);
	r.w.fails[0] = 2;
	drive(&r);
	EXPECT_STREQ("2> 3> 1> 4v 4^ 3< 2< 1< ", r.w.moves);
	EXPECT_EQ(1, r.w.asks);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	maintain_clear(&r.m);

	begin(&r, PLAN_MAINTAIN, 0);
	r.w.fails[1] = 1;
	drive(&r);
	EXPECT_EQ(1, r.w.asks);
	maintain_clear(&r.m);
}

/* Everything that can fail fails once. */
static void make_it_hard(struct world *w)
{
	w->fails[0] = 1;
	w->fails[DOWN] = 1;
	w->stop_fails = 1;
	w->start_fails = 1;
	w->run_fails = 1;
	w->probe_fails = 1;
	w->dies = 1;
}

/* For the time that they may take. */
FIXTURE(long_ones) {
};

FIXTURE_SETUP(long_ones)
{
}

FIXTURE_TEARDOWN(long_ones)
{
}

static void killed_everywhere(struct __test_metadata *_metadata, enum plan_what what, bool hard, int second)
{
	struct run first = { ._metadata = _metadata };
	int points;

	begin(&first, what, 1);
	if (hard)
		make_it_hard(&first.w);
	drive(&first);
	points = first.points;
	ASSERT_LT(5, points);
	for (int k = 1; k <= points; k++) {
		for (int l = second ? k + 1 : points; l <= points; l += second ?: 1) {
			struct run r = { ._metadata = _metadata, .kill = { k, second ? l : 0 } };

			begin(&r, what, 1);
			if (hard)
				make_it_hard(&r.w);
			drive(&r);
			ASSERT_EQ(first.m.step, r.m.step);
			ASSERT_EQ(0, memcmp(first.w.home, r.w.home, sizeof(r.w.home)))
				TH_LOG("killed at %d and %d: %s", k, l, r.w.moves);
			ASSERT_EQ(0, memcmp(first.w.refuge, r.w.refuge, sizeof(r.w.refuge)));
			ASSERT_EQ(first.w.stops, r.w.stops);
			ASSERT_EQ(first.w.boot, r.w.boot);
			if (!second && !hard)
				ASSERT_STREQ(first.w.moves, r.w.moves);
			maintain_clear(&r.m);
		}
	}
	maintain_clear(&first.m);
}

TEST_F_TIMEOUT(long_ones, killed_at_every_point, 600)
{
	for (enum plan_what what = 0; what < PLAN_WHATS; what++) {
		killed_everywhere(_metadata, what, false, 0);
		killed_everywhere(_metadata, what, true, 0);
	}
}

TEST_F_TIMEOUT(long_ones, killed_at_any_two_points, 600)
{
	killed_everywhere(_metadata, PLAN_MAINTAIN, false, 3);
	killed_everywhere(_metadata, PLAN_MAINTAIN, true, 7);
}

/* Whenever it is aborted, all come home, and the host VM runs. */
TEST_F_TIMEOUT(long_ones, aborted_at_every_point, 600)
{
	struct run first = { ._metadata = _metadata };

	begin(&first, PLAN_MAINTAIN, 1);
	make_it_hard(&first.w);
	drive(&first);
	for (int k = 1; k < first.points; k++) {
		struct run r = { ._metadata = _metadata, .abort_at = k };

		begin(&r, PLAN_MAINTAIN, 1);
		make_it_hard(&r.w);
		drive(&r);
		/* Too late to make a difference. */
		if (r.m.step != MAINTAIN_ABORTED)
			ASSERT_LT(first.points - 3, k);
		ASSERT_TRUE(all_home(&r.w))
			TH_LOG("aborted at %d: %s", k, r.w.moves);
		ASSERT_EQ(SYSTEM_UP, r.w.system);
		maintain_clear(&r.m);
	}
	maintain_clear(&first.m);
}

TEST(an_aborted_return_leaves_them_where_they_are)
{
	RUN(r, PLAN_RETURN, 0);

	r.w.fails[1] = 100;
	r.abort_at_ask = true;
	drive(&r);
	EXPECT_EQ(MAINTAIN_ABORTED, r.m.step);
	EXPECT_STREQ("4^ 3< 1< ", r.w.moves);
	EXPECT_TRUE(r.w.refuge[1]);
	maintain_clear(&r.m);
}

/* The home never comes back: all run on the refuge; an operator is told so, lets them stay, and there is an end. */
TEST(a_home_that_does_not_come_back)
{
	RUN(r, PLAN_MAINTAIN, 1);

	r.w.never_back = true;
	r.abort_at_ask = true;
	r.adopt_at_ask = true;
	drive(&r);
	EXPECT_EQ(MAINTAIN_ABORTED, r.m.step);
	EXPECT_EQ(1, r.w.asks);
	for (int i = 0; i < DOWN; i++)
		EXPECT_TRUE(r.w.refuge[i] && !r.w.home[i]);
	maintain_clear(&r.m);
}

/* The history is to tell why, also when the daemon has died since. */
TEST(an_abort_has_its_reason)
{
	RUN(r, PLAN_MAINTAIN, 0);
	struct json_object *report;

	r.w.fails[0] = 1;
	r.abort_at_ask = true;
	r.kill[0] = 9;
	drive(&r);
	EXPECT_EQ(MAINTAIN_ABORTED, r.m.step);
	EXPECT_LT(9, r.points);
	maintain_abort(&r.m);
	report = maintain_report(&r.m, NULL, 9999);
	EXPECT_EQ(0, strncmp("u1 could not leave hv1: hv2: no memory", js_str(report, "error", ""), 38))
		TH_LOG("%s", js_str(report, "error", ""));
	json_object_put(report);
	maintain_clear(&r.m);

	begin(&r, PLAN_MAINTAIN, 0);
	r.kill[0] = 0;
	r.abort_at = 3;
	drive(&r);
	report = maintain_report(&r.m, NULL, 9999);
	EXPECT_STREQ("an operator has called it off", js_str(report, "error", ""));
	json_object_put(report);
	maintain_clear(&r.m);
}

/* Nobody can come home to the new Xen: an abort takes the old one back, and all home. Killed anywhere, too. */
TEST(a_new_xen_that_is_no_good)
{
	for (int probe = 0; probe < 2; probe++) {
		int points = 1;

		for (int k = 0; k < points; k++) {
			struct run r = {
				._metadata = _metadata, .config = "new.cfg", .kill = { k }, .abort_at_ask = true,
			};

			begin(&r, PLAN_MAINTAIN, 0);
			r.w.new_is_bad = true;
			r.w.probe_fails = probe;
			r.m.plan.no_probe = !probe;
			/* It cannot move, and would run on either Xen. */
			ASSERT_EQ(0, maintain_adopt(&r.m, "d"));
			r.w.home[DOWN] = false;
			drive(&r);
			EXPECT_EQ(MAINTAIN_ABORTED, r.m.step);
			EXPECT_EQ(1, r.w.asks);
			EXPECT_EQ(2, r.w.stops);
			EXPECT_FALSE(r.w.new);
			EXPECT_STREQ("1> 2> 3> 3< 2< 1< ", r.w.moves)
				TH_LOG("killed at %d", k);
			EXPECT_STREQ("4.20.1", r.m.xen_before);
			points = r.points;
			maintain_clear(&r.m);
		}
		EXPECT_LT(20, points);
	}
}

/* It is not stopped again under one that has come home; those that cannot stay where they are. */
TEST(a_new_xen_that_has_a_guest_vm)
{
	struct run r = { ._metadata = _metadata, .config = "/etc/xen/new.cfg" };
	struct maintain_action a;

	begin(&r, PLAN_MAINTAIN, 0);
	r.m.step = MAINTAIN_RETURN;
	r.m.renewed = true;
	r.m.guests[0].tries = 1;
	a = next_of(&r.m, WHERE_REFUGE, WHERE_HOME, SYSTEM_UP, "b2", 0);
	EXPECT_EQ(NULL, strstr(a.why.text, "--abort"));
	EXPECT_EQ(0, maintain_abort(&r.m));
	EXPECT_EQ(ACT_MOVE_HOME, next_of(&r.m, WHERE_REFUGE, WHERE_HOME, SYSTEM_UP, "b2", 0).act);
	EXPECT_EQ(0, maintain_adopt(&r.m, "d"));
	EXPECT_NE(ACT_STEP, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b2", 1).act);
	EXPECT_EQ(ACT_LOOK, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "", 0).act);
	a = next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b2", 0);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_STOP, a.step);
	maintain_clear(&r.m);
}

TEST(a_home_that_crashes_after_its_restart)
{
	RUN(r, PLAN_MAINTAIN, 1);

	r.w.crashes = true;
	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	EXPECT_EQ(0, r.w.asks);
	EXPECT_EQ(2, r.w.starts);
	EXPECT_TRUE(all_home(&r.w));
	maintain_clear(&r.m);

	begin(&r, PLAN_MAINTAIN, 1);
	r.m.step = MAINTAIN_PROBE;
	EXPECT_EQ(MAINTAIN_START, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_GONE, "", 0).step);
	maintain_clear(&r.m);

	/* Whoever wants but a return has not asked for a start. */
	begin(&r, PLAN_RETURN, 1);
	EXPECT_EQ(ACT_MOVE_HOME, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_GONE, "", 0).act);
	maintain_clear(&r.m);
}

static const char *what_is_asked(struct run *r, const char *config)
{
	static struct error why;

	free(r->m.plan.config);
	r->m.plan.config = config ? strdup(config) : NULL;
	r->m.step = MAINTAIN_START;
	r->m.starts = 3;
	why = next_of(&r->m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_GONE, "", 0).why;
	return why.text;
}

TEST(a_sentence_is_about_this_plan)
{
	RUN(r, PLAN_MAINTAIN, 1);
	struct maintain_action start = { .act = ACT_START_SYSTEM };

	EXPECT_STREQ("hv1 ends again whenever it is started; the guest VMs that could be moved run on hv2, "
		     "the others are shut down: see the console of hv1, then type vmbeam maintain --resume",
		     what_is_asked(&r, NULL));
	EXPECT_NE(NULL, strstr(what_is_asked(&r, "new.cfg"),
			       "vmbeam maintain --abort: then it is started from its old configuration"));
	maintain_end(&r.m, &start, "no such file");
	EXPECT_NE(NULL, strstr(r.m.asked.text, "vmbeam maintain --abort starts it from its old one"));
	maintain_abort(&r.m);
	EXPECT_EQ(NULL, strstr(what_is_asked(&r, "new.cfg"), "--abort"));
	maintain_end(&r.m, &start, "no such file");
	EXPECT_EQ(NULL, strstr(r.m.asked.text, "--abort"));
	EXPECT_EQ(0, maintain_adopt(&r.m, "d"));
	EXPECT_NE(NULL, strstr(what_is_asked(&r, NULL), "; all guest VMs run on hv2: "));
	for (int i = 0; i < GUESTS; i++)
		EXPECT_EQ(0, maintain_adopt(&r.m, uuids[i]));
	r.m.aborting = false;
	EXPECT_NE(NULL, strstr(what_is_asked(&r, NULL), "; no guest VM is on it: "));
	r.m.began_ms[MAINTAIN_RETURN] = 1;
	EXPECT_NE(NULL, strstr(what_is_asked(&r, NULL), "; vmbeam list tells where its guest VMs are: "));
	maintain_clear(&r.m);
}

/* An evacuation does not end without a word while somebody else is there; but it ends. */
TEST(an_evacuation_and_one_that_came_meanwhile)
{
	for (int k = 0; k < 12; k++) {
		struct run r = { ._metadata = _metadata, .kill = { k } };

		begin(&r, PLAN_EVACUATE, 1);
		r.w.others = 1;
		drive(&r);
		EXPECT_EQ(MAINTAIN_DONE, r.m.step);
		EXPECT_EQ(1, r.w.asks);
		maintain_clear(&r.m);
	}
}

TEST(an_evacuation_of_some)
{
	RUN(r, PLAN_EVACUATE, 1);

	r.w.others = 1;
	r.m.plan.guests[0].way = PLAN_EXCLUDED;
	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	EXPECT_EQ(0, r.w.asks);
	maintain_clear(&r.m);
}

TEST(no_return)
{
	RUN(r, PLAN_MAINTAIN, 1);

	r.m.plan.no_return = true;
	drive(&r);
	EXPECT_EQ(MAINTAIN_DONE, r.m.step);
	/* What was shut down is at home again, for it cannot go elsewhere. */
	EXPECT_STREQ("1> 2> 3> 4v 4^ ", r.w.moves);
	maintain_clear(&r.m);
}

TEST(the_host_vm_is_not_stopped_under_anybody)
{
	RUN(r, PLAN_MAINTAIN, 0);
	struct maintain_action a;

	r.m.step = MAINTAIN_EVACUATE;
	/* A stranger; a guest VM that is nowhere, perhaps because it reboots; an agent that cannot say. */
	EXPECT_EQ(ACT_ASK, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b1", 1).act);
	EXPECT_EQ(ACT_LOOK, next_of(&r.m, WHERE_NONE, WHERE_REFUGE, SYSTEM_UP, "b1", 0).act);
	EXPECT_EQ(ACT_LOOK, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "", 0).act);
	a = next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_STOP, a.step);

	r.m.step = MAINTAIN_STOP;
	snprintf(r.m.boot_before, sizeof(r.m.boot_before), "b1");
	EXPECT_EQ(ACT_STOP_SYSTEM, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b1", 0).act);
	/* Since then one came back, or a stranger came, or somebody has restarted it: from the start again. */
	a = next_of(&r.m, WHERE_HOME, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_EVACUATE, a.step);
	a = next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b1", 1);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_EVACUATE, a.step);
	a = next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b2", 0);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_EVACUATE, a.step);
	/* Silent: it may be full again, unless it was told to stop and that is why. */
	EXPECT_EQ(ACT_LOOK, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "", 0).act);
	r.m.stopping = true;
	EXPECT_EQ(ACT_STOP_SYSTEM, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "", 0).act);
	EXPECT_EQ(ACT_LOOK, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UNKNOWN, "", 0).act);
	maintain_clear(&r.m);
}

/* A host VM that crashes while it is emptied: those that were on it are told of, and for the others it goes on. */
TEST(a_home_that_crashes)
{
	RUN(r, PLAN_MAINTAIN, 0);
	struct maintain_action a;

	a = next_of(&r.m, WHERE_NONE, WHERE_REFUGE, SYSTEM_GONE, "", 0);
	EXPECT_EQ(ACT_LOOK, a.act);
	EXPECT_NE(NULL, strstr(a.why.text, "u1 is on neither hv1 nor hv2"));
	EXPECT_EQ(0, maintain_adopt(&r.m, "a"));
	a = next_of(&r.m, WHERE_NONE, WHERE_REFUGE, SYSTEM_GONE, "", 0);
	EXPECT_EQ(ACT_STEP, a.act);
	EXPECT_EQ(MAINTAIN_STOP, a.step);
	maintain_clear(&r.m);
}

TEST(not_done_while_one_is_not_back)
{
	static const enum maintain_where wheres[] = {
		WHERE_UNKNOWN, WHERE_REFUGE, WHERE_BOTH, WHERE_NONE,
	};
	RUN(r, PLAN_MAINTAIN, 0);

	r.m.step = MAINTAIN_RETURN;
	r.m.guests[0].tries = 1;
	for (size_t i = 0; i < ARRAY_SIZE(wheres); i++) {
		EXPECT_NE(ACT_STEP, next_of(&r.m, wheres[i], WHERE_HOME, SYSTEM_UP, "b2", 0).act)
			TH_LOG("%d", wheres[i]);
	}
	EXPECT_EQ(ACT_STEP, next_of(&r.m, WHERE_HOME, WHERE_HOME, SYSTEM_UP, "b2", 0).act);
	maintain_clear(&r.m);

	begin(&r, PLAN_EVACUATE, 0);
	r.m.guests[0].tries = 1;
	for (size_t i = 0; i < ARRAY_SIZE(wheres); i++) {
		if (wheres[i] == WHERE_REFUGE)
			continue;
		EXPECT_NE(ACT_STEP, next_of(&r.m, wheres[i], WHERE_REFUGE, SYSTEM_UP, "b1", 0).act)
			TH_LOG("%d", wheres[i]);
	}
	EXPECT_EQ(ACT_ASK, next_of(&r.m, WHERE_HOME, WHERE_REFUGE, SYSTEM_UP, "b1", 0).act);
	EXPECT_EQ(ACT_STEP, next_of(&r.m, WHERE_REFUGE, WHERE_REFUGE, SYSTEM_UP, "b1", 0).act);
	maintain_clear(&r.m);
}

TEST(an_operator_is_told_whom_and_what_to_type)
{
	RUN(r, PLAN_MAINTAIN, 0);
	struct maintain_action a;

	r.m.guests[0].tries = 1;
	r.m.guests[0].error = strdup("hv2: no memory");
	a = next_of(&r.m, WHERE_HOME, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_STREQ("u1 could not leave hv1: hv2: no memory; vmbeam maintain --resume tries again, "
		     "vmbeam maintain --abort brings all home",
		     a.why.text);
	r.m.plan.what = PLAN_EVACUATE;
	a = next_of(&r.m, WHERE_HOME, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_NE(NULL, strstr(a.why.text, "brings all home, vmbeam adopt a leaves it out"));
	r.m.plan.what = PLAN_MAINTAIN;
	a = next_of(&r.m, WHERE_BOTH, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_EQ(ACT_ASK, a.act);
	EXPECT_NE(NULL, strstr(a.why.text, "u1 is on hv1 and on hv2"));
	EXPECT_EQ(-1, maintain_adopt(&r.m, "nobody"));
	maintain_clear(&r.m);
}

/* A name may have spaces, and a long one is cut. */
TEST(what_is_to_be_typed_has_the_uuid)
{
	RUN(r, PLAN_MAINTAIN, 0);
	struct maintain_action a;

	free(r.m.plan.guests[0].name);
	r.m.plan.guests[0].name = strdup("web server");
	a = next_of(&r.m, WHERE_NONE, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_NE(NULL, strstr(a.why.text, "web server is on neither"));
	EXPECT_STREQ("or leave it out with vmbeam adopt a", a.why.text + strlen(a.why.text) - 35);
	maintain_clear(&r.m);
}

/* It is what an operator waits for; of the reason the middle goes. */
TEST(what_is_to_be_typed_is_not_cut_off)
{
	static const enum maintain_act acts[] = { ACT_RUN, ACT_PROBE, ACT_STOP_SYSTEM, ACT_START_SYSTEM };
	char reason[3000];
	RUN(r, PLAN_MAINTAIN, 0);
	struct maintain_action a;

	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		maintain_end(&r.m, &(struct maintain_action){ .act = acts[i] }, reason);
		EXPECT_NE(NULL, strstr(r.m.asked.text, "vmbeam maintain --resume"))
			TH_LOG("%s", r.m.asked.text);
		maintain_resume(&r.m);
	}
	r.m.guests[0].tries = 1;
	r.m.guests[0].error = strdup(reason);
	a = next_of(&r.m, WHERE_HOME, WHERE_REFUGE, SYSTEM_UP, "b1", 0);
	EXPECT_NE(NULL, strstr(a.why.text, "xx; vmbeam maintain --resume tries again, "
			       "vmbeam maintain --abort brings all home"))
		TH_LOG("%s", a.why.text);
	maintain_clear(&r.m);
}

/* With a file's name, for test_docs.py. */
TEST(the_table)
{
	const char *path = getenv("TABLE_FILE");
	FILE *f = fopen(path ?: "/dev/null", "w");

	ASSERT_NE(NULL, f);
	maintain_print_table(f);
	ASSERT_EQ(0, fclose(f));
}

TEST(a_record_that_makes_no_sense)
{
	static const char *const edits[][2] = {
		{ "\"step\":\"evacuate\"", "\"step\":\"dance\"" },
		{ "{\"tries\":0,\"adopted\":false},", "" },
		{ "\"maintenance\":\"m1\"", "\"maintenance\":\"\"" },
		{ "\"plan\":", "\"plane\":" },
	};
	RUN(r, PLAN_EVACUATE, 0);
	struct json_object *json = maintain_to_json(&r.m);
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		const char *at = strstr(text, edits[i][0]);
		struct json_object *bad;
		struct maintenance m;
		struct error err;
		char *edited;

		ASSERT_NE(NULL, at)
			TH_LOG("%s", text);
		ASSERT_LT(0, asprintf(&edited, "%.*s%s%s", (int)(at - text), text, edits[i][1],
				      at + strlen(edits[i][0])));
		bad = json_tokener_parse(edited);
		EXPECT_EQ(-1, maintain_from_json(&m, bad, &err))
			TH_LOG("%s", edited);
		json_object_put(bad);
		free(edited);
	}
	json_object_put(json);
	maintain_clear(&r.m);
}

TEST_HARNESS_MAIN
