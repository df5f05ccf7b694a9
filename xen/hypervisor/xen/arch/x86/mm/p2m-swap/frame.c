/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Machine frames that change their owner, by runs.
 */

#include <xen/domain_page.h>

#include <asm/mm.h>

#include "frame.h"
#include "private.h"

/* Could the frame be frozen?  Anyone may take a reference next. */
bool p2m_swap_frame_is_idle(const struct page_info *pg)
{
    return ACCESS_ONCE(pg->count_info) == COUNT_IDLE &&
           !(ACCESS_ONCE(pg->u.inuse.type_info) & ~TYPE_IDLE);
}

/* Reading a bad frame would be a machine check. */
bool p2m_swap_frame_is_sound(const struct page_info *pg)
{
    return (ACCESS_ONCE(pg->count_info) & ~PGC_count_mask) == PGC_allocated;
}

/*
 * Frames that follow each other, as their gfns do: are they all the owner's?
 * @chained tells whether they follow each other in the owner's list, too, as
 * they do when they were allocated together.
 */
static bool run_is_of(const struct page_info *pg, const struct domain *owner,
                      unsigned long gfn, unsigned int nr, bool *chained)
{
    const unsigned long *m2p =
        &machine_to_phys_mapping[mfn_x(page_to_mfn(pg))];
    const pdx_t first = page_to_pdx(pg);
    unsigned int i;

    *chained = true;

    for ( i = 0; i < nr; i++ )
    {
        if ( unlikely(!frame_is_of(pg + i, owner, m2p + i, gfn + i)) )
            return false;

        if ( unlikely(pg[i].list.next != first + i + 1) && i + 1 < nr )
            *chained = false;
    }

    return true;
}

/* Freeze a run: all of it, or nothing. */
bool p2m_swap_freeze_run(struct page_info *pg, const struct domain *d,
                         unsigned long gfn, unsigned int nr, bool *chained)
{
    unsigned int i;

    if ( !run_is_of(pg, d, gfn, nr, chained) )
        return false;

    for ( i = 0; i < nr; i++ )
        if ( unlikely(!frame_freeze(pg + i)) )
        {
            p2m_swap_thaw_run(pg, i);
            return false;
        }

    return true;
}

void p2m_swap_thaw_run(struct page_info *pg, unsigned int nr)
{
    while ( nr-- )
        frame_thaw(pg++);
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

/*
 * Both owners' page_alloc_locks are held.  @gfn is the first of the new owner.
 * The run was frozen as one.
 */
void p2m_swap_hand_over_run(struct page_info *pg, struct domain *from,
                            struct domain *to, unsigned long gfn,
                            unsigned int nr, bool chained)
{
    unsigned long *m2p = &machine_to_phys_mapping[mfn_x(page_to_mfn(pg))];
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

    for ( i = 0; i < nr; i++ )
        frame_hand_over(pg + i, to, m2p + i, gfn + i);
}

/* The contents of two frames change places. */
void p2m_swap_exchange(const struct page_info *pg0, const struct page_info *pg1)
{
    unsigned long *p0 = __map_domain_page(pg0);
    unsigned long *p1 = __map_domain_page(pg1);
    unsigned int i;

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
