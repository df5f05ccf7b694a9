// SPDX-License-Identifier: GPL-2.0
/*
 * A swap transaction: an anonymous fd.
 *
 * What was swapped through it is swapped back, the newest first, unless it was committed: by VMBEAM_TXN_ROLLBACK, or
 * in release() of the fd that it was begun with, which is also what the kernel calls when the owner is killed. If
 * something does not go back the transaction is stuck, and the module's own: what stands in its way may pass, and its
 * record is all that knows which frames belong where. So it stays, and keeps the module loaded, until it is rolled back
 * or forgotten by name.
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
#include "trace.h"

/* Nobody waits for a rollback in release(), and what keeps a pair from going back may be gone in a moment. */
#define RELEASE_TRIES		5
#define RELEASE_PAUSE_MS	20

static void txn_let_go(struct vmbeam_txn *txn)
{
	vmbeam_hold_put(&txn->hold_a);
	vmbeam_hold_put(&txn->hold_b);
}

static void txn_free(struct kref *refs)
{
	struct vmbeam_txn *txn = container_of(refs, struct vmbeam_txn, refs);

	txn_let_go(txn);
	vmbeam_undo_free(&txn->log);
	vmbeam_undo_free(&txn->stuck);
	mutex_destroy(&txn->lock);
	kvfree(txn);
}

static void txn_put(struct vmbeam_txn *txn)
{
	kref_put(&txn->refs, txn_free);
}

/* It is over; its domains are free for another one. The lock is held, and the caller has a reference. */
static void txn_end(struct vmbeam_txn *txn, u32 state)
{
	txn->state = state;
	trace_vmbeam_txn_end(txn->outcome->told.id, state);
	vmbeam_outcome_end(txn->outcome, state);
	txn->outcome = NULL;
	vmbeam_undo_free(&txn->log);
	txn_let_go(txn);
	if (!txn->owned)
		return;
	/* What txn_own() took. The caller's file still holds one of each. */
	txn->owned = false;
	txn_put(txn);
	module_put(THIS_MODULE);
}

/* It is stuck: the module's from now on. The file that this was issued on holds the module already. */
static void txn_own(struct vmbeam_txn *txn)
{
	txn->state = VMBEAM_TXN_STUCK;
	if (txn->owned)
		return;
	txn->owned = true;
	kref_get(&txn->refs);
	__module_get(THIS_MODULE);
	vmbeam_outcome_stuck(txn->outcome, txn);
}

/* Try to swap everything back; the lock is held. */
static int txn_try(struct vmbeam_txn *txn)
{
	if (!vmbeam_rollback(txn)) {
		txn_own(txn);
		return -EBUSY;
	}
	txn_end(txn, VMBEAM_TXN_ROLLED_BACK);
	return 0;
}

static bool txn_unfinished(const struct vmbeam_txn *txn)
{
	return txn->state == VMBEAM_TXN_OPEN || txn->state == VMBEAM_TXN_STUCK;
}

static long txn_commit(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	int rc;

	rc = mutex_lock_killable(&txn->lock);
	if (rc)
		return rc;
	if (txn->state == VMBEAM_TXN_OPEN)
		txn_end(txn, VMBEAM_TXN_COMMITTED);
	else
		rc = -EBADFD;
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
	rc = txn_unfinished(txn) ? txn_try(txn) : -EBADFD;
	mutex_unlock(&txn->lock);
	return rc;
}

static long txn_forget(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_txn *txn = call->file->private_data;
	int rc;

	rc = mutex_lock_killable(&txn->lock);
	if (rc)
		return rc;
	if (txn->state == VMBEAM_TXN_STUCK) {
		pr_warn("transaction %llu, domains %u and %u: forgotten, %llu pairs stay swapped\n",
			txn->outcome->told.id, txn->domid_a, txn->domid_b, txn->log.nr_pairs);
		txn_end(txn, VMBEAM_TXN_FORGOTTEN);
	} else {
		rc = -EBADFD;
	}
	mutex_unlock(&txn->lock);
	return rc;
}

static void rollback_at_release(struct vmbeam_txn *txn)
{
	const struct vmbeam_txn_outcome *told = &txn->outcome->told;
	const u64 id = told->id, pairs = txn->log.nr_pairs;
	int i;

	for (i = 0; i < RELEASE_TRIES && txn_try(txn); i++) {
		/* A domain that is gone does not come back. */
		if (txn->last_error == -ESRCH)
			break;
		msleep(RELEASE_PAUSE_MS);
	}
	if (pairs)
		pr_info_ratelimited("transaction %llu, domains %u and %u: closed without commit, %llu of %llu pairs swapped back\n",
				    id, txn->domid_a, txn->domid_b, pairs - txn->log.nr_pairs, pairs);
	/* Only we write what is told of it. */
	if (txn->state == VMBEAM_TXN_STUCK)
		pr_err("transaction %llu is stuck: %llu pairs stay swapped, the newest is frame %#llx of domain %u with frame %#llx of domain %u (error %u, status %#x): neither domain may be trusted to run\n",
		       id, told->nr_stuck, told->stuck_gfn_a, txn->domid_a, told->stuck_gfn_b, txn->domid_b,
		       told->stuck_error, told->stuck_status);
}

static int txn_release(struct inode *inode, struct file *file)
{
	struct vmbeam_txn *txn = file->private_data;

	/* Others may have reopened it, if it is stuck. What was never published is begin()'s to clean up. */
	mutex_lock(&txn->lock);
	if (txn->published && txn_unfinished(txn))
		rollback_at_release(txn);
	mutex_unlock(&txn->lock);
	txn_put(txn);
	return 0;
}

/* Only who asks for a rollback gets one: this may also be the file of somebody who was to forget it, and was killed. */
static int txn_reopened_release(struct inode *inode, struct file *file)
{
	txn_put(file->private_data);
	return 0;
}

static const struct vmbeam_ioctl txn_ioctls[] = {
	VMBEAM_IOCTL(VMBEAM_TXN_SWAP, VMBEAM_SWAP_EXCHANGE | VMBEAM_SWAP_INVALIDATE, vmbeam_txn_swap, nr_refused,
		     vmbeam_txn_swap),
	VMBEAM_IOCTL_IN(VMBEAM_TXN_COMMIT, 0, vmbeam_txn_end, flags, txn_commit),
	VMBEAM_IOCTL_IN(VMBEAM_TXN_ROLLBACK, 0, vmbeam_txn_end, flags, txn_rollback),
	VMBEAM_IOCTL_IN(VMBEAM_TXN_FORGET, 0, vmbeam_txn_end, flags, txn_forget),
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

static const struct file_operations txn_reopened_fops = {
	.owner = THIS_MODULE,
	.release = txn_reopened_release,
	.unlocked_ioctl = txn_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/*
 * Make a file, which takes over the caller's reference when it succeeds, and send the reply with its fd: after that
 * nothing can fail. The caller installs the fd.
 */
static struct file *txn_file(struct vmbeam_call *call, struct vmbeam_txn *txn, const struct file_operations *fops,
			     s32 *out_fd)
{
	struct file *file;
	int fd, rc;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return ERR_PTR(fd);
	file = anon_inode_getfile("[vmbeam-transaction]", fops, txn, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return file;
	}
	*out_fd = fd;
	rc = vmbeam_ioctl_reply(call);
	if (!rc)
		return file;
	put_unused_fd(fd);
	/* Its release() drops a reference; the caller's is still the caller's. */
	kref_get(&txn->refs);
	fput(file);
	return ERR_PTR(rc);
}

static bool domid_possible(u32 domid)
{
	/* The module loads in dom0 only, and the caller's own domain cannot be swapped. */
	return domid > 0 && domid < DOMID_FIRST_RESERVED;
}

static struct vmbeam_txn *txn_new(u32 domid_a, u32 domid_b)
{
	struct vmbeam_txn *txn;
	int rc;

	txn = kvzalloc(sizeof(*txn), GFP_KERNEL_ACCOUNT);
	if (!txn)
		return ERR_PTR(-ENOMEM);
	kref_init(&txn->refs);
	mutex_init(&txn->lock);
	txn->domid_a = domid_a;
	txn->domid_b = domid_b;
	txn->state = VMBEAM_TXN_OPEN;
	vmbeam_undo_init(&txn->log);
	vmbeam_undo_init(&txn->stuck);
	rc = vmbeam_rollback_reserve(txn) ?: vmbeam_undo_reserve(&txn->log, VMBEAM_BATCH_PAIRS) ?:
	     vmbeam_hold_get(&txn->hold_a, domid_a) ?: vmbeam_hold_get(&txn->hold_b, domid_b);
	/* Not told now, but by each swap; also when there is a domain of that domid by then. */
	txn->gone = rc == -ESRCH;
	if (rc && !txn->gone) {
		txn_put(txn);
		return ERR_PTR(rc);
	}
	return txn;
}

/* VMBEAM_TXN_BEGIN */
long vmbeam_txn_begin(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn_begin *arg = _arg;
	struct vmbeam_outcome *outcome;
	struct vmbeam_txn *txn;
	struct file *file;

	arg->id = 0;
	arg->out_fd = -1;
	if (arg->__reserved || !domid_possible(arg->domid_a) || !domid_possible(arg->domid_b) ||
	    arg->domid_a == arg->domid_b)
		return -EINVAL;

	txn = txn_new(arg->domid_a, arg->domid_b);
	if (IS_ERR(txn))
		return PTR_ERR(txn);
	outcome = vmbeam_outcome_begin(arg->domid_a, arg->domid_b);
	if (IS_ERR(outcome)) {
		txn_put(txn);
		return PTR_ERR(outcome);
	}
	txn->outcome = outcome;
	arg->id = outcome->told.id;
	file = txn_file(call, txn, &txn_fops, &arg->out_fd);
	if (IS_ERR(file)) {
		arg->id = 0;
		vmbeam_outcome_forget(outcome);
		txn_put(txn);
		return PTR_ERR(file);
	}
	txn->published = true;
	trace_vmbeam_txn_begin(arg->id, arg->domid_a, arg->domid_b);
	fd_install(arg->out_fd, file);
	return 0;
}

/* VMBEAM_TXN_REOPEN */
long vmbeam_txn_reopen(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn_reopen *arg = _arg;
	struct vmbeam_txn *txn;
	struct file *file;

	arg->out_fd = -1;
	if (arg->__reserved)
		return -EINVAL;
	txn = vmbeam_outcome_get_stuck(arg->id);
	if (IS_ERR(txn))
		return PTR_ERR(txn);
	file = txn_file(call, txn, &txn_reopened_fops, &arg->out_fd);
	if (IS_ERR(file)) {
		txn_put(txn);
		return PTR_ERR(file);
	}
	fd_install(arg->out_fd, file);
	return 0;
}
