/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Populating a PV domain in pieces of 2 MiB.
 *
 * A PV domain does not care how its frames lie in memory.  The system below
 * does, if this one is itself a guest: where 512 pfns from a multiple of 512 on
 * have 512 frames that lie likewise, both may be mapped there by one entry, and
 * can be swapped for those of the domain's old place as one.
 */

#ifndef XG_SR_RESTORE_LARGE_H
#define XG_SR_RESTORE_LARGE_H

struct xc_sr_context;

/*
 * Get memory for pfns that have none, and fill in their mfns.  Frame by frame
 * where pfns do not follow each other, or Xen has no memory in one piece.
 */
int xc_sr_restore_populate(struct xc_sr_context *ctx, unsigned int nr,
                           const xen_pfn_t *pfns, xen_pfn_t *mfns);

#endif /* XG_SR_RESTORE_LARGE_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * tab-width: 4
 * indent-tabs-mode: nil
 * End:
 */
