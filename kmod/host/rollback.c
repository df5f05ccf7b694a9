// SPDX-License-Identifier: GPL-2.0
/*
 * Rollback: what the undo log holds is swapped back, the newest first.
 *
 * To swap back is to swap the same pairs once more, with the exchange flag. The log need not tell a swapped pair from
 * an exchanged one: to the two domains either is the same, the contents change places. Nothing here waits for anything
 * that a pending signal would end. A transaction's first rollback needs no memory that is not there; one that is tried
 * again may.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "host.h"
#include "trace.h"

/* Runs in a batch: enough that what a hypercall costs by itself does not count. */
#define ROLLBACK_RUNS		512U

/* Room for stuck runs: for those of a batch on top of as many as a rollback goes on with. */
#define STUCK_ROOM		(VMBEAM_MAX_STUCK_RUNS + VMBEAM_BATCH_PAIRS)

/* Has the run a frame in common with the batch? Each is compared only if it may. */
static bool in_batch(const struct vmbeam_txn *txn, const struct vmbeam_run *run)
{
	const struct vmbeam_batch *batch = &txn->batch;
	u32 i;

	if (!vmbeam_touched_any(&txn->in_batch, run->gfn_a, run->gfn_b, run->nr))
		return false;
	for (i = 0; i < batch->nr_extents; i++)
		if (vmbeam_run_overlaps(batch->extents[i].gfn_a, batch->extents[i].gfn_b, batch->extents[i].nr, run))
			return true;
	return false;
}

/* Likewise, with those that are stuck. */
static bool in_stuck(const struct vmbeam_txn *txn, const struct vmbeam_run *run)
{
	if (!txn->stuck.nr_runs || !vmbeam_touched_any(&txn->in_stuck, run->gfn_a, run->gfn_b, run->nr))
		return false;
	cond_resched();
	return vmbeam_undo_overlaps(&txn->stuck, run);
}

/* The next batch is another one. */
static void clear_batch(struct vmbeam_txn *txn)
{
	struct vmbeam_batch *batch = &txn->batch;
	u32 i;

	for (i = 0; i < batch->nr_extents; i++)
		vmbeam_touched_clear(&txn->in_batch, batch->extents[i].gfn_a, batch->extents[i].gfn_b,
				     batch->extents[i].nr);
	vmbeam_batch_reset(batch);
}

/* What of the batch did not go back. Who has a frame in common with the batch is compared with it from now on. */
static void record_stuck(struct vmbeam_txn *txn)
{
	const struct vmbeam_batch *batch = &txn->batch;
	u64 before = txn->stuck.nr_pairs;
	u32 i;

	vmbeam_record_batch(&txn->stuck, batch, false, NULL);
	if (txn->stuck.nr_pairs == before && !batch->nr_excluded)
		return;
	for (i = 0; i < batch->nr_extents; i++)
		vmbeam_touched_set(&txn->in_stuck, batch->extents[i].gfn_a, batch->extents[i].gfn_b,
				   batch->extents[i].nr);
}

/*
 * Of the newest run, its end, as far as it is for this batch. No superpage of domain A is begun that may not fit:
 * runs are taken from the end of the log, so a superpage that is begun goes on in the next ones.
 */
static struct vmbeam_run end_of_run(const struct vmbeam_run *last, u32 room)
{
	struct vmbeam_run run = *last;
	u32 head;

	run.nr = min(last->nr, room);
	head = -(last->gfn_a + last->nr - run.nr) % VMBEAM_SUPERPAGE_FRAMES;
	if (head && (run.nr < last->nr || room - run.nr < VMBEAM_SUPERPAGE_FRAMES)) {
		if (head < run.nr)
			run.nr -= head;
		else if (room < VMBEAM_SUPERPAGE_FRAMES && (last->gfn_a + last->nr) % VMBEAM_SUPERPAGE_FRAMES == 0)
			run.nr = 0;
	}
	run.gfn_a += last->nr - run.nr;
	run.gfn_b += last->nr - run.nr;
	return run;
}

/* The excluded ones of the extent that was added last were found from its end to its beginning. */
static void turn_excluded(struct vmbeam_batch *batch)
{
	u32 i = batch->first_excluded, j = batch->nr_excluded;

	for (; i + 1 < j; i++, j--)
		swap(batch->excluded[i], batch->excluded[j - 1]);
}

/* The batch's last extent, if the run ends where that one begins. */
static struct xen_p2m_swap_extent *ends_at(struct vmbeam_batch *batch, const struct vmbeam_run *run)
{
	struct xen_p2m_swap_extent *extent = batch->nr_extents ? &batch->own[batch->nr_extents - 1] : NULL;

	return extent && run->gfn_a + run->nr == extent->gfn_a && run->gfn_b + run->nr == extent->gfn_b ? extent : NULL;
}

/* Put a run in front of the batch's last extent, or else make it a new one. */
static void add_in_front(struct vmbeam_batch *batch, const struct vmbeam_run *run)
{
	struct xen_p2m_swap_extent *extent = ends_at(batch, run);

	if (extent) {
		extent->gfn_a = run->gfn_a;
		extent->gfn_b = run->gfn_b;
		extent->nr += run->nr;
		batch->nr_pairs += run->nr;
		return;
	}
	turn_excluded(batch);
	vmbeam_batch_add(batch, run->gfn_a, run->gfn_b, run->nr);
}

/*
 * Take the newest runs for the next batch. Two that have a frame in common never are in one batch: the hypervisor
 * would refuse the second. A run that has a frame in common with one that is stuck must wait for that one, or it
 * would bring back the wrong frame: it is stuck, too.
 */
static void fill_rollback(struct vmbeam_txn *txn)
{
	struct vmbeam_batch *batch = &txn->batch;
	const struct vmbeam_run *last;

	while ((last = vmbeam_undo_last(&txn->log))) {
		struct vmbeam_run run = end_of_run(last, VMBEAM_BATCH_PAIRS - batch->nr_pairs);

		/* A superpage with excluded pairs is several runs, and one extent. */
		if (batch->nr_extents == ROLLBACK_RUNS && !ends_at(batch, &run))
			break;
		if (batch->nr_excluded == VMBEAM_BATCH_EXCLUDED || !run.nr || in_batch(txn, &run))
			break;
		if (in_stuck(txn, &run)) {
			/* The batch's runs are newer and could still get stuck: before this one, then. */
			if (batch->nr_extents || txn->stuck.nr_runs >= VMBEAM_MAX_STUCK_RUNS)
				break;
			vmbeam_undo_append(&txn->stuck, &run);
			vmbeam_touched_set(&txn->in_stuck, run.gfn_a, run.gfn_b, run.nr);
		} else {
			add_in_front(batch, &run);
			vmbeam_touched_set(&txn->in_batch, run.gfn_a, run.gfn_b, run.nr);
			if (run.kept)
				batch->excluded[batch->nr_excluded++] = (struct xen_p2m_swap_extent) {
					.gfn_a = run.gfn_a,
					.gfn_b = run.gfn_b,
					.nr = run.nr,
				};
		}
		vmbeam_undo_cut(&txn->log, run.nr);
	}
	turn_excluded(batch);
}

/* The last pair of the batch that did not move, for the message. */
static void note_stuck(struct vmbeam_txn *txn)
{
	const struct vmbeam_batch *batch = &txn->batch;
	u32 i;

	if (batch->all_swapped)
		return;
	for (i = 0; i < batch->nr_done; i++)
		if (!vmbeam_pair_moved(batch->status[i]) && !vmbeam_pair_kept(batch->status[i]))
			txn->last_status = batch->status[i];
}

/* What is told of a rollback: @before pairs were swapped, and it spent @ns in the hypercall. */
static void tell(struct vmbeam_txn *txn, u64 before, u64 ns)
{
	struct vmbeam_txn_outcome *told = &txn->outcome->told;
	const struct vmbeam_run *stuck = vmbeam_undo_last_moved(&txn->log);

	spin_lock(&txn->outcome->lock);
	told->nr_rolled_back += before - txn->log.nr_pairs;
	told->nr_stuck = txn->log.nr_pairs;
	told->rollback_ns += ns;
	told->stuck_error = stuck ? -txn->last_error : 0;
	told->stuck_status = stuck && !txn->last_error ? txn->last_status : 0;
	told->stuck_gfn_a = stuck ? stuck->gfn_a + stuck->nr - 1 : 0;
	told->stuck_gfn_b = stuck ? stuck->gfn_b + stuck->nr - 1 : 0;
	spin_unlock(&txn->outcome->lock);
}

/**
 * vmbeam_rollback_reserve - get the memory that the next rollback needs
 * @txn: the transaction
 *
 * At the transaction's begin, so that its first rollback needs none. One that is tried again may have to.
 *
 * Return: 0 or -ENOMEM
 */
int vmbeam_rollback_reserve(struct vmbeam_txn *txn)
{
	return vmbeam_undo_reserve(&txn->stuck, STUCK_ROOM);
}

/**
 * vmbeam_rollback - swap back what the log holds
 * @txn: the transaction, locked
 *
 * It stops at the first hypercall that fails, or when so much is stuck that the rest is of no use to anybody.
 *
 * Return: true if all is back; false if pairs are stuck. Then the log holds these, and can be rolled back again
 */
bool vmbeam_rollback(struct vmbeam_txn *txn)
{
	struct vmbeam_batch *batch = &txn->batch;
	u64 before = txn->log.nr_pairs, ns = 0;
	int rc = vmbeam_rollback_reserve(txn);

	vmbeam_batch_reset(batch);
	while (!rc && vmbeam_undo_last(&txn->log) && txn->stuck.nr_runs < VMBEAM_MAX_STUCK_RUNS) {
		fill_rollback(txn);
		if (!batch->nr_extents)
			break;
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, VMBEAM_SWAP_EXCHANGE);
		trace_vmbeam_txn_batch(txn->outcome->told.id, true, batch->nr_pairs, batch->nr_done, batch->ns, rc);
		ns += batch->ns;
		spin_lock(&txn->outcome->lock);
		vmbeam_outcome_pauses(&txn->outcome->told, batch);
		spin_unlock(&txn->outcome->lock);
		note_stuck(txn);
		record_stuck(txn);
		clear_batch(txn);
		cond_resched();
	}
	txn->last_error = rc;
	if (txn->stuck.nr_runs)
		memset(&txn->in_stuck, 0, sizeof(txn->in_stuck));
	vmbeam_undo_append_reversed(&txn->log, &txn->stuck);
	tell(txn, before, ns);
	trace_vmbeam_txn_rollback(txn->outcome->told.id, before - txn->log.nr_pairs, txn->log.nr_pairs, rc,
				  txn->last_status);
	return !txn->log.nr_pairs;
}
