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

/* Append those pairs of the batch to a log that moved, or those that did not. */
static void record_batch(struct vmbeam_log *log, const struct vmbeam_batch *batch, bool moved)
{
	u32 i, j, k = 0;

	for (i = 0; i < batch->nr_extents; i++) {
		const struct xen_p2m_swap_extent *extent = &batch->extent[i];

		for (j = 0; j < extent->nr; j++, k++) {
			bool did = k < batch->nr_done && pair_moved(batch->status[k]);

			if (did == moved)
				vmbeam_log_append(log, extent->gfn_a + j, extent->gfn_b + j, 1);
		}
	}
}

/* Swap */

/* Where the next batch begins, in the caller's list. */
struct cursor {
	const struct vmbeam_extent_pair *pairs;
	u32 nr_pairs;
	u32 index;
	u32 done;	/* frames of pairs[index] that were in a batch already */
};

static void fill_batch(struct vmbeam_batch *batch, struct cursor *at)
{
	vmbeam_batch_reset(batch);
	while (at->index < at->nr_pairs && batch->nr_pairs < VMBEAM_BATCH_PAIRS) {
		const struct vmbeam_extent_pair *pair = &at->pairs[at->index];
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
		at->done += nr;
		if (at->done == pair->nr) {
			at->index++;
			at->done = 0;
		}
	}
}

static void count_swap(struct vmbeam_txn *txn, struct vmbeam_txn_swap *arg)
{
	const struct vmbeam_batch *batch = &txn->batch;
	u64 swapped = 0, exchanged = 0, busy = 0, refused = 0;
	struct vmbeam_txn_outcome *told = &txn->outcome->told;
	u32 i;

	for (i = 0; i < batch->nr_done; i++) {
		switch (batch->status[i] & VMBEAM_PAIR_MASK) {
		case VMBEAM_PAIR_SWAPPED:
			swapped++;
			break;
		case VMBEAM_PAIR_EXCHANGED:
			exchanged++;
			break;
		case VMBEAM_PAIR_BUSY:
			busy++;
			break;
		default:
			refused++;
			break;
		}
	}

	arg->nr_done += batch->nr_done;
	arg->nr_swapped += swapped;
	arg->nr_exchanged += exchanged;
	arg->nr_busy += busy;
	arg->nr_refused += refused;

	spin_lock(&txn->outcome->lock);
	told->nr_swapped += swapped;
	told->nr_exchanged += exchanged;
	told->nr_busy += busy;
	told->nr_refused += refused;
	told->swap_ns += batch->ns;
	spin_unlock(&txn->outcome->lock);
}

/* @status, if any, has room for all frames of @pairs. */
static int do_swap(struct vmbeam_txn *txn, const struct vmbeam_extent_pair *pairs,
		   struct vmbeam_txn_swap *arg, u8 *status)
{
	struct cursor at = { .pairs = pairs, .nr_pairs = arg->nr_pairs };
	struct vmbeam_batch *batch = &txn->batch;
	int rc;

	while (at.index < at.nr_pairs) {
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = vmbeam_log_reserve(&txn->log, GFP_KERNEL_ACCOUNT);
		if (rc)
			return rc;
		fill_batch(batch, &at);
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, arg->flags);
		record_batch(&txn->log, batch, true);
		if (status)
			memcpy(status + arg->nr_done, batch->status, batch->nr_done);
		count_swap(txn, arg);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

/* Frames in the caller's list, or an error. */
static long check_pairs(const struct vmbeam_extent_pair *pairs, u32 nr_pairs)
{
	u64 end, frames = 0;
	u32 i;

	for (i = 0; i < nr_pairs; i++) {
		if (!pairs[i].nr || pairs[i].__reserved ||
		    check_add_overflow(pairs[i].gfn_a, (u64)pairs[i].nr, &end) ||
		    check_add_overflow(pairs[i].gfn_b, (u64)pairs[i].nr, &end))
			return -EINVAL;
		frames += pairs[i].nr;
		if (frames > VMBEAM_MAX_FRAMES)
			return -E2BIG;
	}
	return frames;
}

static long txn_swap(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	struct vmbeam_txn_swap *arg = _arg;
	struct vmbeam_extent_pair *pairs;
	void __user *ustatus = u64_to_user_ptr(arg->status);
	u8 *status = NULL;
	long frames, rc;

	if (!arg->nr_pairs || arg->nr_excluded || arg->excluded)
		return -EINVAL;
	if (arg->nr_pairs > VMBEAM_MAX_EXTENTS)
		return -E2BIG;
	arg->nr_done = 0;
	arg->nr_swapped = 0;
	arg->nr_exchanged = 0;
	arg->nr_busy = 0;
	arg->nr_refused = 0;

	pairs = kvmalloc_array(arg->nr_pairs, sizeof(*pairs), GFP_KERNEL_ACCOUNT);
	if (!pairs)
		return -ENOMEM;
	rc = -EFAULT;
	if (copy_from_user(pairs, u64_to_user_ptr(arg->pairs), array_size(arg->nr_pairs, sizeof(*pairs))))
		goto out;
	frames = check_pairs(pairs, arg->nr_pairs);
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
	rc = txn->state == VMBEAM_TXN_OPEN ? do_swap(txn, pairs, arg, status) : -EBADFD;
	mutex_unlock(&txn->lock);

	if (status && copy_to_user(ustatus, status, arg->nr_done) && !rc)
		rc = -EFAULT;
out:
	kvfree(status);
	kvfree(pairs);
	return rc;
}

/* Rollback */

static bool batch_overlaps(const struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *run)
{
	u32 i;

	for (i = 0; i < batch->nr_extents; i++)
		if (vmbeam_run_overlaps(&batch->extent[i], run))
			return true;
	return false;
}

/*
 * Take the newest runs for the next batch. Two that have a frame in common never are in one batch: the hypervisor
 * would refuse the second. A run that has a frame in common with one that is stuck must wait for that one, or it
 * would bring back the wrong frame: it is stuck, too.
 */
static void fill_rollback(struct vmbeam_txn *txn)
{
	struct vmbeam_batch *batch = &txn->batch;
	struct xen_p2m_swap_extent *run;

	vmbeam_batch_reset(batch);
	while ((run = vmbeam_log_last(&txn->log))) {
		if (batch->nr_extents == ROLLBACK_RUNS || batch->nr_pairs + run->nr > VMBEAM_BATCH_PAIRS ||
		    batch_overlaps(batch, run))
			return;
		if (vmbeam_log_overlaps(&txn->stuck, run)) {
			/* The batch's runs are newer and could still get stuck: before this one, then. */
			if (batch->nr_extents)
				return;
			vmbeam_log_reserve(&txn->stuck, GFP_KERNEL | __GFP_NOFAIL);
			vmbeam_log_append(&txn->stuck, run->gfn_a, run->gfn_b, run->nr);
			cond_resched();
		} else {
			vmbeam_batch_add(batch, run->gfn_a, run->gfn_b, run->nr);
		}
		vmbeam_log_pop(&txn->log);
	}
}

/* The last pair of the batch that did not move, for the message. */
static void note_stuck(struct vmbeam_txn *txn)
{
	const struct vmbeam_batch *batch = &txn->batch;
	u32 i;

	for (i = 0; i < batch->nr_done; i++)
		if (!pair_moved(batch->status[i]))
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

	while (!rc && txn->log.nr_pairs) {
		fill_rollback(txn);
		if (!batch->nr_extents)
			break;
		/*
		 * The first block is there since begin. More are wanted only when pairs are stuck in thousands of
		 * places; a rollback that stops there would be worse than one that waits for memory.
		 */
		vmbeam_log_reserve(&txn->stuck, GFP_KERNEL | __GFP_NOFAIL);
		rc = vmbeam_batch_swap(batch, txn->domid_a, txn->domid_b, VMBEAM_SWAP_EXCHANGE);
		ns += batch->ns;
		note_stuck(txn);
		record_batch(&txn->stuck, batch, false);
		cond_resched();
	}
	txn->last_error = rc;
	if (txn->stuck.nr_pairs)
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
	const struct xen_p2m_swap_extent *run;
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
	if (run)
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
	VMBEAM_IOCTL(VMBEAM_TXN_SWAP, VMBEAM_SWAP_EXCHANGE, vmbeam_txn_swap, nr_refused, txn_swap),
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
	rc = vmbeam_log_reserve(&txn->stuck, GFP_KERNEL_ACCOUNT);
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
