/* SPDX-License-Identifier: GPL-2.0 */
/* One batch of pairs to the hypervisor. */
#ifndef _VMBEAM_HYPERCALL_H
#define _VMBEAM_HYPERCALL_H

#include <linux/types.h>
#include <xen/interface/xen.h>

/*
 * Xen's public header needs two types of Xen's that Linux has on Arm only. A 64-bit guest handle is the address,
 * as a number; this does not type-check what it points to, hypercall.c is the only user.
 */
typedef struct {
	__aligned_u64 p;
} vmbeam_handle_64_t;

#define uint64_aligned_t		__aligned_u64
#define XEN_GUEST_HANDLE_64(name)	vmbeam_handle_64_t
#define DEFINE_XEN_GUEST_HANDLE(name)	typedef vmbeam_handle_64_t vmbeam_handle_64_##name

#include "../../include/xen/p2m_swap.h"

#undef uint64_aligned_t
#undef XEN_GUEST_HANDLE_64
#undef DEFINE_XEN_GUEST_HANDLE

/*
 * Bounds of one hypercall: enough pairs that the hypervisor's continuations happen and that what a call costs does not
 * count, few enough that the time between two cond_resched() stays at some milliseconds. Whole superpages fit.
 */
#define VMBEAM_BATCH_PAIRS	6144U
#define VMBEAM_BATCH_EXTENTS	2048U
/* No two of an extent meet, or they would be one: every second pair at most, rounded up for each extent. */
#define VMBEAM_BATCH_EXCLUDED	((VMBEAM_BATCH_PAIRS + VMBEAM_BATCH_EXTENTS) / 2)

/**
 * struct vmbeam_batch - the argument and the result of one hypercall
 * @extents: what is to be swapped: @own, or the caller's own list
 * @nr_extents: of @extents
 * @nr_excluded: of @excluded
 * @first_excluded: of the extent that was added last
 * @nr_pairs: frames of all extents, at most VMBEAM_BATCH_PAIRS
 * @nr_done: pairs that the hypervisor looked at; @status is good below it
 * @all_swapped: every pair is VMBEAM_PAIR_SWAPPED
 * @ns: time spent in the hypercall
 * @op: what the hypervisor counted besides
 * @own: of vmbeam_batch_add()
 * @excluded: parts of @extents, in the same order
 * @status: XEN_P2M_SWAP_ST_*
 *
 * About 150 KiB: allocated once for a transaction, since a rollback must not depend on memory.
 */
struct vmbeam_batch {
	const struct xen_p2m_swap_extent *extents;
	u32 nr_extents;
	u32 nr_excluded;
	u32 first_excluded;
	u32 nr_pairs;
	u32 nr_done;
	bool all_swapped;
	u64 ns;
	struct xen_p2m_swap op;
	struct xen_p2m_swap_extent own[VMBEAM_BATCH_EXTENTS];
	struct xen_p2m_swap_extent excluded[VMBEAM_BATCH_EXCLUDED];
	u8 status[VMBEAM_BATCH_PAIRS];
};

void vmbeam_batch_reset(struct vmbeam_batch *batch);
void vmbeam_batch_borrow(struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *extents, u32 nr_extents,
			 u32 nr_pairs);
void vmbeam_batch_add(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr);
void vmbeam_batch_exclude(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr);
int vmbeam_batch_swap(struct vmbeam_batch *batch, u32 domid_a, u32 domid_b, u32 flags);
int vmbeam_hypercall_probe(void);

#endif /* _VMBEAM_HYPERCALL_H */
