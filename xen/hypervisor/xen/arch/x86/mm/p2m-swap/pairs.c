/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pairs of 4k frames: they are taken one by one.
 */

#include <xen/domain_page.h>
#include <xen/mm.h>
#include <xen/sched.h>

#include <asm/p2m.h>

#include "entry.h"
#include "frame.h"
#include "private.h"

/* Returns whether both frames have changed hands; or none has. */
static always_inline bool take_frames(struct swap_batch *b,
                                      const struct swap_seg *seg,
                                      unsigned int i, uint64_t *e0,
                                      uint64_t *e1, uint64_t old0,
                                      uint64_t old1)
{
    const mfn_t mfn0 = entry_mfn(old0), mfn1 = entry_mfn(old1);
    const pdx_t pdx0 = mfn_to_pdx(mfn0), pdx1 = mfn_to_pdx(mfn1);
    struct page_info *const pg0 = mfn_to_page(mfn0);
    struct page_info *const pg1 = mfn_to_page(mfn1);
    unsigned long *const m2p0 = &machine_to_phys_mapping[mfn_x(mfn0)];
    unsigned long *const m2p1 = &machine_to_phys_mapping[mfn_x(mfn1)];
    const unsigned long gfn0 = seg->gfn[0] + i, gfn1 = seg->gfn[1] + i;
    struct taken_pair *taken;

    if ( unlikely(!frame_is_of(pg0, b->d[0], m2p0, gfn0)) ||
         unlikely(!frame_is_of(pg1, b->d[1], m2p1, gfn1)) ||
         unlikely(!frame_freeze(pg0)) )
        return false;

    if ( unlikely(!frame_freeze(pg1)) )
    {
        frame_thaw(pg0);
        return false;
    }

    taken = b->taken_end++;
    ASSERT(taken < b->taken + PAUSE_PAIRS);
    taken->pdx[0] = pdx0;
    taken->pdx[1] = pdx1;

    swap_entries(e0, e1, old0, old1);
    frames_relink(pg0, pdx0, &b->d[0]->page_list,
                  pg1, pdx1, &b->d[1]->page_list);
    frame_hand_over(pg0, b->d[1], m2p0, gfn1);
    frame_hand_over(pg1, b->d[0], m2p1, gfn0);

    return true;
}

static always_inline bool take_pair(struct swap_batch *b,
                                    const struct swap_seg *seg, unsigned int i,
                                    uint64_t *e0, uint64_t *e1)
{
    const uint64_t old0 = *e0, old1 = *e1;

    return entry_is_frame(old0) && entry_is_frame(old1) &&
           take_frames(b, seg, i, e0, e1, old0, old1);
}

/* Returns whether an entry of the pair was stale, and is not any more. */
static bool refresh_pair(const struct swap_batch *b, const struct swap_seg *seg,
                         unsigned int i, uint64_t entry_a, uint64_t entry_b)
{
    const bool stale[2] = { entry_is_stale(entry_a), entry_is_stale(entry_b) };
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        struct p2m_domain *p2m = p2m_get_hostp2m(b->d[side]);

        /* Nothing above the entry is stale, so nothing is allocated. */
        if ( stale[side] )
            p2m->recalc(p2m, seg->gfn[side] + i);
    }

    return stale[0] || stale[1];
}

/* A pair that could not be taken.  Returns its status. */
static noinline uint8_t take_or_refuse(struct swap_batch *b,
                                       const struct swap_seg *seg,
                                       unsigned int i, uint64_t *e0,
                                       uint64_t *e1)
{
    if ( refresh_pair(b, seg, i, *e0, *e1) && take_pair(b, seg, i, e0, e1) )
        return XEN_P2M_SWAP_ST_SWAPPED;

    return p2m_swap_refuse_pair(b, seg, i);
}

/*
 * Segments of pairs, from @seg on, as many as follow each other.  Returns where
 * they end.  On its own it has all registers.
 */
struct swap_seg *p2m_swap_take_pairs(struct swap_batch *b,
                                     struct swap_seg *seg,
                                     const struct swap_seg *end)
{
    for ( ; seg < end && seg->kind == SEG_PAIRS; seg++ )
    {
        uint64_t *e0 = map_entry(seg, 0, PAGE_ORDER_4K);
        uint64_t *e1 = map_entry(seg, 1, PAGE_ORDER_4K);
        uint8_t *st = b->status + seg->first;
        unsigned int i;

        for ( i = 0; i < seg->nr; i++ )
        {
            if ( is_kept(b, seg, i) )
                st[i] = XEN_P2M_SWAP_ST_KEPT;
            else if ( likely(take_pair(b, seg, i, &e0[i], &e1[i])) )
                st[i] = XEN_P2M_SWAP_ST_SWAPPED;
            else
                st[i] = take_or_refuse(b, seg, i, &e0[i], &e1[i]);
        }

        unmap_domain_page(e1);
        unmap_domain_page(e0);
    }

    return seg;
}

/* Let the new owners have what they were given. */
void p2m_swap_release_pairs(struct swap_batch *b)
{
    const struct taken_pair *taken, *const end = b->taken_end;

    for ( taken = b->taken; taken < end; taken++ )
    {
        frame_thaw(pdx_to_page(taken->pdx[0]));
        frame_thaw(pdx_to_page(taken->pdx[1]));
    }
    b->taken_end = b->taken;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
