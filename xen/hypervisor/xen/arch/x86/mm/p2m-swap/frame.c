/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Machine frames that change their owner.
 *
 * All of it under the owner's page_alloc_lock: relinquish_memory() takes a count
 * of zero for a page that is being freed, and passes over it.
 */

#include <xen/domain_page.h>
#include <xen/sched.h>

#include <asm/mm.h>

#include "private.h"

/* What a frame's count is when its owner's P2M entry is all that refers to it. */
#define COUNT_IDLE      (PGC_allocated | 1)

/*
 * What may be left in type_info by mappings that have gone.  Not
 * PGT_non_coherent, which asks for a cache flush before the frame is anybody
 * else's: such a frame does not move.
 */
#define TYPE_IDLE       (PGT_type_mask | PGT_validated)

static always_inline bool type_is_idle(const struct page_info *pg)
{
    return !(ACCESS_ONCE(pg->u.inuse.type_info) & ~TYPE_IDLE);
}

/* Could the frame be frozen?  Anyone may take a reference next. */
bool p2m_swap_frame_is_idle(const struct page_info *pg)
{
    return ACCESS_ONCE(pg->count_info) == COUNT_IDLE && type_is_idle(pg);
}

/* Reading a bad frame would be a machine check. */
bool p2m_swap_frame_is_sound(const struct page_info *pg)
{
    return (ACCESS_ONCE(pg->count_info) & ~PGC_count_mask) == PGC_allocated;
}

/*
 * Not a plain write: offline_page() may have changed the state meanwhile.  The
 * addition sets bits that are clear, and is a barrier: the owner is visible
 * before a reference can be taken.
 */
static always_inline void thaw(struct page_info *pg)
{
    (void)arch_fetch_and_add(&pg->count_info, COUNT_IDLE);
}

void p2m_swap_thaw(struct page_info *pg)
{
    thaw(pg);
}

/*
 * With the count at zero nobody can get a reference any more.  Any flag or state
 * besides "allocated" makes the count differ: of a page that is special, extra,
 * broken or being offlined.
 */
static always_inline bool freeze(struct page_info *pg)
{
    if ( unlikely(cmpxchg(&pg->count_info, COUNT_IDLE, 0UL) != COUNT_IDLE) )
        return false;

    if ( likely(type_is_idle(pg)) )
        return true;

    thaw(pg);

    return false;
}

/* What page_get_owner() reads, so that it need not be converted each time. */
static always_inline typeof(((struct page_info *)0)->v.inuse._domain)
owner_of(const struct domain *d)
{
    return virt_to_pdx(d);
}

bool p2m_swap_freeze(struct page_info *pg, const struct domain *d,
                     unsigned long gfn)
{
    return pg->v.inuse._domain == owner_of(d) &&
           get_gpfn_from_mfn(mfn_x(page_to_mfn(pg))) == gfn && freeze(pg);
}

/*
 * Freeze frames that follow each other, as their gfns do.  Returns how many
 * were: all, or those before the first that cannot be.  @chained tells whether
 * they follow each other in their owner's list, too, as they do when they were
 * allocated together.
 */
unsigned int p2m_swap_freeze_run(struct page_info *pg, const struct domain *d,
                                 unsigned long gfn, unsigned int nr,
                                 bool *chained)
{
    const unsigned long *m2p =
        &machine_to_phys_mapping[mfn_x(page_to_mfn(pg))];
    const typeof(pg->v.inuse._domain) owner = owner_of(d);
    typeof(pg->list.next) next = page_to_pdx(pg);
    unsigned int i;

    *chained = true;

#pragma GCC unroll 8
    for ( i = 0; i < nr; i++, pg++, m2p++, gfn++ )
    {
        if ( unlikely(pg->v.inuse._domain != owner) ||
             unlikely(*m2p != gfn) || unlikely(!freeze(pg)) )
            return i;

        if ( unlikely(pg->list.next != ++next) && i + 1 < nr )
            *chained = false;
    }

    return nr;
}

void p2m_swap_thaw_run(struct page_info *pg, unsigned int nr)
{
    while ( nr-- )
        thaw(pg++);
}

static always_inline void set_m2p(unsigned long *m2p, unsigned long gfn)
{
    /* There is a second table for 32-bit domains. */
    if ( IS_ENABLED(CONFIG_PV32) )
        set_gpfn_from_mfn(m2p - machine_to_phys_mapping, gfn);
    else
        *m2p = gfn;
}

/* Gives a frozen frame to its new owner, but for the list.  Thaws it. */
static always_inline void hand_over(
    struct page_info *pg, typeof(pg->v.inuse._domain) owner,
    unsigned long *m2p, unsigned long gfn)
{
    pg->u.inuse.type_info = 0;
    pg->v.inuse._domain = owner;
    /*
     * Before the thaw, for the frame's P2M entry keeps no reference: later it
     * may be someone else's.
     */
    set_m2p(m2p, gfn);
    thaw(pg);
}

/* Both owners' page_alloc_locks are held.  @gfn is that of the new owner. */
void p2m_swap_move(struct page_info *pg, struct domain *from,
                   struct domain *to, unsigned long gfn)
{
    page_list_del(pg, &from->page_list);
    page_list_add_tail(pg, &to->page_list);
    hand_over(pg, owner_of(to),
              &machine_to_phys_mapping[mfn_x(page_to_mfn(pg))], gfn);
}

/* Take pages that follow each other off a list, as page_list_del() would. */
static void list_del_chain(struct page_info *first, struct page_info *last,
                           struct page_list_head *list)
{
    struct page_info *prev = page_list_prev(first, list);
    struct page_info *next = page_list_next(last, list);

    if ( prev )
        prev->list.next = last->list.next;
    else
        list->next = next;

    if ( next )
        next->list.prev = first->list.prev;
    else
        list->tail = prev;
}

static void list_add_chain_tail(struct page_info *first, struct page_info *last,
                                struct page_list_head *list)
{
    struct page_info *tail = page_list_last(list);

    last->list.next = PAGE_LIST_NULL;
    if ( tail )
    {
        first->list.prev = page_to_pdx(tail);
        tail->list.next = page_to_pdx(first);
    }
    else
    {
        first->list.prev = PAGE_LIST_NULL;
        list->next = first;
    }
    list->tail = last;
}

/* Likewise for all of a run that was frozen as one. */
void p2m_swap_move_run(struct page_info *pg, struct domain *from,
                       struct domain *to, unsigned long gfn, unsigned int nr,
                       bool chained)
{
    unsigned long *m2p = &machine_to_phys_mapping[mfn_x(page_to_mfn(pg))];
    const typeof(pg->v.inuse._domain) owner = owner_of(to);
    unsigned int i;

    if ( likely(chained) )
    {
        list_del_chain(pg, pg + nr - 1, &from->page_list);
        list_add_chain_tail(pg, pg + nr - 1, &to->page_list);
    }
    else
        for ( i = 0; i < nr; i++ )
        {
            page_list_del(pg + i, &from->page_list);
            page_list_add_tail(pg + i, &to->page_list);
        }

#pragma GCC unroll 8
    for ( i = 0; i < nr; i++, pg++, m2p++, gfn++ )
        hand_over(pg, owner, m2p, gfn);
}

/* The contents of two frames change places. */
void p2m_swap_exchange(const struct page_info *pg0, const struct page_info *pg1)
{
    unsigned long *p0 = __map_domain_page(pg0);
    unsigned long *p1 = __map_domain_page(pg1);
    unsigned int i;

#pragma GCC unroll 8
    for ( i = 0; i < PAGE_SIZE / sizeof(*p0); i++ )
        SWAP(p0[i], p1[i]);

    unmap_domain_page(p1);
    unmap_domain_page(p0);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
