// SPDX-License-Identifier: GPL-2.0
/* One batch of pairs, being filled: extents to swap, and which parts of them are excluded. */
#include "hypercall.h"

void vmbeam_batch_reset(struct vmbeam_batch *batch)
{
	batch->extents = batch->own;
	batch->nr_extents = 0;
	batch->nr_excluded = 0;
	batch->first_excluded = 0;
	batch->nr_pairs = 0;
	batch->nr_done = 0;
	batch->ns = 0;
}

/* Extents that stay where they are until they were swapped, in place of any that were added. */
void vmbeam_batch_borrow(struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *extents, u32 nr_extents,
			 u32 nr_pairs)
{
	batch->extents = extents;
	batch->nr_extents = nr_extents;
	batch->nr_pairs = nr_pairs;
}

void vmbeam_batch_add(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr)
{
	batch->own[batch->nr_extents++] = (struct xen_p2m_swap_extent) {
		.gfn_a = gfn_a,
		.gfn_b = gfn_b,
		.nr = nr,
	};
	batch->nr_pairs += nr;
	batch->first_excluded = batch->nr_excluded;
}

/**
 * vmbeam_batch_exclude - exclude pairs of the extent that was added last
 * @batch: being filled
 * @gfn_a: domain A's first frame
 * @gfn_b: domain B's
 * @nr: pairs; behind all that are excluded of this extent already
 */
void vmbeam_batch_exclude(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr)
{
	/* Joined only within the extent. */
	if (batch->nr_excluded > batch->first_excluded) {
		struct xen_p2m_swap_extent *last = &batch->excluded[batch->nr_excluded - 1];

		if (last->gfn_a + last->nr == gfn_a) {
			last->nr += nr;
			return;
		}
	}
	batch->excluded[batch->nr_excluded++] = (struct xen_p2m_swap_extent) {
		.gfn_a = gfn_a,
		.gfn_b = gfn_b,
		.nr = nr,
	};
}
