// SPDX-License-Identifier: GPL-2.0
/* VMBEAM_TXN_SWAP: the caller's list, in batches, to the hypervisor and into the undo log. */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "host.h"
#include "trace.h"

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
			u32 tail = (gfn_a + nr) % VMBEAM_SUPERPAGE_FRAMES;

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
	vmbeam_outcome_pauses(told, batch);
	spin_unlock(&txn->outcome->lock);
}

/* What went to the log; @first: the batch's first extent in the list, if it was borrowed. */
static void record_swap(struct vmbeam_txn *txn, struct vmbeam_block *list, u32 first,
			u32 by_status[VMBEAM_PAIR_MASK + 1])
{
	const struct vmbeam_batch *batch = &txn->batch;

	if (!batch->all_swapped || batch->extents == batch->own ||
	    !vmbeam_undo_adopt(&txn->log, list, first, batch->nr_extents, batch->nr_pairs))
		vmbeam_record_batch(&txn->log, batch, true, by_status);
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

	/* Once also without pairs: what the hypervisor has against the domains, or something for the device models. */
	do {
		u32 by_status[VMBEAM_PAIR_MASK + 1] = { 0 };
		u32 first = at.index;

		if (fatal_signal_pending(current))
			return -EINTR;
		fill_batch(batch, &at);
		rc = vmbeam_undo_reserve(&txn->log, batch->nr_pairs);
		if (rc)
			return rc;
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, flags);
		trace_vmbeam_txn_batch(txn->outcome->told.id, false, batch->nr_pairs, batch->nr_done, batch->ns, rc);
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

/* VMBEAM_TXN_SWAP */
long vmbeam_txn_swap(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	struct vmbeam_txn_swap *arg = _arg;
	struct vmbeam_block *list, *excluded;
	void __user *ustatus = u64_to_user_ptr(arg->status);
	u8 *status = NULL;
	long frames, rc;

	/* Also of the first errors the counts are told. */
	arg->nr_done = 0;
	arg->nr_swapped = 0;
	arg->nr_exchanged = 0;
	arg->nr_busy = 0;
	arg->nr_refused = 0;
	arg->nr_kept = 0;
	arg->nr_large = 0;
	if (arg->excluded && !arg->nr_excluded)
		return -EINVAL;
	if (arg->nr_pairs > VMBEAM_MAX_EXTENTS || arg->nr_excluded > VMBEAM_MAX_EXTENTS)
		return -E2BIG;

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
	if (txn->state != VMBEAM_TXN_OPEN)
		rc = -EBADFD;
	else if (txn->gone)
		rc = -ESRCH;
	else
		rc = do_swap(txn, list, excluded, arg, status);
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
