// SPDX-License-Identifier: GPL-2.0
/* What the hypervisor did with a batch, into an undo log: what of it moved, or what of it is still to be moved. */
#include <linux/minmax.h>
#include <linux/string.h>

#include "host.h"

bool vmbeam_pair_moved(u8 status)
{
	status &= VMBEAM_PAIR_MASK;
	return status == VMBEAM_PAIR_SWAPPED || status == VMBEAM_PAIR_EXCHANGED;
}

bool vmbeam_pair_kept(u8 status)
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

/**
 * vmbeam_record_batch - append those pairs of a batch to a log that were dealt with, or those that were not
 * @log: where to; it has room for as many runs as the batch has pairs. Excluded pairs are marked in it
 * @batch: was given to the hypervisor
 * @dealt_with: which of them
 * @by_status: pairs by their status are added to it, unless all were swapped; NULL: nobody wants to know
 */
void vmbeam_record_batch(struct vmbeam_undo *log, const struct vmbeam_batch *batch, bool dealt_with,
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
				vmbeam_undo_append(log, &run);
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
				run.kept = vmbeam_pair_kept(batch->status[k]);
				if (by_status)
					by_status[batch->status[k] & VMBEAM_PAIR_MASK] += run.nr;
				done = run.kept || vmbeam_pair_moved(batch->status[k]);
			} else {
				cut_untouched(batch, extent, j, x, &run);
			}
			if (done == dealt_with)
				vmbeam_undo_append(log, &run);
		}
		x = next_excluded(batch, extent, extent->nr, x);
	}
}
