/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pair of superpages: it is taken as one, or not at all.
 */

#include <xen/domain_page.h>
#include <xen/mm.h>

#include "entry.h"
#include "private.h"

/* The first frame of an entry of a superpage of plain RAM, or NULL. */
static struct page_info *entry_superpage(uint64_t entry)
{
    const mfn_t mfn = entry_mfn(entry);

    return entry_is_ram(entry, PAGE_ORDER_2M) && mfn_valid(mfn)
           ? mfn_to_page(mfn) : NULL;
}

/* All frames of both sides, the excluded ones, too; or none. */
bool p2m_swap_take_superpage(struct swap_batch *b, struct swap_seg *seg)
{
    uint64_t *e0 = map_entry(seg, 0, PAGE_ORDER_2M);
    uint64_t *e1 = map_entry(seg, 1, PAGE_ORDER_2M);
    const uint64_t old0 = *e0, old1 = *e1;
    /* What was done for a segment after it was found may have changed it. */
    struct page_info *pg0 = entry_superpage(old0);
    struct page_info *pg1 = entry_superpage(old1);
    bool chained0, chained1, taken = false;

    if ( !pg0 || !pg1 ||
         !p2m_swap_freeze_run(pg0, b->d[0], seg->gfn[0], SUPERPAGE_PAGES,
                              &chained0) )
        goto out;

    if ( !p2m_swap_freeze_run(pg1, b->d[1], seg->gfn[1], SUPERPAGE_PAGES,
                              &chained1) )
    {
        p2m_swap_thaw_run(pg0, SUPERPAGE_PAGES);
        goto out;
    }

    swap_entries(e0, e1, old0, old1);
    p2m_swap_hand_over_run(pg0, b->d[0], b->d[1], seg->gfn[1], SUPERPAGE_PAGES,
                           chained0);
    p2m_swap_hand_over_run(pg1, b->d[1], b->d[0], seg->gfn[0], SUPERPAGE_PAGES,
                           chained1);

    seg->pg[0] = pg0;
    seg->pg[1] = pg1;
    p2m_swap_set_status(b, seg, XEN_P2M_SWAP_ST_SWAPPED);
    b->op->nr_large += SUPERPAGE_PAGES;
    taken = true;

 out:
    unmap_domain_page(e1);
    unmap_domain_page(e0);

    return taken;
}

/* Let the new owners have what they were given. */
void p2m_swap_release_superpage(const struct swap_batch *b,
                                const struct swap_seg *seg)
{
    unsigned int i;

    /* Excluded: the frame has gone, and the contents come back. */
    for ( i = next_kept(b, seg, 0); i < SUPERPAGE_PAGES;
          i = next_kept(b, seg, i + 1) )
        p2m_swap_exchange(seg->pg[0] + i, seg->pg[1] + i);

    p2m_swap_thaw_run(seg->pg[0], SUPERPAGE_PAGES);
    p2m_swap_thaw_run(seg->pg[1], SUPERPAGE_PAGES);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
