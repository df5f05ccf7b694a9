// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "act.h"
#include "clock.h"
#include "drive.h"
#include "drive_seen.h"
#include "events.h"
#include "homes.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "look.h"
#include "migration.h"
#include "monitor.h"
#include "recover.h"
#include "requests_list.h"
#include "worker.h"

/* Between two looks at what does not depend on us. */
#define LOOK_S		2

static sd_event *loop;
static sd_event_source *timer;
static const struct config *config;
static struct journal *migrations;
static struct journal journal;
static char *journal_path;
static struct error broken;			/* what is wrong with it; "": nothing */
static void (*tell)(struct json_object *report);

static struct maintenance m;
static bool under_way, stopping;
static bool unwritten;				/* the journal lacks what m says: nothing is begun until it has it */
/* What the worker does for it. */
static enum { IDLE, LOOKING, MOVING, ACTING } doing;
static struct look look;
static struct act act;
/* ACT_LOOK: since when, in which step, and for what. */
static int64_t looking_since_ms;
static struct error looking_for;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

bool drive_busy(void)
{
	return under_way;
}

const char *drive_what(void)
{
	static char text[64 + CONFIG_MAX_NAME];
	static const char *const nouns[PLAN_WHATS] = { "an evacuation of", "a return to", "a maintenance of" };

	snprintf(text, sizeof(text), "%s %s", nouns[m.plan.what], maintain_home(&m));
	return text;
}

static struct json_object *report_now(void)
{
	struct maintain_seen s = drive_seen(&m);

	return maintain_report(&m, s.guests ? &s : NULL, now_ms());
}

/* What keeps it from going on, though it has not asked an operator yet. */
static void add_held_up(struct json_object *report)
{
	struct error why;

	if (unwritten)
		error_set(&why, "its journal, %s, cannot be written", journal.path);
	else
		why = looking_for;
	if (!why.text[0])
		return;
	js_add_str(report, "held_up_by", why.text);
	if (!unwritten)
		js_add_u64(report, "held_up_ms", clock_ms() - looking_since_ms);
}

struct json_object *drive_report(void)
{
	struct json_object *report = under_way ? report_now() : NULL;

	if (report)
		add_held_up(report);
	return report;
}

static void event(const char *what, const char *key, const char *value)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "event", what);
	js_add_str(o, "maintenance", m.id);
	js_add_str(o, key, value);
	events_send(o);
}

/* 0, or -1: nothing may be done that it does not announce. */
static int write_journal(void)
{
	struct json_object *o = maintain_to_json(&m);
	char boot_id[40];
	int rc;

	migration_boot_id(boot_id, sizeof(boot_id));
	js_add_str(o, "boot_id", boot_id);
	rc = journal_append(&journal, o);
	json_object_put(o);
	if (rc && !unwritten)
		log_err("%s goes on when its journal, %s, can be written: %s", drive_what(), journal.path, strerror(-rc));
	unwritten = rc;
	return rc ? -1 : 0;
}

/* Whoever asked for it is told that it was refused, so no later daemon is to find it. */
static void take_back(void)
{
	int rc = journal_take_back(&journal);

	unwritten = false;
	if (rc)
		log_err("%s cannot be written: %s; move it away before vmbeamd is restarted, or that begins what was refused",
			journal.path, strerror(-rc));
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
	struct json_object *report = report_now();
	int rc;

	monitor_over(json_object_get(report));
	monitor_maintenance(false, false);
	log_info("%s is over: %s", drive_what(), js_str(report, "outcome", "?"));
	under_way = false;
	rc = journal_shorten(&journal);
	if (rc)
		log_warn("%s cannot be shortened: %s", journal.path, strerror(-rc));
	tell(report);
	maintain_clear(&m);
	drive_seen_forget();
	/* Some may be home that did not come by a migration. */
	look = (struct look){ .config = config };
	worker_errand(homes_look, looked_at_all, &look);
}

/* An operator is waited for. */
static void ask(const char *why)
{
	log_warn("%s waits for an operator: %s", drive_what(), why);
	monitor_maintenance(true, true);
	event("waiting", "why", why);
	tell(report_now());
}

static int move(const struct maintain_action *a)
{
	const char *home = maintain_home(&m), *refuge = maintain_refuge(&m);
	const struct config_hostvm *from = config_hostvm(config, a->act == ACT_MOVE_AWAY ? home : refuge);
	const struct config_hostvm *to = config_hostvm(config, a->act == ACT_MOVE_AWAY ? refuge : home);
	struct migration *mig = from && to ? malloc(sizeof(*mig)) : NULL;
	struct maintain_action next;

	if (!mig)
		return -1;
	migration_init(mig, migrations);
	mig->hooks = config->hooks;
	migration_between(mig, from, to);
	/* By the UUID: somebody may have renamed it. */
	if (migration_name(mig, m.plan.guests[a->guest].uuid)) {
		migration_clear(mig);
		free(mig);
		return -1;
	}
	next = drive_seen_next(&m, a);
	if (next.act == a->act)
		snprintf(mig->next, sizeof(mig->next), "%s", m.plan.guests[next.guest].uuid);
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
	if (a->act != ACT_STEP && maintain_do(&m, a, s, now_ms()) && write_journal()) {
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
		write_journal();
		ask(a->why.text);
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
	case ACT_WAIT:
		go_later();
		break;
	case ACT_LOOK:
		keep_looking(&a);
		break;
	case ACT_ASK:
		if (!m.asked.text[0] && maintain_do(&m, &a, &s, now_ms())) {
			write_journal();
			ask(a.why.text);
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
	write_journal();
	if (m.asked.text[0] && strcmp(m.asked.text, before.text))
		ask(m.asked.text);
}

static void acted(void *arg)
{
	struct maintain_seen s = drive_seen(&m);
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
		error_set(&why, "%s; vmbeam maintain --resume tries again", act.error.text);
		maintain_ask(&m, why.text);
		write_journal();
		ask(m.asked.text);
		return;
	}
	maintain_do(&m, &act.action, &s, now_ms());
	if (write_journal())
		go_later();
	log_info("%s: %s", drive_what(), maintain_steps[m.step]);
	event("step", "step", maintain_steps[m.step]);
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
		write_journal();
	}
	if (!stopping)
		write_end(&act.action, done ? NULL : js_str(report, "error", js_str(report, "outcome", "it ended without a word")));
}

void drive_go(void)
{
	/* Whoever waits for an operator need not look. */
	if (!under_way || stopping || doing != IDLE || timer || worker_busy() || m.asked.text[0])
		return;
	if (unwritten && write_journal()) {
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

int drive_begin(struct plan *plan, struct error *err)
{
	struct json_object *o;
	char id[33];

	if (stopping)
		return error_set(err, "vmbeamd is being stopped");
	migration_new_id(id, sizeof(id));
	if (maintain_init(&m, id, plan, now_ms()))
		return error_set(err, "out of memory");
	if (write_journal()) {
		take_back();
		maintain_clear(&m);
		return error_set(err, "the journal %s cannot be written (is its disk full?), so nothing was begun", journal.path);
	}
	under_way = true;
	monitor_maintenance(true, false);
	log_info("%s begins: %zu of %zu guest VMs are to be moved", drive_what(), m.plan.moving, m.plan.nr);
	o = json_object_new_object();
	js_add_str(o, "event", "plan");
	js_add_str(o, "maintenance", m.id);
	json_object_object_add(o, "plan", plan_to_json(&m.plan));
	events_send(o);
	event("step", "step", maintain_steps[m.step]);
	drive_go();
	return 0;
}

static int none(struct error *err)
{
	return error_set(err, "no evacuation, return or maintenance is under way");
}

/* An operator has said something. */
static int go_on(struct error *err)
{
	if (write_journal()) {
		go_later();
		return error_set(err, "the journal %s cannot be written: this is done as soon as it can be", journal.path);
	}
	monitor_maintenance(true, false);
	drive_go();
	return 0;
}

int drive_resume(struct error *err)
{
	if (!under_way)
		return none(err);
	/* Else it is only watched. */
	if (!m.asked.text[0])
		return 0;
	maintain_resume(&m);
	return go_on(err);
}

int drive_abort(const char *id, struct error *err)
{
	struct worker_state now;

	if (!under_way)
		return none(err);
	if (*id && strcmp(id, m.id))
		return error_set(err, "%s is under way, with the id %s and not %.64s", drive_what(), m.id, id);
	maintain_abort(&m);
	worker_state(&now);
	if (doing == MOVING && act.action.act == ACT_MOVE_AWAY && !now.closing)
		patience_cancel(CANCEL_BY_OPERATOR);
	return go_on(err);
}

int drive_adopt(const char *uuid, struct error *err)
{
	if (!under_way)
		return none(err);
	if (maintain_adopt(&m, uuid))
		return error_set(err, "%s has no such guest VM", drive_what());
	return go_on(err);
}

/* What an earlier daemon left. */
static int take_over(struct json_object *last, struct error *err)
{
	const char *was = js_str(last, "boot_id", "");
	struct error why;
	char boot_id[40];

	if (maintain_from_json(&m, last, &why))
		return error_set(err, "%s: no evacuation, return or maintenance can begin until you have seen where the guest VMs are (vmbeam list) and moved the file away (mv %s %s.damaged)",
				 why.text, journal_path, journal_path);
	migration_boot_id(boot_id, sizeof(boot_id));
	if (maintain_over(&m) && !monitor_has(m.id))
		monitor_over(maintain_report(&m, NULL, m.began_ms[m.step]));
	if (maintain_over(&m) || strcmp(was, boot_id)) {
		if (!maintain_over(&m))
			log_warn("%s was cut off by a restart of the host: guest VMs that were away from %s are started by nobody; start each there (xl create): what starts it there by itself is put back when vmbeam status sees it there",
				 drive_what(), maintain_home(&m));
		maintain_clear(&m);
		return 0;
	}
	if (!config_hostvm(config, m.plan.from) || !config_hostvm(config, m.plan.to)) {
		error_set(err, "%s is not over, and the configuration of vmbeamd no longer has both %s and %s: put them back until it is, and restart vmbeamd; or give it up: move %s away",
			  drive_what(), m.plan.from, m.plan.to, journal_path);
		maintain_clear(&m);
		return -1;
	}
	under_way = true;
	monitor_maintenance(true, m.asked.text[0]);
	log_info("%s goes on where it was: %s", drive_what(), maintain_steps[m.step]);
	if (m.asked.text[0])
		log_warn("%s waits for an operator: %s", drive_what(), m.asked.text);
	return 0;
}

/* Opens the journal, and takes over what is in it. */
static void open_journal(void)
{
	struct json_object *last = NULL;
	int rc = journal_open(&journal, journal_path, recover_remember, &last);

	memset(&broken, 0, sizeof(broken));
	if (rc == -EBADMSG)
		error_set(&broken, "the journal of maintenances is damaged in the middle, so no evacuation, return or maintenance can begin: see where the guest VMs are (vmbeam list), bring them where they belong (vmbeam migrate), and move the file away (mv %s %s.damaged)",
			  journal_path, journal_path);
	else if (rc)
		error_set(&broken, "the journal of maintenances, %s, cannot be read, so no evacuation, return or maintenance can begin: %s",
			  journal_path, strerror(-rc));
	else if (last)
		take_over(last, &broken);
	json_object_put(last);
	if (broken.text[0])
		journal_close(&journal);
}

const char *drive_problem(void)
{
	if (broken.text[0] && !stopping) {
		open_journal();
		if (!broken.text[0])
			log_info("the journal %s is in order again", journal_path);
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
	tell = told;
	if (asprintf(&journal_path, "%s.maintenance", c->journal) < 0)
		return error_set(err, "out of memory");
	open_journal();
	if (broken.text[0])
		log_err("%s", broken.text);
	return 0;
}
