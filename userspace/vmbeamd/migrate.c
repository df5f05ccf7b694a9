// SPDX-License-Identifier: GPL-2.0
/* The order of a migration: docs/architecture.md says why it is this one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "devices.h"
#include "hold.h"
#include "hostvm.h"
#include "journald.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "migration.h"
#include "pairs.h"
#include "worker.h"

/* How often the source is asked whether a guest VM that does not suspend is still there. */
#define LOOK_MS		2000

static int take_domid(struct migration *m, struct message *reply)
{
	uint32_t domid = js_u64(reply->json, "domid", 0);

	message_clear(reply);
	if (!domid || (m->dom_b && domid != m->dom_b))
		return error_set(&m->error, "%s: the agent gives no domid, or another one, for the restored %s", m->to,
				 m->guest);
	/* On the disk before an export is made: exports are found by it. */
	if (m->dom_b == domid)
		return 0;
	m->dom_b = domid;
	return migration_record(m, m->state);
}

/*
 * The destination's frames, pinned while the guest still runs: they are there, though empty, and the rest of the
 * restore gives none back. Were it to make more, the sync after it finds them.
 */
static int prepare_b(struct migration *m)
{
	struct message reply;

	if (agent_end(&m->b, limit_s(LIMIT_LONG), &reply, &m->error) || take_domid(m, &reply))
		return -1;
	return export_begin(m, &m->b, m->dom_b, "m2p", &m->export_b) ||
	       export_read(m, &m->b, m->export_b, &m->frames_b) ? -1 : 0;
}

static int step_prepare(struct migration *m)
{
	struct json_object *args = json_object_new_object();

	js_add_str(args, "name", m->name);
	js_add_str(args, "uuid", m->uuid);
	if (agent_call(&m->b, "restore-begin", args, limit_s(LIMIT_SHORT), NULL, &m->error) ||
	    agent_call(&m->a, "save-begin", migration_domain(m, m->dom_a), limit_s(LIMIT_SHORT), NULL, &m->error) ||
	    stream_pump(m, "prepared"))
		return -1;
	m->announced = m->stream.populated.nr;
	args = json_object_new_object();
	js_add_u64(args, "frames", m->announced);
	/* B populates while A pins. */
	if (agent_begin(&m->b, "restore-populated", args, &m->error) ||
	    export_begin(m, &m->a, m->dom_a, "p2m", &m->export_a) ||
	    export_read(m, &m->a, m->export_a, &m->frames_a))
		return -1;
	return prepare_b(m);
}

/* A guest VM that reboots or crashes instead will never suspend. */
static int still_expected(struct migration *m)
{
	struct json_object *d;

	if (agent_hello(&m->a, &m->error))
		return -1;
	d = finish_domain(&m->a, m, m->dom_a);
	if (!d)
		return error_set(&m->error, "%s: domain %u of %s has ended instead of suspending: the guest VM rebooted, shut down or crashed",
				 m->from, m->dom_a, m->guest);
	if (js_bool(d, "shutdown") && !js_bool(d, "suspended"))
		return error_set(&m->error, "%s: %s (domain %u) has shut down or crashed instead of suspending", m->from, m->guest,
				 m->dom_a);
	return 0;
}

/* What it waits for most of the time (rings, the kernel's grace periods) goes on while its agent does other things. */
static struct json_object *quiesce_args(const struct migration *m, const char *how)
{
	struct json_object *args = migration_domain(m, m->dom_a);

	js_add_bool(args, how, true);
	return args;
}

/*
 * Early: none of what follows before the swap depends on the backends. They go when it is seen that no device was changed,
 * which could not be seen afterwards.
 */
static int devices_off_begin(struct migration *m)
{
	return devices_still(m) ||
	       agent_call(&m->a, "quiesce", quiesce_args(m, "begin"), limit_s(LIMIT_QUIESCE), NULL, &m->error) ? -1 : 0;
}

static int step_suspend(struct migration *m)
{
	int64_t limit = clock_ms() + limit_ms(LIMIT_SUSPEND), look = clock_ms() + LOOK_MS;

	patience_pause(&m->patience);
	if (agent_call(&m->a, "save-go", NULL, limit_s(LIMIT_SHORT), NULL, &m->error))
		return -1;
	while (!m->suspended_ns) {
		struct message reply;

		if (agent_call(&m->a, "save-status", NULL, limit_s(LIMIT_SHORT), &reply, &m->error))
			return -1;
		if (js_bool(reply.json, "suspended")) {
			m->suspended_ns = clock_ns();
			log_debug("suspended");
		}
		message_clear(&reply);
		if (m->suspended_ns)
			break;
		if (clock_ms() > look) {
			if (still_expected(m))
				return -1;
			look = clock_ms() + LOOK_MS;
		}
		if (clock_ms() > limit)
			return error_set(&m->error, "%s: %s did not suspend within %d s", m->from, m->guest, limit_s(LIMIT_SUSPEND));
		usleep(10000);
	}
	/* When its first piece is there the helper has looked at all frames: had it called the save off, no device would have gone. */
	if (stream_pump(m, "stream") || devices_off_begin(m) || stream_pump(m, "end"))
		return -1;
	if (!savestream_ended(&m->stream))
		return error_set(&m->error, "%s: the save of %s ended in the middle of its stream", m->from, m->guest);
	m->populated = m->stream.populated.nr;
	m->kept = m->stream.kept.nr;
	return 0;
}

/* Both sides work at a time: nothing that A does here depends on what B makes of the rest. */
static int step_state(struct migration *m)
{
	struct message reply;

	if (agent_begin(&m->b, "restore-end", NULL, &m->error) ||
	    export_sync(m, &m->a, m->dom_a, "p2m", m->export_a, &m->frames_a) ||
	    agent_begin(&m->a, "quiesce", quiesce_args(m, "again"), &m->error) ||
	    agent_end(&m->b, limit_s(LIMIT_LONG), &reply, &m->error) || take_domid(m, &reply))
		return -1;
	if (m->stream.populated.nr == m->announced)
		return 0;
	return export_sync(m, &m->b, m->dom_b, "m2p", m->export_b, &m->frames_b);
}

static int step_quiesce(struct migration *m)
{
	/* Begun in the step "suspend", as a rollback knows. */
	if (!agent_end(&m->a, limit_s(LIMIT_QUIESCE), NULL, &m->error))
		return 0;
	/* One is bound again. If it was attached meanwhile the list of devices tells which: a better error than this. */
	if (!strcmp(m->error.code, "EBUSY"))
		devices_still(m);
	return -1;
}

static int arm(struct migration *m, struct agent *a, uint64_t id)
{
	struct json_object *args = json_object_new_object();

	js_add_u64(args, "export", id);
	/*
	 * The source's system must not start the guest VM from now on: before the first frame, and so before the commit. A
	 * refuge would not start it by itself, and what it wrote down would make it a home.
	 */
	if (a == &m->a && !m->comes_home) {
		js_add_str(args, "uuid", m->uuid);
		js_add_str(args, "name", m->name);
	}
	return agent_call(a, "export-arm", args, limit_s(LIMIT_SHORT), NULL, &m->error);
}

static int step_swap(struct migration *m)
{
	if (find_pairs(m) || arm(m, &m->a, m->export_a) || arm(m, &m->b, m->export_b))
		return -1;
	m->txn = vmbeam_txn_begin(m->dev, m->host_a, m->host_b, &m->txn_id);
	if (m->txn < 0)
		return error_set(&m->error, "no transaction between %s (domain %u) and %s (domain %u): %s", m->from,
				 m->host_a, m->to, m->host_b, strerror(-m->txn));
	/* The id is on the disk before the first pair moves. */
	return migration_record(m, STATE_SWAP) ? -1 : swap_all(m);
}

/*
 * Both domains must still be there and still: B's may have been destroyed meanwhile, and what was swapped into it is
 * then held by its export alone.
 */
static int both_waiting(struct migration *m)
{
	struct json_object *d;
	struct error lost;
	int no_a;

	if (agent_hello_begin(&m->b, &m->error))
		return -1;
	/* Every frame is on B: put back into a host VM that has died, the guest would be lost with it. */
	no_a = agent_hello(&m->a, &lost);
	if (no_a && !hostvm_is_dead(m->host_a))
		return error_set(&m->error, "%s", lost.text);
	if (no_a)
		log_warn("%s has died (%s): %s goes on to %s", m->from, lost.text, m->guest, m->to);
	if (agent_hello_end(&m->b, &m->error))
		return -1;
	d = finish_domain(&m->b, m, m->dom_b);
	if (!d || strcmp(js_str(d, "name", ""), m->name) || !js_bool(d, "paused"))
		return error_set(&m->error, "%s: domain %u, made for %s, is gone or was tampered with", m->to, m->dom_b,
				 m->guest);
	if (no_a)
		return devices_both(m, false);
	d = finish_domain(&m->a, m, m->dom_a);
	if (!d || !js_bool(d, "suspended"))
		return error_set(&m->error, "%s: %s (domain %u) is gone or no longer suspended", m->from, m->guest, m->dom_a);
	return devices_both(m, true);
}

static int step_commit(struct migration *m)
{
	int rc;

	if (m->swapped + m->exchanged + m->kept != m->populated)
		return error_set(&m->error, "%" PRIu64 " frames swapped, %" PRIu64 " exchanged and %" PRIu64 " kept are not the %" PRIu64 " that %s populated",
				 m->swapped, m->exchanged, m->kept, m->populated, m->to);
	if (both_waiting(m) || patience_over(&m->patience, &m->error) || migration_record(m, STATE_COMMITTING))
		return -1;
	patience_end(&m->patience);
	rc = vmbeam_txn_commit(m->txn);
	if (rc)
		return error_set(&m->error, "the commit failed: %s", strerror(-rc));
	close(m->txn);
	m->txn = -1;
	vmbeam_txn_outcome(m->dev, m->txn_id, &m->outcome);	/* only for the report */
	/* If this is not written, the module's word stands for it. */
	migration_record(m, STATE_COMMITTED);
	return 0;
}

static int (*const steps[STEPS])(struct migration *m) = {
	check, step_prepare, step_suspend, step_state, step_quiesce, step_swap, step_commit, finish,
};

/* Twice as often as anybody can read, and seldom enough to cost nothing while the guest VM stands still. */
#define PROGRESS_MS	250

void migration_progress(struct migration *m, uint64_t done, uint64_t total)
{
	m->done = done;
	m->total = total;
	if (clock_ms() - m->told_ms < PROGRESS_MS)
		return;
	m->told_ms = clock_ms();
	worker_progress(m, report_phase(m, -1));
}

static int run_step(struct migration *m, enum step step)
{
	char point[48] = "vmbeamd:";
	static const enum state states[STEPS] = {
		[STEP_PREPARE] = STATE_PREPARE,
		[STEP_SUSPEND] = STATE_SUSPEND,
		[STEP_STATE] = STATE_STATE,
		[STEP_QUIESCE] = STATE_QUIESCE,
	};
	int64_t begun = clock_ns();
	int rc = 0;

	m->step = step;
	journald_step(step_names[step]);
	log_debug("step %s", step_names[step]);
	m->done = m->total = 0;
	m->told_ms = clock_ms();
	worker_progress(m, report_phase(m, -1));
	/* The swap and the commit write records of their own, when they know what to write. */
	if (step == STEP_SUSPEND)
		m->went = true;
	if (states[step])
		rc = migration_record(m, states[step]);
	hold_point(strcat(point, step_names[step]));
	if (!rc)
		rc = patience_over(&m->patience, &m->error);
	if (!rc)
		rc = steps[step](m);
	m->ms[step] = (clock_ns() - begun) / 1e6;
	if (!rc)
		worker_progress(m, report_phase(m, m->ms[step]));
	return rc;
}

void migrate(struct migration *m)
{
	patience_begin(&m->patience);
	for (enum step step = STEP_CHECK; step < STEPS; step++) {
		if (m->check_only && step > STEP_CHECK)
			break;
		if (step == STEP_PREPARE && migration_hooks_before(m))
			break;
		if (run_step(m, step))
			break;
	}
	patience_end(&m->patience);
	worker_publish(m);
	if (m->step == STEP_CHECK || m->state == STATE_CHECK) {
		if (m->error.text[0])
			m->fate = FATE_REFUSED;
		/* The first record could not be written: the next daemon must not find it, and a migration in it that never was. */
		if (m->step > STEP_CHECK && journal_take_back(m->journal))
			log_warn("%s: what was written last may be there in part", m->journal->path);
	} else if (m->fate == FATE_OPEN && m->error.text[0]) {
		log_err("%s: %s failed: %s", m->guest, step_names[m->step], m->error.text);
	}
	if (m->fate != FATE_OPEN || m->check_only)
		m->ended_ns = m->ended_ns ?: clock_ns();
}
