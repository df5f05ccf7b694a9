// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "act.h"
#include "clock.h"
#include "drive.h"
#include "drive_journal.h"
#include "drive_move.h"
#include "drive_recover.h"
#include "drive_seen.h"
#include "drive_tell.h"
#include "homes.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "look.h"
#include "migration.h"
#include "requests_list.h"
#include "text.h"
#include "worker.h"

/* Between two looks at what does not depend on us. */
#define LOOK_S		2

static sd_event *loop;
static sd_event_source *timer;
static const struct config *config;
static struct journal *migrations;
static struct error broken;			/* what is wrong with the journal; "": nothing */

static struct maintenance m;
static bool under_way, stopping;
/* What the worker does for it. */
static enum { IDLE, BEGINNING, LOOKING, MOVING, ACTING } doing;
static struct look look;
static struct act act;
/* ACT_LOOK: since when, in which step, and for what. */
static int64_t looking_since_ms;
static struct error looking_for;

bool drive_busy(void)
{
	return under_way;
}

bool drive_waits(void)
{
	return under_way && m.asked.text[0];
}

const char *drive_what(void)
{
	return drive_tell_what(&m);
}

/* What keeps it from going on, though it has not asked an operator yet. */
static void add_held_up(struct json_object *report)
{
	struct error why;

	if (drive_journal_is_behind())
		error_set(&why, "its journal, %s, cannot be written", drive_journal_path());
	else
		why = looking_for;
	if (!why.text[0])
		return;
	js_add_str(report, "held_up_by", why.text);
	if (!drive_journal_is_behind())
		js_add_u64(report, "held_up_ms", clock_ms() - looking_since_ms);
}

struct json_object *drive_report(void)
{
	struct json_object *report = under_way ? drive_tell_report(&m) : NULL;

	if (report)
		add_held_up(report);
	return report;
}

static int look_later(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	(void)arg;
	timer = sd_event_source_unref(timer);
	drive_go();
	return 0;
}

static void go_later(void)
{
	if (!timer && sd_event_add_time_relative(loop, &timer, CLOCK_MONOTONIC, LOOK_S * 1000000ULL, 0, look_later, NULL) < 0)
		abort();	/* the next daemon goes on from the journal */
}

static void looked_at_all(void *arg)
{
	(void)arg;
	requests_list_seen(look.hostvms);
	json_object_put(look.hostvms);
}

static void over(void)
{
	struct json_object *report = drive_tell_report(&m);

	drive_tell_over(&m, report);
	under_way = false;
	drive_journal_shorten();
	drive_tell_result(report);
	maintain_clear(&m);
	drive_seen_forget();
	/* Some may be home that did not come by a migration. */
	look = (struct look){ .config = config };
	worker_errand(homes_look, looked_at_all, &look);
}

static int move(const struct maintain_action *a)
{
	struct migration *mig = drive_move_make(&m, a, config, migrations);

	if (!mig)
		return -1;
	doing = MOVING;
	worker_begin(mig);
	return 0;
}

static void acted(void *arg);

static void carry_out(const struct maintain_action *a, const struct maintain_seen *s)
{
	const struct config_hostvm *h = config_hostvm(config, maintain_home(&m));

	act = (struct act){ .config = config, .m = &m, .action = *a };
	/* An abort takes the old system back. */
	act.system_config = m.plan.config && !m.aborting ? m.plan.config : h ? h->config : NULL;
	/* The step itself begins when the hooks let it. */
	if (a->act != ACT_STEP && maintain_do(&m, a, s, clock_real_ms()) && drive_journal_write(&m)) {
		go_later();
		return;
	}
	if (a->act == ACT_MOVE_AWAY || a->act == ACT_MOVE_HOME) {
		if (move(a)) {
			maintain_end(&m, a, "out of memory, or a host VM is not in the configuration any more");
			go_later();
		}
		return;
	}
	if (a->act == ACT_SHUT_DOWN)
		act.domid = drive_seen_domid(&m, a->guest);
	doing = ACTING;
	worker_errand(act_run, acted, &act);
}

/* Something is waited for that nobody here can hurry. Beyond the limit it is an operator's. */
static void keep_looking(const struct maintain_action *a)
{
	if (strcmp(looking_for.text, a->why.text)) {
		looking_for = a->why;
		looking_since_ms = clock_ms();
	}
	if (clock_ms() - looking_since_ms > limit_ms(LIMIT_SYSTEM)) {
		maintain_ask(&m, a->why.text);
		looking_for.text[0] = 0;
		drive_journal_write(&m);
		drive_tell_asked(&m, a->why.text);
		return;
	}
	go_later();
}

static void decide(void)
{
	struct maintain_seen s = drive_seen(&m);
	struct maintain_action a = maintain_next(&m, &s);

	if (a.act != ACT_LOOK)
		looking_for.text[0] = 0;
	switch (a.act) {
	case ACT_OVER:
		over();
		break;
	case ACT_LOOK:
		keep_looking(&a);
		break;
	case ACT_ASK:
		if (!m.asked.text[0] && maintain_do(&m, &a, &s, clock_real_ms())) {
			drive_journal_write(&m);
			drive_tell_asked(&m, a.why.text);
		}
		break;
	default:
		carry_out(&a, &s);
	}
}

static void looked(void *arg)
{
	(void)arg;
	doing = IDLE;
	requests_list_seen(look.hostvms);
	if (drive_seen_take(&m, look.hostvms))
		go_later();
	else if (!stopping)
		decide();
}

/* Writes down how an action ended. The next look follows at once, or an operator is asked. */
static void write_end(const struct maintain_action *a, const char *error)
{
	struct error before = m.asked;

	maintain_end(&m, a, error);
	drive_journal_write(&m);
	if (m.asked.text[0] && strcmp(m.asked.text, before.text))
		drive_tell_asked(&m, m.asked.text);
}

static void acted(void *arg)
{
	struct maintain_seen s = drive_seen(&m);
	char reason[MAINTAIN_REASON];
	struct error why;

	(void)arg;
	doing = IDLE;
	/* What went well is not to be done again by the next daemon. */
	if (stopping && (act.failed || act.action.act == ACT_STEP))
		return;
	if (act.failed && act.action.act == ACT_STOP_SYSTEM && *act.error.code)
		m.stopping = false;	/* its agent refused: it was not told to stop */
	if (act.action.act != ACT_STEP) {
		write_end(&act.action, act.failed ? act.error.text : NULL);
		return;
	}
	if (act.failed) {
		text_short(reason, sizeof(reason), act.error.text);
		error_set(&why, "%s; vmbeam maintain --resume tries again", reason);
		maintain_ask(&m, why.text);
		drive_journal_write(&m);
		drive_tell_asked(&m, m.asked.text);
		return;
	}
	maintain_do(&m, &act.action, &s, clock_real_ms());
	if (drive_journal_write(&m))
		go_later();
	drive_tell_step(&m);
}

void drive_migrated(struct json_object *report)
{
	bool done = !strcmp(js_str(report, "outcome", ""), "done");

	if (doing != MOVING)
		return;
	doing = IDLE;
	/* A restart of the daemon is no try. */
	if (stopping && !done && m.guests[act.action.guest].tries) {
		m.guests[act.action.guest].tries--;
		drive_journal_write(&m);
	}
	if (!stopping)
		write_end(&act.action, done ? NULL : js_str(report, "error", js_str(report, "outcome", "it ended without a word")));
}

void drive_go(void)
{
	/* Whoever waits for an operator need not look. */
	if (!under_way || stopping || doing != IDLE || timer || worker_busy() || m.asked.text[0])
		return;
	if (drive_journal_is_behind() && drive_journal_write(&m)) {
		go_later();
		return;
	}
	look = (struct look){ .config = config, .only = { m.plan.from, m.plan.to } };
	doing = LOOKING;
	worker_errand(look_run, looked, &look);
}

void drive_stop(void)
{
	stopping = true;
}

static void refuse(const char *why)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", "refused");
	js_add_str(o, "error", why);
	under_way = false;
	maintain_clear(&m);
	drive_tell_result(o);
}

/* The hooks before the first step have run: until then nothing is written down, and nothing touched. */
static void begun(void *arg)
{
	struct error err;

	(void)arg;
	doing = IDLE;
	if (act.failed || stopping) {
		refuse(act.failed ? act.error.text : "vmbeamd is being stopped");
	} else if (drive_journal_write(&m)) {
		drive_journal_take_back();
		error_set(&err, "the journal %s cannot be written (is its disk full?), so nothing was begun", drive_journal_path());
		refuse(err.text);
	} else {
		drive_tell_begins(&m);
		drive_go();
	}
}

int drive_begin(struct plan *plan, struct error *err)
{
	char id[33];

	if (stopping)
		return error_set(err, "vmbeamd is being stopped");
	migration_new_id(id, sizeof(id));
	if (maintain_init(&m, id, plan, clock_real_ms()))
		return error_set(err, "out of memory");
	under_way = true;
	doing = BEGINNING;
	act = (struct act){ .config = config, .m = &m };
	worker_errand(act_before, begun, &act);
	return 0;
}

struct maintenance *drive_under_way(void)
{
	return under_way ? &m : NULL;
}

int drive_go_on(struct error *err)
{
	/* The journal gets it when it begins, if it does. */
	if (doing == BEGINNING)
		return 0;
	if (drive_journal_write(&m)) {
		go_later();
		return error_set(err, "the journal %s cannot be written: this is done as soon as it can be",
				 drive_journal_path());
	}
	drive_tell_goes_on();
	drive_go();
	return 0;
}

void drive_call_off(void)
{
	struct worker_state now;

	worker_state(&now);
	if (doing == MOVING && act.action.act == ACT_MOVE_AWAY && !now.closing)
		patience_cancel(CANCEL_BY_OPERATOR);
}

/* Opens the journal, and takes over what is in it. */
static void open_journal(void)
{
	struct json_object *last = NULL;

	memset(&broken, 0, sizeof(broken));
	if (!drive_journal_open(&last, &broken) && last)
		under_way = drive_recover(&m, last, config, &broken) > 0;
	json_object_put(last);
	if (broken.text[0])
		drive_journal_close();
}

const char *drive_problem(void)
{
	if (broken.text[0] && !stopping) {
		open_journal();
		if (!broken.text[0])
			log_info("the journal %s is in order again", drive_journal_path());
		drive_go();
	}
	return broken.text[0] ? broken.text : NULL;
}

int drive_open(sd_event *event, const struct config *c, struct journal *j, void (*told)(struct json_object *report),
	       struct error *err)
{
	loop = event;
	config = c;
	migrations = j;
	drive_tell_open(told);
	if (drive_journal_name(c->journal, err))
		return -1;
	open_journal();
	if (broken.text[0])
		log_err("%s", broken.text);
	return 0;
}
