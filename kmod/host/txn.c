// SPDX-License-Identifier: GPL-2.0
/*
 * A swap transaction: an anonymous fd.
 *
 * What was swapped through it is swapped back, the newest first, unless it was committed: by VMBEAM_TXN_ROLLBACK, or
 * in release(), which is also what the kernel calls when the owner is killed. Nothing on the way back waits for
 * anything that a pending signal would end, or depends on memory that may not be there.
 *
 * To swap back is to swap the same pairs once more, with the exchange flag. The record need not tell a swapped pair
 * from an exchanged one: to the two domains either is the same, the contents change places.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <xen/interface/xen.h>

#include "host.h"

/* A cut inside an extent falls on a 2 MiB boundary of domain A, or superpages would be torn by the batches. */
#define SUPERPAGE_FRAMES	512U

/*
 * Runs in a batch of the rollback. Fewer than pairs, because each is compared with all others in the batch: with
 * 512 that costs less than the hypercall does.
 */
#define ROLLBACK_RUNS		512U

/* A rollback in release() is the last chance: what keeps a pair from going back may be gone in a moment. */
#define RELEASE_TRIES		5
#define RELEASE_PAUSE_MS	20

/**
 * struct vmbeam_txn - a transaction; lives as long as its fd
 * @lock: one ioctl at a time
 * @outcome: lives longer than the transaction
 * @domid_a: domain A
 * @domid_b: domain B
 * @state: VMBEAM_TXN_*; only an open one swaps
 * @published: the caller was told of it
 * @log: what is swapped now
 * @stuck: during a rollback, what did not go back, in the order of the tries; empty otherwise, with room for a batch
 * @last_error: of the hypercall, in the last rollback; 0 if only single pairs were refused
 * @last_status: of the last pair that did not go back
 * @batch: for all hypercalls
 */
struct vmbeam_txn {
	struct mutex lock;
	struct vmbeam_outcome *outcome;
	u32 domid_a;
	u32 domid_b;
	u32 state;
	bool published;
	struct vmbeam_log log;
	struct vmbeam_log stuck;
	int last_error;
	u8 last_status;
	struct vmbeam_batch batch;
};

static bool pair_moved(u8 status)
{
	status &= VMBEAM_PAIR_MASK;
	return status == VMBEAM_PAIR_SWAPPED || status == VMBEAM_PAIR_EXCHANGED;
}

static bool pair_kept(u8 status)
{
	return status == VMBEAM_PAIR_KEPT;
}

/* Pairs from the @k-th on that have the same status, at most @nr. */
static u32 same_status(const struct vmbeam_batch *batch, u32 k, u32 nr)
{
	const u8 *other = memchr_inv(batch->status + k, batch->status[k], nr);

	return other ? other - (batch->status + k) : nr;
}

/* The first excluded extent from the @x-th on that does not end before the extent's @j-th pair; or none of it. */
static u32 next_excluded(const struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *extent, u32 j, u32 x)
{
	for (; x < batch->nr_excluded; x++) {
		u64 at = batch->excluded[x].gfn_a - extent->gfn_a;

		if (at >= extent->nr || batch->excluded[x].gfn_b - extent->gfn_b != at ||
		    at + batch->excluded[x].nr > j)
			break;
	}
	return x;
}

/* Of pairs that the hypervisor did not look at: up to where being excluded begins or ends. */
static void cut_untouched(const struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *extent, u32 j, u32 x,
			  struct vmbeam_run *run)
{
	u64 at;

	if (x == batch->nr_excluded)
		return;
	at = batch->excluded[x].gfn_a - extent->gfn_a;
	if (at >= extent->nr || batch->excluded[x].gfn_b - extent->gfn_b != at)
		return;
	run->kept = at <= j;
	run->nr = (run->kept ? at + batch->excluded[x].nr : at) - j;
}

/*
 * Append those pairs of the batch to a log that were dealt with, or those that were not; excluded ones are marked.
 * Unless all were swapped, @by_status is added to; NULL: nobody wants to know.
 */
static void record_batch(struct vmbeam_log *log, const struct vmbeam_batch *batch, bool dealt_with,
			 u32 by_status[VMBEAM_PAIR_MASK + 1])
{
	u32 i, j, k = 0, x = 0;

	for (i = 0; i < batch->nr_extents; i++) {
		const struct xen_p2m_swap_extent *extent = &batch->extents[i];
		struct vmbeam_run run;

		if (batch->all_swapped) {
			run = (struct vmbeam_run) {
				.gfn_a = extent->gfn_a,
				.gfn_b = extent->gfn_b,
				.nr = extent->nr,
			};
			if (dealt_with)
				vmbeam_log_append(log, &run);
			continue;
		}

		for (j = 0; j < extent->nr; j += run.nr, k += run.nr) {
			bool done = k < batch->nr_done;

			run = (struct vmbeam_run) {
				.gfn_a = extent->gfn_a + j,
				.gfn_b = extent->gfn_b + j,
				.nr = extent->nr - j,
			};
			x = next_excluded(batch, extent, j, x);
			if (done) {
				run.nr = same_status(batch, k, min(run.nr, batch->nr_done - k));
				run.kept = pair_kept(batch->status[k]);
				if (by_status)
					by_status[batch->status[k] & VMBEAM_PAIR_MASK] += run.nr;
				done = run.kept || pair_moved(batch->status[k]);
			} else {
				cut_untouched(batch, extent, j, x, &run);
			}
			if (done == dealt_with)
				vmbeam_log_append(log, &run);
		}
		x = next_excluded(batch, extent, extent->nr, x);
	}
}

/* Swap */

/* A list is the caller's, the record's and the hypervisor's in one: see struct vmbeam_run. */
static_assert(sizeof(struct vmbeam_run) == sizeof(struct vmbeam_extent_pair));
static_assert(offsetof(struct vmbeam_run, gfn_b) == offsetof(struct vmbeam_extent_pair, gfn_b));
static_assert(offsetof(struct vmbeam_run, nr) == offsetof(struct vmbeam_extent_pair, nr));
static_assert(offsetof(struct vmbeam_run, kept) == offsetof(struct vmbeam_extent_pair, __reserved));
static_assert(sizeof(struct vmbeam_run) == sizeof(struct xen_p2m_swap_extent));
static_assert(offsetof(struct vmbeam_run, gfn_b) == offsetof(struct xen_p2m_swap_extent, gfn_b));
static_assert(offsetof(struct vmbeam_run, nr) == offsetof(struct xen_p2m_swap_extent, nr));
static_assert(offsetof(struct vmbeam_run, kept) == offsetof(struct xen_p2m_swap_extent, pad));

/* Where the next batch begins, in the caller's lists. */
struct cursor {
	const struct vmbeam_run *pairs;
	const struct vmbeam_run *excluded;
	u32 nr_pairs;
	u32 nr_excluded;
	u32 index;
	u32 done;		/* frames of pairs[index] that were in a batch already */
	u32 next_excluded;	/* the first that no batch has passed */
	u32 excluded_to;	/* where the one before it ends in pairs[index]: as in check_pairs() */
};

/* Are all pairs of @x among those of @pair, from its @done-th on? */
static bool is_part(const struct vmbeam_run *x, const struct vmbeam_run *pair, u32 done)
{
	u64 at = x->gfn_a - pair->gfn_a;

	return x->gfn_a >= pair->gfn_a && x->gfn_b - pair->gfn_b == at && at >= done && at < pair->nr &&
	       x->nr <= pair->nr - at;
}

/* Exclude what is to be excluded of the extent that was added last: @nr frames of pairs[index] from @done on. */
static void exclude(struct vmbeam_batch *batch, struct cursor *at, u32 nr)
{
	const struct vmbeam_run *pair = &at->pairs[at->index];

	for (; at->next_excluded < at->nr_excluded; at->next_excluded++) {
		const struct vmbeam_run *x = &at->excluded[at->next_excluded];
		u32 begin, end;

		if (!is_part(x, pair, at->excluded_to))
			return;
		begin = max_t(u32, x->gfn_a - pair->gfn_a, at->done);
		end = min_t(u32, x->gfn_a - pair->gfn_a + x->nr, at->done + nr);
		if (begin < end)
			vmbeam_batch_exclude(batch, pair->gfn_a + begin, pair->gfn_b + begin, end - begin);
		/* The rest is for the next batch. */
		if (x->gfn_a - pair->gfn_a + x->nr > at->done + nr)
			return;
		at->excluded_to = x->gfn_a - pair->gfn_a + x->nr;
	}
}

/* As many whole extents as fit into a batch: these need not be copied. Returns whether there are any. */
static bool borrow_extents(struct vmbeam_batch *batch, struct cursor *at)
{
	const struct vmbeam_run *pair = &at->pairs[at->index];
	u32 left = min(at->nr_pairs - at->index, VMBEAM_BATCH_EXTENTS), nr = 0, nr_pairs = 0;

	if (at->nr_excluded || at->done)
		return false;
	while (nr < left && pair[nr].nr <= VMBEAM_BATCH_PAIRS - nr_pairs)
		nr_pairs += pair[nr++].nr;
	if (!nr)
		return false;
	vmbeam_batch_borrow(batch, (const struct xen_p2m_swap_extent *)pair, nr, nr_pairs);
	at->index += nr;
	return true;
}

static void fill_batch(struct vmbeam_batch *batch, struct cursor *at)
{
	vmbeam_batch_reset(batch);
	if (borrow_extents(batch, at))
		return;
	while (at->index < at->nr_pairs && batch->nr_pairs < VMBEAM_BATCH_PAIRS &&
	       batch->nr_extents < VMBEAM_BATCH_EXTENTS) {
		const struct vmbeam_run *pair = &at->pairs[at->index];
		u64 gfn_a = pair->gfn_a + at->done;
		u32 left = pair->nr - at->done;
		u32 nr = min(left, VMBEAM_BATCH_PAIRS - batch->nr_pairs);

		if (nr < left) {
			u32 tail = (gfn_a + nr) % SUPERPAGE_FRAMES;

			if (tail >= nr && batch->nr_pairs)
				break;
			if (tail < nr)
				nr -= tail;
		}
		vmbeam_batch_add(batch, gfn_a, pair->gfn_b + at->done, nr);
		exclude(batch, at, nr);
		at->done += nr;
		if (at->done == pair->nr) {
			at->index++;
			at->done = 0;
			at->excluded_to = 0;
		}
	}
}

static void count_pauses(struct vmbeam_txn_outcome *told, const struct vmbeam_batch *batch)
{
	u32 i;

	told->max_pause_ns = max(told->max_pause_ns, batch->op.max_pause_ns);
	told->nr_flushes += batch->op.nr_flushes;
	for (i = 0; i < VMBEAM_PAUSES; i++)
		told->pauses[i] += batch->op.pauses[i];
}

static void count_swap(struct vmbeam_txn *txn, struct vmbeam_txn_swap *arg,
		       const u32 by_status[VMBEAM_PAIR_MASK + 1])
{
	const struct vmbeam_batch *batch = &txn->batch;
	const u32 swapped = batch->all_swapped ? batch->nr_done : by_status[VMBEAM_PAIR_SWAPPED];
	const u32 exchanged = by_status[VMBEAM_PAIR_EXCHANGED], busy = by_status[VMBEAM_PAIR_BUSY];
	const u32 kept = by_status[VMBEAM_PAIR_KEPT];
	const u32 refused = batch->nr_done - swapped - exchanged - busy - kept;
	struct vmbeam_txn_outcome *told = &txn->outcome->told;

	arg->nr_done += batch->nr_done;
	arg->nr_kept += kept;
	arg->nr_swapped += swapped;
	arg->nr_exchanged += exchanged;
	arg->nr_busy += busy;
	arg->nr_refused += refused;
	arg->nr_large += batch->op.nr_large;

	spin_lock(&txn->outcome->lock);
	told->nr_swapped += swapped;
	told->nr_exchanged += exchanged;
	told->nr_busy += busy;
	told->nr_refused += refused;
	told->nr_large += batch->op.nr_large;
	told->swap_ns += batch->ns;
	count_pauses(told, batch);
	spin_unlock(&txn->outcome->lock);
}

/* What went to the log; @first: the batch's first extent in the list, if it was borrowed. */
static void record_swap(struct vmbeam_txn *txn, struct vmbeam_block *list, u32 first,
			u32 by_status[VMBEAM_PAIR_MASK + 1])
{
	const struct vmbeam_batch *batch = &txn->batch;

	if (!batch->all_swapped || batch->extents == batch->own ||
	    !vmbeam_log_adopt(&txn->log, list, first, batch->nr_extents, batch->nr_pairs))
		record_batch(&txn->log, batch, true, by_status);
}

/*
 * @list: the log's afterwards, if it is not empty
 * @status: if any, it has room for all frames of the list
 */
static int do_swap(struct vmbeam_txn *txn, struct vmbeam_block *list, const struct vmbeam_block *excluded,
		   struct vmbeam_txn_swap *arg, u8 *status)
{
	struct cursor at = {
		.pairs = list->run,
		.excluded = excluded->run,
		.nr_pairs = arg->nr_pairs,
		.nr_excluded = arg->nr_excluded,
	};
	struct vmbeam_batch *batch = &txn->batch;
	u32 flags = arg->flags;
	int rc;

	/* Once also without pairs: there may be something to ask of the device models. */
	do {
		u32 by_status[VMBEAM_PAIR_MASK + 1] = { 0 };
		u32 first = at.index;

		if (fatal_signal_pending(current))
			return -EINTR;
		fill_batch(batch, &at);
		rc = vmbeam_log_reserve(&txn->log, batch->nr_pairs, GFP_KERNEL_ACCOUNT);
		if (rc)
			return rc;
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, flags);
		flags &= ~VMBEAM_SWAP_INVALIDATE;
		record_swap(txn, list, first, by_status);
		if (status)
			memcpy(status + arg->nr_done, batch->status, batch->nr_done);
		count_swap(txn, arg, by_status);
		if (rc)
			return rc;
		cond_resched();
	} while (at.index < at.nr_pairs);
	return 0;
}

static bool pair_valid(const struct vmbeam_run *pair)
{
	u64 end;

	return pair->nr && !pair->kept && !check_add_overflow(pair->gfn_a, (u64)pair->nr, &end) &&
	       !check_add_overflow(pair->gfn_b, (u64)pair->nr, &end);
}

/* Frames in the caller's list, or an error. */
static long check_pairs(const struct vmbeam_run *pairs, u32 nr_pairs,
			const struct vmbeam_run *excluded, u32 nr_excluded)
{
	u64 frames = 0;
	u32 i, x = 0;

	for (i = 0; i < nr_pairs; i++) {
		u32 done = 0;

		if (!pair_valid(&pairs[i]))
			return -EINVAL;
		frames += pairs[i].nr;
		for (; x < nr_excluded && is_part(&excluded[x], &pairs[i], done); x++) {
			if (!pair_valid(&excluded[x]))
				return -EINVAL;
			done = excluded[x].gfn_a - pairs[i].gfn_a + excluded[x].nr;
		}
	}
	if (x < nr_excluded)
		return -EINVAL;
	return frames <= VMBEAM_MAX_FRAMES ? (long)frames : -E2BIG;
}

/* The caller's list of @nr extents, in what can become a part of the log. It is empty as long as it is not. */
static struct vmbeam_block *get_list(u64 from, u32 nr)
{
	struct vmbeam_block *list = vmbeam_block_alloc(nr);

	if (!list)
		return ERR_PTR(-ENOMEM);
	if (!copy_from_user(list->run, u64_to_user_ptr(from), array_size(nr, sizeof(*list->run))))
		return list;
	kvfree(list);
	return ERR_PTR(-EFAULT);
}

static long txn_swap(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	struct vmbeam_txn_swap *arg = _arg;
	struct vmbeam_block *list, *excluded;
	void __user *ustatus = u64_to_user_ptr(arg->status);
	u8 *status = NULL;
	long frames, rc;

	if ((!arg->nr_pairs && !(arg->flags & VMBEAM_SWAP_INVALIDATE)) || (arg->excluded && !arg->nr_excluded))
		return -EINVAL;
	if (arg->nr_pairs > VMBEAM_MAX_EXTENTS || arg->nr_excluded > VMBEAM_MAX_EXTENTS)
		return -E2BIG;
	arg->nr_done = 0;
	arg->nr_swapped = 0;
	arg->nr_exchanged = 0;
	arg->nr_busy = 0;
	arg->nr_refused = 0;
	arg->nr_kept = 0;
	arg->nr_large = 0;

	list = get_list(arg->pairs, arg->nr_pairs);
	if (IS_ERR(list))
		return PTR_ERR(list);
	excluded = get_list(arg->excluded, arg->nr_excluded);
	rc = PTR_ERR(excluded);
	if (IS_ERR(excluded))
		goto free_list;
	frames = check_pairs(list->run, arg->nr_pairs, excluded->run, arg->nr_excluded);
	rc = frames;
	if (frames < 0)
		goto out;

	if (arg->status) {
		rc = -ENOMEM;
		status = kvmalloc(frames, GFP_KERNEL_ACCOUNT);
		if (!status)
			goto out;
		memset(status, VMBEAM_PAIR_SKIPPED, frames);
		/* A bad pointer is told before anything is swapped. */
		rc = -EFAULT;
		if (copy_to_user(ustatus, status, frames))
			goto out;
	}

	rc = mutex_lock_killable(&txn->lock);
	if (rc)
		goto out;
	rc = txn->state == VMBEAM_TXN_OPEN ? do_swap(txn, list, excluded, arg, status) : -EBADFD;
	/* From the unlock on, what is the log's may be freed at any time. */
	if (list->nr)
		list = NULL;
	mutex_unlock(&txn->lock);

	if (status && copy_to_user(ustatus, status, arg->nr_done) && !rc)
		rc = -EFAULT;
out:
	kvfree(status);
	kvfree(excluded);
free_list:
	kvfree(list);
	return rc;
}

/* Rollback */

static bool batch_overlaps(const struct vmbeam_batch *batch, const struct vmbeam_run *run)
{
	u32 i;

	for (i = 0; i < batch->nr_extents; i++)
		if (vmbeam_run_overlaps(batch->extents[i].gfn_a, batch->extents[i].gfn_b, batch->extents[i].nr, run))
			return true;
	return false;
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
	head = -(last->gfn_a + last->nr - run.nr) % SUPERPAGE_FRAMES;
	if (head && (run.nr < last->nr || room - run.nr < SUPERPAGE_FRAMES)) {
		if (head < run.nr)
			run.nr -= head;
		else if (room < SUPERPAGE_FRAMES && (last->gfn_a + last->nr) % SUPERPAGE_FRAMES == 0)
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

/* Put a run in front of the batch's last extent, if it ends where that one begins; or else make it a new one. */
static void add_in_front(struct vmbeam_batch *batch, const struct vmbeam_run *run)
{
	if (batch->nr_extents) {
		struct xen_p2m_swap_extent *extent = &batch->own[batch->nr_extents - 1];

		if (run->gfn_a + run->nr == extent->gfn_a && run->gfn_b + run->nr == extent->gfn_b) {
			extent->gfn_a = run->gfn_a;
			extent->gfn_b = run->gfn_b;
			extent->nr += run->nr;
			batch->nr_pairs += run->nr;
			return;
		}
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

	vmbeam_batch_reset(batch);
	while ((last = vmbeam_log_last(&txn->log))) {
		struct vmbeam_run run = end_of_run(last, VMBEAM_BATCH_PAIRS - batch->nr_pairs);

		if (batch->nr_extents == ROLLBACK_RUNS || batch->nr_excluded == VMBEAM_BATCH_EXCLUDED || !run.nr ||
		    batch_overlaps(batch, &run))
			break;
		if (vmbeam_log_overlaps(&txn->stuck, &run)) {
			/* The batch's runs are newer and could still get stuck: before this one, then. */
			if (batch->nr_extents)
				break;
			vmbeam_log_reserve(&txn->stuck, 1, GFP_KERNEL | __GFP_NOFAIL);
			vmbeam_log_append(&txn->stuck, &run);
			cond_resched();
		} else {
			add_in_front(batch, &run);
			if (run.kept)
				batch->excluded[batch->nr_excluded++] = (struct xen_p2m_swap_extent) {
					.gfn_a = run.gfn_a,
					.gfn_b = run.gfn_b,
					.nr = run.nr,
				};
		}
		vmbeam_log_cut(&txn->log, run.nr);
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
		if (!pair_moved(batch->status[i]) && !pair_kept(batch->status[i]))
			txn->last_status = batch->status[i];
}

/**
 * do_rollback - swap back what the log holds
 * @txn: the transaction, locked or in release()
 *
 * Afterwards the log holds the pairs that are stuck, if any, and can be rolled back again.
 */
static void do_rollback(struct vmbeam_txn *txn)
{
	struct vmbeam_txn_outcome *told = &txn->outcome->told;
	struct vmbeam_batch *batch = &txn->batch;
	u64 before = txn->log.nr_pairs, ns = 0;
	int rc = 0;

	while (!rc && vmbeam_log_last(&txn->log)) {
		fill_rollback(txn);
		if (!batch->nr_extents)
			break;
		/*
		 * Room for a batch is there since begin. More is wanted only when pairs are stuck in thousands of
		 * places; a rollback that stops there would be worse than one that waits for memory.
		 */
		vmbeam_log_reserve(&txn->stuck, batch->nr_pairs, GFP_KERNEL | __GFP_NOFAIL);
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, VMBEAM_SWAP_EXCHANGE);
		ns += batch->ns;
		spin_lock(&txn->outcome->lock);
		count_pauses(told, batch);
		spin_unlock(&txn->outcome->lock);
		note_stuck(txn);
		record_batch(&txn->stuck, batch, false, NULL);
		cond_resched();
	}
	txn->last_error = rc;
	vmbeam_log_append_reversed(&txn->log, &txn->stuck);

	spin_lock(&txn->outcome->lock);
	told->nr_rolled_back += before - txn->log.nr_pairs;
	told->nr_stuck = txn->log.nr_pairs;
	told->rollback_ns += ns;
	told->state = txn->log.nr_pairs ? VMBEAM_TXN_STUCK : VMBEAM_TXN_ROLLED_BACK;
	txn->state = told->state;
	spin_unlock(&txn->outcome->lock);
}

static long txn_commit(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	int rc;

	rc = mutex_lock_killable(&txn->lock);
	if (rc)
		return rc;
	if (txn->state == VMBEAM_TXN_OPEN) {
		txn->state = VMBEAM_TXN_COMMITTED;
		vmbeam_outcome_end(txn->outcome, txn->state);
		vmbeam_log_free(&txn->log);
	} else {
		rc = -EBADFD;
	}
	mutex_unlock(&txn->lock);
	return rc;
}

static long txn_rollback(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	int rc;

	rc = mutex_lock_killable(&txn->lock);
	if (rc)
		return rc;
	if (txn->state == VMBEAM_TXN_OPEN || txn->state == VMBEAM_TXN_STUCK) {
		do_rollback(txn);
		/* With pairs stuck it stays on the list of open ones: the domains are not free for another. */
		if (txn->state == VMBEAM_TXN_STUCK)
			rc = -EBUSY;
		else
			vmbeam_outcome_end(txn->outcome, txn->state);
	} else {
		rc = -EBADFD;
	}
	mutex_unlock(&txn->lock);
	return rc;
}

/* The fd */

static void rollback_at_release(struct vmbeam_txn *txn)
{
	const struct vmbeam_run *run;
	u64 pairs = txn->log.nr_pairs;
	int i;

	for (i = 0; i < RELEASE_TRIES; i++) {
		do_rollback(txn);
		/* A domain that is gone does not come back. */
		if (!txn->log.nr_pairs || txn->last_error == -ESRCH)
			break;
		msleep(RELEASE_PAUSE_MS);
	}
	if (pairs)
		pr_info_ratelimited("transaction %llu, domains %u and %u: closed without commit, %llu of %llu pairs swapped back\n",
				    txn->outcome->told.id, txn->domid_a, txn->domid_b,
				    pairs - txn->log.nr_pairs, pairs);
	run = vmbeam_log_last(&txn->log);
	/* Runs of excluded pairs alone are nothing that is missed. */
	if (run && txn->log.nr_pairs)
		pr_err("transaction %llu: %llu pairs stay swapped, the newest is frame %#llx of domain %u with frame %#llx of domain %u (error %d, status %#x): neither domain may be trusted to run\n",
		       txn->outcome->told.id, txn->log.nr_pairs, run->gfn_a, txn->domid_a,
		       run->gfn_b, txn->domid_b, txn->last_error, txn->last_status);
	vmbeam_outcome_end(txn->outcome, txn->state);
}

static void txn_free(struct vmbeam_txn *txn)
{
	vmbeam_log_free(&txn->log);
	vmbeam_log_free(&txn->stuck);
	mutex_destroy(&txn->lock);
	kvfree(txn);
}

/* The last reference is gone: no other ioctl runs, the lock is not needed. */
static int txn_release(struct inode *inode, struct file *file)
{
	struct vmbeam_txn *txn = file->private_data;

	if (!txn->published)
		vmbeam_outcome_forget(txn->outcome);
	else if (txn->state == VMBEAM_TXN_OPEN || txn->state == VMBEAM_TXN_STUCK)
		rollback_at_release(txn);
	txn_free(txn);
	return 0;
}

static const struct vmbeam_ioctl txn_ioctls[] = {
	VMBEAM_IOCTL(VMBEAM_TXN_SWAP, VMBEAM_SWAP_EXCHANGE | VMBEAM_SWAP_INVALIDATE, vmbeam_txn_swap, nr_refused,
		     txn_swap),
	VMBEAM_IOCTL(VMBEAM_TXN_COMMIT, 0, vmbeam_txn_end, flags, txn_commit),
	VMBEAM_IOCTL(VMBEAM_TXN_ROLLBACK, 0, vmbeam_txn_end, flags, txn_rollback),
};

static long txn_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmbeam_ioctl_dispatch(txn_ioctls, ARRAY_SIZE(txn_ioctls), file, cmd, (void __user *)arg);
}

static const struct file_operations txn_fops = {
	.owner = THIS_MODULE,
	.release = txn_release,
	.unlocked_ioctl = txn_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static bool domid_possible(u32 domid)
{
	/* The module loads in dom0 only, and the caller's own domain cannot be swapped. */
	return domid > 0 && domid < DOMID_FIRST_RESERVED;
}

/* VMBEAM_TXN_BEGIN */
long vmbeam_txn_begin(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn_begin *arg = _arg;
	struct vmbeam_txn *txn;
	struct file *file;
	int fd, rc;

	if (arg->__reserved || !domid_possible(arg->domid_a) || !domid_possible(arg->domid_b) ||
	    arg->domid_a == arg->domid_b)
		return -EINVAL;

	txn = kvzalloc(sizeof(*txn), GFP_KERNEL_ACCOUNT);
	if (!txn)
		return -ENOMEM;
	mutex_init(&txn->lock);
	txn->domid_a = arg->domid_a;
	txn->domid_b = arg->domid_b;
	txn->state = VMBEAM_TXN_OPEN;
	vmbeam_log_init(&txn->log);
	vmbeam_log_init(&txn->stuck);
	rc = vmbeam_log_reserve(&txn->stuck, VMBEAM_BATCH_PAIRS, GFP_KERNEL_ACCOUNT) ?:
	     vmbeam_log_reserve(&txn->log, VMBEAM_BATCH_PAIRS, GFP_KERNEL_ACCOUNT);
	if (rc)
		goto free_txn;

	txn->outcome = vmbeam_outcome_begin(txn->domid_a, txn->domid_b);
	if (IS_ERR(txn->outcome)) {
		rc = PTR_ERR(txn->outcome);
		goto free_txn;
	}

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = fd;
		goto forget;
	}
	file = anon_inode_getfile("[vmbeam-transaction]", &txn_fops, txn, O_RDWR);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto put_fd;
	}

	arg->id = txn->outcome->told.id;
	arg->out_fd = fd;
	rc = vmbeam_ioctl_reply(call);
	if (rc) {
		/* release() forgets the outcome and frees the rest. */
		put_unused_fd(fd);
		fput(file);
		return rc;
	}
	txn->published = true;
	fd_install(fd, file);
	return 0;

put_fd:
	put_unused_fd(fd);
forget:
	vmbeam_outcome_forget(txn->outcome);
free_txn:
	txn_free(txn);
	return rc;
}
