// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a migration, forward or back. The same code for a migration that failed a moment ago and for one that a
 * dead daemon left behind: it looks at what is there, and never trusts that an earlier try got anywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"
#include "clock.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "migration.h"

#define REBIND_TRIES	3

struct json_object *finish_domain(struct agent *a, const struct migration *m, uint32_t domid)
{
	struct json_object *list = js_array(a->hello, "domains");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *d = json_object_array_get_idx(list, i);
		uint32_t is = js_u64(d, "domid", 0);

		/* One that is dying is gone, for all but the export that pins its frames. */
		if (is && (!domid || is == domid) && !js_bool(d, "dying") && !strcasecmp(js_str(d, "uuid", ""), m->uuid))
			return d;
	}
	return NULL;
}

/* @armed_too: else what is armed is left alone. */
static int release_exports(struct migration *m, struct agent *a, uint32_t domid, bool armed_too)
{
	struct json_object *list;

	if (agent_hello(a, &m->finishing))
		return -1;
	list = json_object_get(js_array(a->hello, "exports"));
	for (size_t i = 0; domid && i < js_len(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i), *args;

		if (js_u64(e, "domid", 0) != domid || (js_bool(e, "armed") && !armed_too))
			continue;
		args = json_object_new_object();
		js_add_u64(args, "export", js_u64(e, "id", 0));
		if (agent_call(a, "export-release", args, limit_s(LIMIT_LONG), NULL, &m->finishing) &&
		    strcmp(m->finishing.code, "ENOENT")) {
			json_object_put(list);
			return -1;
		}
	}
	json_object_put(list);
	return 0;
}

/* Asks for something that may have nothing to do. -1 only when the agent is lost. */
static int ask(struct migration *m, struct agent *a, const char *op, struct json_object *args, int limit_s)
{
	if (!agent_call(a, op, args, limit_s, NULL, &m->finishing))
		return 0;
	log_warn("%s", m->finishing.text);
	return a->up ? 0 : -1;
}

static int still_there(struct migration *m, struct agent *a, uint32_t domid)
{
	struct json_object *d;

	if (agent_hello(a, &m->finishing))
		return -1;
	d = finish_domain(a, m, domid);
	if (d)
		return error_set(&m->finishing, "%s: domain %" PRIu64 " of %s is still there after its destruction", a->name,
				 js_u64(d, "domid", 0), m->guest);
	return 0;
}

/* The armed export of a domain that is gone: it alone keeps the frames. 0: there is none. From the last hello. */
static uint64_t armed_export(struct agent *a, uint32_t domid)
{
	struct json_object *list = js_array(a->hello, "exports");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);

		if (js_u64(e, "domid", 0) == domid && js_bool(e, "armed"))
			return js_u64(e, "id", 0);
	}
	return 0;
}

/*
 * Nobody can run the guest VM any more. An armed export of it is left alone: what it pins is the only copy of the
 * guest VM's memory, and whether somebody wants to look into that is not for the daemon to say.
 */
static void lose(struct migration *m, struct agent *a, uint32_t domid, const char *when)
{
	uint64_t id = armed_export(a, domid);
	char kept[256] = "no armed export there holds its memory";

	if (id)
		snprintf(kept, sizeof(kept), "export %" PRIu64 " there holds its memory, which cannot be made to run: \"vmbeam export release %" PRIu64 "\" in the management VM of %s gives it back",
			 id, id, a->name);
	error_set(&m->lost, "%s: domain %u of %s was destroyed by somebody %s: the guest VM is lost; %s", a->name, domid,
		  m->guest, when, kept);
}

/*
 * Did it reboot instead of suspending? Then it has another domain, none of its frames was swapped, and no frame of the old
 * one was armed for a swap. From the last hello.
 */
static bool rebooted(struct migration *m)
{
	struct json_object *d = m->went && !m->txn_id ? finish_domain(&m->a, m, 0) : NULL;

	return d && !js_bool(d, "suspended") && !js_bool(d, "paused") && !armed_export(&m->a, m->dom_a);
}

/* The guest VM runs where it belongs. A later daemon, or try, must not take it for lost when it has ended since. */
static void resumed(struct migration *m)
{
	m->resumed = true;
	migration_record(m, m->state);
}

/*
 * The guest VM's backends, as they were. A guest with a dead disk is better than none: it can still be logged in to, and
 * shut down. So after a few tries, or a time, it runs without. Whether the agent answered does not matter: a hotplug script
 * that hangs, or whatever keeps it, would keep the guest VM for ever. -1: to be tried again.
 */
static int rebind(struct migration *m)
{
	int64_t left;

	if (!m->rebind_until_ms)
		m->rebind_until_ms = clock_ms() + limit_ms(LIMIT_REBIND);
	left = m->rebind_until_ms - clock_ms();
	if (left > 0 && m->rebind_tries < REBIND_TRIES) {
		m->rebind_tries++;
		if (!agent_call(&m->a, "rebind", migration_domain(m, m->dom_a), (left + 999) / 1000, NULL, &m->finishing))
			return 0;
		log_err("%s", m->finishing.text);
		if (m->rebind_tries < REBIND_TRIES && clock_ms() < m->rebind_until_ms)
			return -1;
	}
	log_err("%s: the backends of %s cannot be put back: it runs on without those that fail", m->from, m->guest);
	/* The line may have been given up. */
	return agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing);
}

/* Lets the guest VM run on as if nothing had been. */
static int resume_a(struct migration *m)
{
	/* A guest that was told to suspend when its save was killed may do so a little later. */
	int64_t limit = clock_ms() + limit_ms(LIMIT_LATE_SUSPEND);
	struct json_object *d;

	if (ask(m, &m->a, "save-abort", migration_domain(m, m->dom_a), limit_s(LIMIT_SHORT)))
		return -1;
	for (;;) {
		if (agent_hello(&m->a, &m->finishing))
			return -1;
		/* While it runs it may reboot by itself, which gives it another domain. A suspended one cannot. */
		d = finish_domain(&m->a, m, m->went ? m->dom_a : 0);
		if (!d && rebooted(m)) {
			log_warn("%s rebooted on %s instead of suspending: it runs there as domain %" PRIu64, m->guest, m->from,
				 js_u64(finish_domain(&m->a, m, 0), "domid", 0));
			resumed(m);
			return 0;
		}
		/* One that has just ended may be on its way to another domain. What its export pins is not. */
		if ((d ? js_bool(d, "suspended") || !m->went : !!armed_export(&m->a, m->dom_a)) || clock_ms() > limit)
			break;
		usleep(300000);
	}
	if (!d) {
		lose(m, &m->a, m->dom_a, "before the migration was rolled back");
		return 0;
	}
	if (m->went) {
		if (rebind(m))
			return -1;
		/* Also when it runs: an agent that died in between may not have woken it for the events it missed. */
		if ((js_bool(d, "suspended") || !js_bool(d, "shutdown")) &&
		    agent_call(&m->a, "resume", migration_domain(m, m->dom_a), limit_s(LIMIT_LONG), NULL, &m->finishing))
			return -1;
	}
	resumed(m);
	return 0;
}

/* The source, as it was before. It comes before anything on the destination: the guest is waiting. */
static int back_a(struct migration *m)
{
	if (agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing) || (!m->resumed && resume_a(m)))
		return -1;
	return release_exports(m, &m->a, m->dom_a, m->resumed) ? -1 : guard_put_back(m, &m->a);
}

/* The destination, as it was before. */
static int back_b(struct migration *m)
{
	struct json_object *d;
	uint32_t domid;

	if (agent_connect(&m->b, limit_s(LIMIT_CONNECT), &m->finishing) || ask(m, &m->b, "restore-abort", NULL, limit_s(LIMIT_LONG)) ||
	    agent_hello(&m->b, &m->finishing))
		return -1;
	d = finish_domain(&m->b, m, 0);
	domid = d ? js_u64(d, "domid", 0) : m->dom_b;
	/* Whatever the journal knows: what this migration made there is paused, and a running guest is not destroyed. */
	if (d && !js_bool(d, "paused"))
		return error_set(&m->finishing, "%s: domain %u of %s runs, though it was never let go: look at it, and destroy it by hand",
				 m->to, domid, m->guest);
	if (d && ask(m, &m->b, "destroy", migration_domain(m, domid), limit_s(LIMIT_LONG)))
		return -1;
	if (release_exports(m, &m->b, domid, true) ||
	    (m->dom_b && domid != m->dom_b && release_exports(m, &m->b, m->dom_b, true)))
		return -1;
	return still_there(m, &m->b, 0);
}

/* Lets the guest VM run. */
static int let_go(struct migration *m)
{
	/* What it said just before the commit will do the first time: the guest is waiting, and unpause looks, too. */
	struct json_object *d = m->unpause_tried ? NULL : finish_domain(&m->b, m, m->dom_b);

	m->unpause_tried = true;
	ahead_begin(m);
	if (!d) {
		if (agent_hello(&m->b, &m->finishing))
			return -1;
		d = finish_domain(&m->b, m, m->dom_b);
	}
	if (!d) {
		lose(m, &m->b, m->dom_b, "after the commit, before it was known to run there");
		return 0;
	}
	if (js_bool(d, "paused") &&
	    agent_call(&m->b, "unpause", migration_domain(m, m->dom_b), limit_s(LIMIT_SHORT), NULL, &m->finishing))
		return -1;
	if (!m->unpaused_ns)
		m->unpaused_ns = clock_ns();
	/* It runs. */
	resumed(m);
	ahead_hear(m);
	/* A's end takes longest: begun here, waited for in forward_a(), which sees to it if this fails. */
	if (m->a.up && !m->a.asked && finish_domain(&m->a, m, m->dom_a))
		agent_begin(&m->a, "destroy", migration_domain(m, m->dom_a), &m->finishing);
	return 0;
}

static int forward_b(struct migration *m)
{
	if (agent_connect(&m->b, limit_s(LIMIT_CONNECT), &m->finishing))
		return -1;
	if (!m->resumed && let_go(m))
		return -1;
	return release_exports(m, &m->b, m->dom_b, m->resumed) ? -1 : guard_put_back(m, &m->b);
}

/* After the commit what is left of the guest VM there ends with the host VM, also with one that crashed. */
static bool went_with_its_hostvm(const struct migration *m)
{
	if (!m->host_a || !hostvm_is_dead(m->host_a))
		return false;
	log_warn("%s has ended, and what was left of %s there with it", m->from, m->guest);
	return true;
}

static int forward_a(struct migration *m)
{
	if (went_with_its_hostvm(m))
		return 0;
	ahead_ask_destination(m);
	if (m->a.asked && agent_end(&m->a, limit_s(LIMIT_LONG), NULL, &m->finishing))
		log_warn("%s", m->finishing.text);
	if (agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing) || agent_hello(&m->a, &m->finishing))
		return -1;
	/* Its frames are B's, also if it was lost there: what A has in their place is scrap, and must never run. */
	if (finish_domain(&m->a, m, m->dom_a) && ask(m, &m->a, "destroy", migration_domain(m, m->dom_a), limit_s(LIMIT_LONG)))
		return -1;
	if (release_exports(m, &m->a, m->dom_a, true))
		return -1;
	return still_there(m, &m->a, m->dom_a) ? -1 : guard_forget_refuge(m);
}

/* What the module says of the transaction. @out: with numbers, if it is stuck. */
static enum txn_word ask_module(struct migration *m, struct vmbeam_txn_outcome *out)
{
	int rc;

	if (!m->txn_id)
		return TXN_NONE;
	if (m->dev < 0)
		m->dev = vmbeam_open();
	if (m->dev < 0) {
		error_set(&m->finishing, "%s: %s: what became of transaction %" PRIu64 " is not known until vmbeam_host.ko is loaded",
			  VMBEAM_DEVICE, strerror(-m->dev), m->txn_id);
		m->dev = -1;
		return TXN_SILENT;
	}
	rc = vmbeam_txn_outcome(m->dev, m->txn_id, out);
	/* What stood in the way may have passed. */
	if (!rc && out->state == VMBEAM_TXN_STUCK && !vmbeam_txn_retry(m->dev, m->txn_id))
		rc = vmbeam_txn_outcome(m->dev, m->txn_id, out);
	if (rc && rc != -ENOENT) {
		error_set(&m->finishing, "the outcome of transaction %" PRIu64 ": %s", m->txn_id, strerror(-rc));
		return TXN_SILENT;
	}
	/* A module that was loaded since does not know it. Its own ids begin elsewhere. */
	if (rc || out->domid_a != m->host_a || out->domid_b != m->host_b)
		return TXN_UNKNOWN;
	switch (out->state) {
	case VMBEAM_TXN_COMMITTED:
		return TXN_COMMITTED;
	case VMBEAM_TXN_ROLLED_BACK:
		return TXN_ROLLED_BACK;
	case VMBEAM_TXN_OPEN:
		error_set(&m->finishing, "transaction %" PRIu64 " is still open in another process", m->txn_id);
		return TXN_OPEN;
	default:
		return TXN_STUCK;
	}
}

/* What an operator is told who has to choose. */
static void say_stuck(struct migration *m, enum txn_word word, uint64_t nr_stuck)
{
	if (word == TXN_STUCK)
		error_set(&m->finishing, "%" PRIu64 " pairs of transaction %" PRIu64 " could not be put back: both exports of %s stay armed and nothing is touched",
			  nr_stuck, m->txn_id, m->guest);
	else if (m->state == STATE_STUCK)
		error_set(&m->finishing, "pairs of transaction %" PRIu64 " could not be put back, and vmbeam_host.ko was reloaded since: %s must not run on %s or %s",
			  m->txn_id, m->guest, m->from, m->to);
	else
		error_set(&m->finishing, "vmbeam_host.ko was reloaded and does not know transaction %" PRIu64 ", which may have been committed: look at %s on %s and %s, let one of them go and destroy the other",
			  m->txn_id, m->guest, m->from, m->to);
}

/* Which side the guest belongs to. */
static enum way decide(struct migration *m)
{
	struct vmbeam_txn_outcome out = { 0 };
	enum txn_word word;
	enum way way;
	int rc;

	if (m->txn >= 0) {
		rc = vmbeam_txn_rollback(m->txn);
		if (rc)
			log_warn("the transaction's rollback: %s", strerror(-rc));
		close(m->txn);	/* tries once more what could not be put back */
		m->txn = -1;
	}
	/* Of a commit that is in the journal the module is not needed any more. */
	word = m->state == STATE_COMMITTED ? TXN_COMMITTED : ask_module(m, &out);
	way = state_way(m->state, word);
	if (way == WAY_STUCK)
		say_stuck(m, word, out.nr_stuck);
	/* Or a later daemon, with the module reloaded, would take it for rolled back and resume the guest. */
	if (word == TXN_STUCK && way == WAY_STUCK && m->state != STATE_STUCK)
		migration_record(m, STATE_STUCK);
	/* If this is not written, the module's word stands for it. */
	if (word == TXN_COMMITTED && way == WAY_FORWARD && m->state != STATE_COMMITTED)
		migration_record(m, STATE_COMMITTED);
	return way;
}

static int put_into_effect(struct migration *m, enum way way)
{
	int a = 0, b = 0;

	if (way == WAY_FORWARD) {
		if (!m->b_done && forward_b(m))
			return -1;
		m->b_done = true;
		if (!m->a_done && forward_a(m))
			return -1;
		m->a_done = true;
		return 0;
	}
	/* One side that is not there must not keep the other waiting. */
	if (!m->a_done) {
		a = back_a(m);
		m->a_done = !a;
	}
	if (!m->b_done) {
		b = back_b(m);
		m->b_done = !b;
	}
	return a || b ? -1 : 0;
}

/* All is done. Until that is in the journal it is not over: the next daemon would do it again, and to what is there then. */
static int close_it(struct migration *m, enum state state)
{
	if (migration_record(m, state))
		return error_set(&m->finishing, "all is done, but the journal %s cannot be written: is its disk full?",
				 m->journal->path);
	m->ended_ns = clock_ns();
	if (state == STATE_LOST) {
		m->fate = FATE_LOST;
		log_err("lost: %s", m->lost.text);
	} else {
		m->fate = state == STATE_DONE ? FATE_DONE : FATE_ROLLED_BACK;
		log_info("%s: %s", m->guest, state == STATE_DONE ? "done" : "rolled back");
	}
	return 0;
}

int finish(struct migration *m)
{
	enum way way = decide(m);

	if (way == WAY_WAIT)
		return -1;
	if (way == WAY_STUCK) {
		if (!m->error.text[0])
			m->error = m->finishing;
		/* No record here: the state by which this was decided must be there when the next daemon asks again. */
		if (m->fate != FATE_STUCK)
			log_err("stuck: %s", m->finishing.text);
		m->fate = FATE_STUCK;
		return 0;
	}
	if (way == WAY_BACK && m->state != STATE_ROLLING_BACK)
		migration_record(m, STATE_ROLLING_BACK);
	m->fate = FATE_OPEN;
	if (put_into_effect(m, way)) {
		log_warn("not finished: %s", m->finishing.text);
		return -1;
	}
	return close_it(m, m->lost.text[0] ? STATE_LOST : way == WAY_FORWARD ? STATE_DONE : STATE_ROLLED_BACK);
}
