// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a migration, forward or back. The same code for a migration that failed a moment ago and for one that a
 * dead daemon left behind: it looks at what is there, and never trusts that an earlier try got anywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "finish.h"
#include "log.h"

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
		error_set(&m->finishing, "transaction %" PRIu64 " is still open in another process, and is waited for until that has ended: end it, if it is an older vmbeamd or a vmbeam swap; vmbeam transaction list shows the transaction", m->txn_id);
		return TXN_OPEN;
	default:
		return TXN_STUCK;
	}
}

/* What an operator is told who has to choose. */
static void say_stuck(struct migration *m, enum txn_word word, uint64_t nr_stuck)
{
	if (word == TXN_STUCK)
		error_set(&m->finishing, "%" PRIu64 " pairs of transaction %" PRIu64 " could not be put back: both exports of %s stay armed and nothing is touched. vmbeam transaction list says what stands in the way; once it is gone, vmbeam transaction retry %" PRIu64 " puts them back. To give the guest VM up, type vmbeam forget %s and vmbeam transaction forget %" PRIu64,
			  nr_stuck, m->txn_id, m->guest, m->txn_id, m->id, m->txn_id);
	else if (m->state == STATE_STUCK)
		error_set(&m->finishing, "pairs of transaction %" PRIu64 " could not be put back, and vmbeam_host.ko was reloaded since: %s must not run on %s or %s. Destroy it on both, release its exports (vmbeam export list, release), then type vmbeam forget %s",
			  m->txn_id, m->guest, m->from, m->to, m->id);
	else
		error_set(&m->finishing, "vmbeam_host.ko was reloaded and does not know transaction %" PRIu64 ", which may have been committed: look at %s on %s and %s, let one of them go, destroy the other, release the exports (vmbeam export list, release), then type vmbeam forget %s",
			  m->txn_id, m->guest, m->from, m->to, m->id);
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
		if (!m->b_done && finish_forward_b(m))
			return -1;
		m->b_done = true;
		if (!m->a_done && finish_forward_a(m))
			return -1;
		m->a_done = true;
		return 0;
	}
	/* One side that is not there must not keep the other waiting. */
	if (!m->a_done) {
		a = finish_back_a(m);
		m->a_done = !a;
	}
	if (!m->b_done) {
		b = finish_back_b(m);
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
