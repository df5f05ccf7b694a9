/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pairs that could not be taken: why, and the exchange of those that are busy.
 */

#include <xen/mm.h>
#include <xen/sched.h>

#include <asm/p2m.h>

#include "private.h"

/* Everything but whether it is busy. */
static uint8_t check_frame(struct domain *d, unsigned long gfn,
                           struct page_info **pg)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    p2m_type_t t;
    p2m_access_t a;
    mfn_t mfn;

    if ( gfn > p2m->max_mapped_pfn )
        return XEN_P2M_SWAP_ST_RANGE;

    /*
     * Not get_gfn_type_access(): the lock is held already, and nothing is to be
     * populated or unshared.
     */
    mfn = p2m->get_entry(p2m, _gfn(gfn), &t, &a, 0, NULL, NULL);

    if ( t != p2m_ram_rw )
        return XEN_P2M_SWAP_ST_TYPE;

    if ( !mfn_valid(mfn) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    *pg = mfn_to_page(mfn);

    if ( is_special_page(*pg) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    if ( page_get_owner(*pg) != d )
        return XEN_P2M_SWAP_ST_OWNER;

    if ( get_gpfn_from_mfn(mfn_x(mfn)) != gfn )
        return XEN_P2M_SWAP_ST_M2P;

    /* Nobody else freezes pages of this domain while its P2M is locked. */
    if ( !((*pg)->count_info & PGC_count_mask) )
        return XEN_P2M_SWAP_ST_DUPLICATE;

    return XEN_P2M_SWAP_ST_SWAPPED;
}

/*
 * A pair that could not be frozen: why?  If it is only busy, and the caller
 * wants it, the contents change places: at once, so that all happens in the
 * order of the list.  Whoever else refers to the frames keeps access to them, as
 * their owners do: only data goes across, so no count matters.  Under the
 * page_alloc_locks of domains that are not dying the frames cannot go.
 */
uint8_t p2m_swap_refuse_pair(const struct swap_batch *b,
                             const struct swap_seg *seg, unsigned int i)
{
    struct page_info *pg[2];
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        uint8_t st = check_frame(b->d[side], seg->gfn[side] + i, &pg[side]);

        if ( st != XEN_P2M_SWAP_ST_SWAPPED )
            return on_side(st, side);
    }

    if ( b->exchange && p2m_swap_frame_is_sound(pg[0]) &&
         p2m_swap_frame_is_sound(pg[1]) )
    {
        p2m_swap_exchange(pg[0], pg[1]);
        return XEN_P2M_SWAP_ST_EXCHANGED;
    }

    /* If neither is busy any more, someone has just let go. */
    return on_side(XEN_P2M_SWAP_ST_BUSY, p2m_swap_frame_is_idle(pg[0]));
}

void p2m_swap_refuse_pairs(struct swap_batch *b, const struct swap_seg *seg)
{
    uint8_t *st = b->status + seg->first;
    unsigned int i;

    for ( i = 0; i < seg->nr; i++ )
        st[i] = is_kept(b, seg, i) ? XEN_P2M_SWAP_ST_KEPT
                                   : p2m_swap_refuse_pair(b, seg, i);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
