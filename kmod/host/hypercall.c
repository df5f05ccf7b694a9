// SPDX-License-Identifier: GPL-2.0
/* One batch of pairs to the hypervisor: XENMEM_p2m_swap. */
#include <linux/build_bug.h>
#include <linux/bug.h>
#include <linux/ktime.h>
#include <linux/string.h>
#include <asm/xen/hypercall.h>

#include "host.h"

/* The hypervisor reads these structs: a layout that differs from its own must not compile. */
static_assert(sizeof(struct xen_p2m_swap_extent) == 24);
static_assert(sizeof(struct xen_p2m_swap) == 136);
static_assert(offsetof(struct xen_p2m_swap, nr_done) == 16);
static_assert(offsetof(struct xen_p2m_swap, extents) == 24);
static_assert(offsetof(struct xen_p2m_swap, status) == 32);
static_assert(offsetof(struct xen_p2m_swap, excluded) == 40);
static_assert(offsetof(struct xen_p2m_swap, nr_large) == 48);
static_assert(offsetof(struct xen_p2m_swap, pauses) == 68);
static_assert(VMBEAM_BATCH_EXTENTS <= XEN_P2M_SWAP_MAX_EXTENTS);
static_assert(VMBEAM_BATCH_EXCLUDED <= XEN_P2M_SWAP_MAX_EXTENTS);
static_assert(VMBEAM_BATCH_PAIRS <= XEN_P2M_SWAP_MAX_PAIRS);

/* Statuses and flags go through to the caller as they are. */
static_assert(VMBEAM_SWAP_EXCHANGE == XEN_P2M_SWAP_EXCHANGE);
static_assert(VMBEAM_SWAP_INVALIDATE == XEN_P2M_SWAP_INVALIDATE);
static_assert(VMBEAM_PAIR_SWAPPED == XEN_P2M_SWAP_ST_SWAPPED);
static_assert(VMBEAM_PAIR_EXCHANGED == XEN_P2M_SWAP_ST_EXCHANGED);
static_assert(VMBEAM_PAIR_BUSY == XEN_P2M_SWAP_ST_BUSY);
static_assert(VMBEAM_PAIR_TYPE == XEN_P2M_SWAP_ST_TYPE);
static_assert(VMBEAM_PAIR_SPECIAL == XEN_P2M_SWAP_ST_SPECIAL);
static_assert(VMBEAM_PAIR_OWNER == XEN_P2M_SWAP_ST_OWNER);
static_assert(VMBEAM_PAIR_M2P == XEN_P2M_SWAP_ST_M2P);
static_assert(VMBEAM_PAIR_RANGE == XEN_P2M_SWAP_ST_RANGE);
static_assert(VMBEAM_PAIR_DUPLICATE == XEN_P2M_SWAP_ST_DUPLICATE);
static_assert(VMBEAM_PAIR_NOMEM == XEN_P2M_SWAP_ST_NOMEM);
static_assert(VMBEAM_PAIR_KEPT == XEN_P2M_SWAP_ST_KEPT);
static_assert(VMBEAM_PAIR_SKIPPED == XEN_P2M_SWAP_ST_SKIPPED);
static_assert(VMBEAM_PAIR_MASK == XEN_P2M_SWAP_ST_MASK);
static_assert(VMBEAM_PAIR_SIDE_A == XEN_P2M_SWAP_ST_SIDE_A);
static_assert(VMBEAM_PAIR_SIDE_B == XEN_P2M_SWAP_ST_SIDE_B);
static_assert(VMBEAM_PAUSES == XEN_P2M_SWAP_PAUSES);
static_assert(XEN_P2M_SWAP_PAUSE_SHIFT == 10);

/**
 * vmbeam_batch_swap - have the hypervisor swap a batch
 * @batch: filled; gets nr_done, all_swapped, ns and the statuses below nr_done
 * @domid_a: domain A
 * @domid_b: domain B
 * @flags: XEN_P2M_SWAP_*
 *
 * Return: 0 when the hypervisor looked at every pair, or its error; nr_done counts either way
 */
int vmbeam_batch_swap(struct vmbeam_batch *batch, u32 domid_a, u32 domid_b, u32 flags)
{
	struct xen_p2m_swap *op = &batch->op;
	u64 start;
	long rc;

	*op = (struct xen_p2m_swap) {
		.domid_a = domid_a,
		.domid_b = domid_b,
		.flags = flags,
		.nr_extents = batch->nr_extents,
		.nr_excluded = batch->nr_excluded,
		.extents.p = (uintptr_t)batch->extents,
		.excluded.p = (uintptr_t)batch->excluded,
		.status.p = (uintptr_t)batch->status,
	};

	start = ktime_get_ns();
	rc = HYPERVISOR_memory_op(XENMEM_p2m_swap, op);
	batch->ns = ktime_get_ns() - start;

	if (WARN_ON_ONCE(op->nr_done > batch->nr_pairs))
		op->nr_done = batch->nr_pairs;
	batch->nr_done = op->nr_done;
	batch->all_swapped = batch->nr_done == batch->nr_pairs &&
			     !memchr_inv(batch->status, XEN_P2M_SWAP_ST_SWAPPED, batch->nr_pairs);
	if (WARN_ON_ONCE(!rc && batch->nr_done < batch->nr_pairs))
		rc = -EIO;
	return rc;
}

/**
 * vmbeam_hypercall_probe - does the hypervisor have the op, and for this domain?
 *
 * An empty call to a domain that cannot be. What else it answers does not matter.
 *
 * Return: 0; -ENOSYS if it does not know the op; -EOPNOTSUPP if it does not let a domain of this kind use it
 */
int vmbeam_hypercall_probe(void)
{
	struct xen_p2m_swap op = {
		.domid_a = DOMID_INVALID,
		.domid_b = DOMID_INVALID,
	};
	long rc = HYPERVISOR_memory_op(XENMEM_p2m_swap, &op);

	return rc == -ENOSYS || rc == -EOPNOTSUPP ? rc : 0;
}
