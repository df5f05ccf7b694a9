/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done with a machine frame that changes its owner.
 *
 * All of it under the owner's page_alloc_lock: relinquish_memory() takes a count
 * of zero for a page that is being freed, and passes over it.
 */
#ifndef ARCH_X86_MM_P2M_SWAP_FRAME_H
#define ARCH_X86_MM_P2M_SWAP_FRAME_H

#include <xen/mm.h>
#include <xen/sched.h>

/* What a frame's count is when its owner's P2M entry is all that refers to it. */
#define COUNT_IDLE      (PGC_allocated | 1)

/*
 * What may be left in type_info by mappings that have gone.  Not
 * PGT_non_coherent, which asks for a cache flush before the frame is anybody
 * else's: such a frame does not move.
 */
#define TYPE_IDLE       (PGT_type_mask | PGT_validated)

/* A place in a list of frames, and what it names its neighbours by. */
typedef typeof(((struct page_info *)0)->list) links_t;
typedef typeof(((links_t *)0)->next) pdx_t;

/*
 * Is it the owner's, at this gfn?  Neither changes while the page_alloc_lock and
 * the owner's P2M lock are held.
 */
static always_inline bool frame_is_of(const struct page_info *pg,
                                      const struct domain *owner,
                                      const unsigned long *m2p,
                                      unsigned long gfn)
{
    return page_get_owner(pg) == owner && *m2p == gfn;
}

/*
 * Not a plain write: offline_page() may have changed the state meanwhile.  The
 * addition sets bits that are clear, and is a barrier: the owner is visible
 * before a reference can be taken.
 */
static always_inline void frame_thaw(struct page_info *pg)
{
    asm volatile ( "lock add %[idle], %[count]"
                   : [count] "+m" (pg->count_info)
                   : [idle] "r" (COUNT_IDLE)
                   : "memory" );
}

/*
 * With the count at zero nobody can get a reference any more, nor a type without
 * one.  Any flag or state besides "allocated" makes the count differ: of a page
 * that is special, extra, broken or being offlined.
 */
static always_inline bool frame_freeze_count(struct page_info *pg)
{
    return cmpxchg(&pg->count_info, COUNT_IDLE, 0UL) == COUNT_IDLE;
}

static always_inline bool frame_freeze(struct page_info *pg)
{
    if ( unlikely(!frame_freeze_count(pg)) )
        return false;

    if ( likely(!(pg->u.inuse.type_info & ~TYPE_IDLE)) )
        return true;

    frame_thaw(pg);

    return false;
}

/* The frame takes the place in a list that another one had. */
static always_inline void frame_relink(struct page_info *pg, pdx_t pdx,
                                       links_t place,
                                       const struct page_info *had_it,
                                       struct page_list_head *list)
{
    if ( unlikely(list->next == had_it) )
        list->next = pg;
    else
        pdx_to_page(place.prev)->list.next = pdx;

    if ( unlikely(list->tail == had_it) )
        list->tail = pg;
    else
        pdx_to_page(place.next)->list.prev = pdx;

    pg->list = place;
}

/*
 * Two frames change places in their owners' lists.  So lists that had frames in
 * the order of memory have them so again when they are swapped back.
 */
static always_inline void frames_relink(struct page_info *pg0, pdx_t pdx0,
                                        struct page_list_head *list0,
                                        struct page_info *pg1, pdx_t pdx1,
                                        struct page_list_head *list1)
{
    const links_t place0 = pg0->list, place1 = pg1->list;

    frame_relink(pg1, pdx1, place0, pg0, list0);
    frame_relink(pg0, pdx0, place1, pg1, list1);
}

/* Makes a frozen frame its new owner's, but for the list. */
static always_inline void frame_hand_over(struct page_info *pg,
                                          struct domain *owner,
                                          unsigned long *m2p,
                                          unsigned long gfn)
{
    pg->u.inuse.type_info = 0;
    page_set_owner(pg, owner);
    /* There is a second table for 32-bit domains. */
    if ( IS_ENABLED(CONFIG_PV32) )
        set_gpfn_from_mfn(m2p - machine_to_phys_mapping, gfn);
    else
        *m2p = gfn;
}

#endif /* ARCH_X86_MM_P2M_SWAP_FRAME_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
