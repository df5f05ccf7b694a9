// SPDX-License-Identifier: GPL-2.0
/*
 * The frames of an export as extents, and read().
 */
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "guest.h"

/*
 * The extents as they were at the last read() at offset 0. Counted, since a reader copies out of it without the
 * export's lock while another one may replace it.
 */
struct vmbeam_extents {
	refcount_t refs;
	u64 nr;
	struct vmbeam_extent e[];
};

void vmbeam_extents_put(struct vmbeam_extents *x)
{
	if (x && refcount_dec_and_test(&x->refs))
		kvfree(x);
}

/* The index by pfn is walked in ascending order: there is nothing to sort. */
static struct vmbeam_extents *vmbeam_extents_make(struct vmbeam_export *e)
{
	struct vmbeam_extent *last = NULL;
	struct vmbeam_extents *x;
	unsigned long pfn;
	u32 walked = 0;
	void *slot;

	x = kvmalloc(struct_size(x, e, e->nr_extents), GFP_KERNEL_ACCOUNT);
	if (!x)
		return NULL;
	refcount_set(&x->refs, 1);
	x->nr = 0;

	xa_for_each(&e->by_pfn, pfn, slot) {
		u64 gfn = vmbeam_frames_gfn(e, xa_to_value(slot));

		if (!(++walked % 4096))
			cond_resched();
		if (last && last->pfn + last->nr == pfn && last->gfn + last->nr == gfn) {
			last->nr++;
			continue;
		}
		if (WARN_ON_ONCE(x->nr == e->nr_extents))
			break;
		last = &x->e[x->nr++];
		*last = (struct vmbeam_extent){ .pfn = pfn, .gfn = gfn, .nr = 1 };
	}
	WARN_ON_ONCE(x->nr != e->nr_extents);
	return x;
}

/* Gives a reference; the export's lock is held. */
static struct vmbeam_extents *vmbeam_extents_get(struct vmbeam_export *e, bool refresh)
{
	if (!e->extents || (refresh && e->extents_stale)) {
		struct vmbeam_extents *x = vmbeam_extents_make(e);

		if (!x)
			return NULL;
		vmbeam_extents_put(e->extents);
		e->extents = x;
		e->extents_stale = false;
	}
	refcount_inc(&e->extents->refs);
	return e->extents;
}

ssize_t vmbeam_extents_read(struct vmbeam_export *e, char __user *buf, size_t count, loff_t *ppos)
{
	const size_t one = sizeof(struct vmbeam_extent);
	struct vmbeam_extents *x = NULL;
	u64 first = *ppos / one;
	ssize_t rc = 0;

	if (*ppos < 0 || *ppos % one || count < one)
		return -EINVAL;

	if (mutex_lock_killable(&e->lock))
		return -EINTR;
	if (!e->state)
		rc = -EBADFD;
	else
		x = vmbeam_extents_get(e, !first);
	mutex_unlock(&e->lock);
	if (rc)
		return rc;
	if (!x)
		return -ENOMEM;

	if (first < x->nr) {
		u64 nr = min_t(u64, count / one, x->nr - first);

		if (copy_to_user(buf, &x->e[first], nr * one))
			rc = -EFAULT;
		else
			rc = nr * one;
	}
	vmbeam_extents_put(x);
	if (rc > 0)
		*ppos += rc;
	return rc;
}
