// SPDX-License-Identifier: GPL-2.0
/*
 * A swap transaction: an anonymous fd.
 *
 * What was swapped through it is swapped back, the newest first, unless it was committed: by VMBEAM_TXN_ROLLBACK, or
 * in release(), which is also what the kernel calls when the owner is killed.
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
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <xen/interface/xen.h>

#include "host.h"

/* A rollback in release() is the last chance: what keeps a pair from going back may be gone in a moment. */
#define RELEASE_TRIES		5
#define RELEASE_PAUSE_MS	20

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
		vmbeam_undo_free(&txn->log);
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
		vmbeam_rollback(txn);
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

static void rollback_at_release(struct vmbeam_txn *txn)
{
	const struct vmbeam_run *run;
	u64 pairs = txn->log.nr_pairs;
	int i;

	for (i = 0; i < RELEASE_TRIES; i++) {
		vmbeam_rollback(txn);
		/* A domain that is gone does not come back. */
		if (!txn->log.nr_pairs || txn->last_error == -ESRCH)
			break;
		msleep(RELEASE_PAUSE_MS);
	}
	if (pairs)
		pr_info_ratelimited("transaction %llu, domains %u and %u: closed without commit, %llu of %llu pairs swapped back\n",
				    txn->outcome->told.id, txn->domid_a, txn->domid_b,
				    pairs - txn->log.nr_pairs, pairs);
	run = vmbeam_undo_last(&txn->log);
	/* Runs of excluded pairs alone are nothing that is missed. */
	if (run && txn->log.nr_pairs)
		pr_err("transaction %llu: %llu pairs stay swapped, the newest is frame %#llx of domain %u with frame %#llx of domain %u (error %d, status %#x): neither domain may be trusted to run\n",
		       txn->outcome->told.id, txn->log.nr_pairs, run->gfn_a, txn->domid_a,
		       run->gfn_b, txn->domid_b, txn->last_error, txn->last_status);
	vmbeam_outcome_end(txn->outcome, txn->state);
}

static void txn_free(struct vmbeam_txn *txn)
{
	vmbeam_undo_free(&txn->log);
	vmbeam_undo_free(&txn->stuck);
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
		     vmbeam_txn_swap),
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
	vmbeam_undo_init(&txn->log);
	vmbeam_undo_init(&txn->stuck);
	rc = vmbeam_undo_reserve(&txn->stuck, VMBEAM_BATCH_PAIRS, GFP_KERNEL_ACCOUNT) ?:
	     vmbeam_undo_reserve(&txn->log, VMBEAM_BATCH_PAIRS, GFP_KERNEL_ACCOUNT);
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
