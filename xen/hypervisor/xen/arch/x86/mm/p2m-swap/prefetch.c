/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prefetching what the pairs of a pause are going to touch.
 */

#include <xen/domain_page.h>
#include <xen/mm.h>
#include <xen/prefetch.h>

#include "entry.h"
#include "private.h"

/* The entry of a segment's first pair, as it is now. */
static uint64_t peek_entry(const struct swap_seg *seg, unsigned int side)
{
    const uint64_t *e = map_entry(seg, side, PAGE_ORDER_4K);
    const uint64_t entry = *e;

    unmap_domain_page(e);

    return entry;
}

#define for_each_pairs(seg, start, end) \
    for ( (seg) = (start); (seg) < (end); (seg)++ ) \
        if ( (seg)->kind == SEG_PAIRS )

/*
 * A pair that has nothing to do with its neighbours misses the caches with
 * everything: entries, pages, M2P, and who is beside the pages in the lists.
 * When pairs are taken, these misses follow one another, for each locked
 * operation waits for what is before it.  Here nothing waits, and they overlap.
 * Of a run only the first pair is asked for: the processor sees what comes next.
 */
void p2m_swap_prefetch_pairs(const struct swap_seg *start,
                             const struct swap_seg *end)
{
    const struct swap_seg *seg;
    unsigned int side;

    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const uint64_t *e = map_entry(seg, side, PAGE_ORDER_4K);

            prefetchw(e);
            unmap_domain_page(e);
        }

    /* Whatever the entry is of: an address that is wrong does no harm here. */
    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const mfn_t mfn = entry_mfn(peek_entry(seg, side));

            prefetchw(mfn_to_page(mfn));
            prefetchw(&machine_to_phys_mapping[mfn_x(mfn)]);
        }

    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const uint64_t entry = peek_entry(seg, side);
            const struct page_info *pg = mfn_to_page(entry_mfn(entry));

            if ( entry_is_frame(entry) )
            {
                prefetchw(pdx_to_page(pg->list.next));
                prefetchw(pdx_to_page(pg->list.prev));
            }
        }
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
