/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding entries of the P2M, and splitting them.
 */

#include <xen/domain_page.h>
#include <xen/sched.h>

#include <asm/p2m.h>

#include "../mm-locks.h"
#include "entry.h"
#include "private.h"

#define TOP_LEVEL       3
#define NO_REGION       (~0UL)

static unsigned int index(unsigned long gfn, unsigned int level)
{
    return (gfn >> (level * PAGETABLE_ORDER)) & (SUPERPAGE_PAGES - 1);
}

static uint64_t read_entry(mfn_t table, unsigned int i)
{
    const uint64_t *entries = map_domain_page(table);
    uint64_t e = read_atomic(&entries[i]);

    unmap_domain_page(entries);

    return e;
}

/*
 * Have the superpage that holds the gfn mapped by entries of a lower order: the
 * same frames, so that no vCPU can tell the difference.
 */
static int split(struct p2m_domain *p2m, unsigned long gfn, unsigned int order)
{
    gfn_t first = _gfn(gfn & ~((1UL << order) - 1));
    p2m_type_t t;
    p2m_access_t a;
    bool sve;
    mfn_t mfn = p2m->get_entry(p2m, first, &t, &a, 0, NULL, &sve);

    /* p2m_set_entry() would lose suppress_ve. */
    return p2m->set_entry(p2m, first, mfn, order, t, a, sve);
}

static void forget_region(struct swap_region *r)
{
    if ( r->l2 )
        unmap_domain_page(r->l2);
    r->l2 = NULL;
    r->nr = NO_REGION;
}

/* From the locking of the P2M on. */
void p2m_swap_walk_begin(struct swap_walk *w, struct domain *d)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    unsigned int i;

    ASSERT(p2m_locked_by_me(p2m));

    w->d = d;
    w->max_gfn = p2m->max_mapped_pfn;
    w->mended = 0;
    for ( i = 0; i < WALK_REGIONS; i++ )
    {
        w->region[i].l2 = NULL;
        w->region[i].nr = NO_REGION;
    }
}

void p2m_swap_walk_end(struct swap_walk *w)
{
    unsigned int i;

    for ( i = 0; i < WALK_REGIONS; i++ )
        forget_region(&w->region[i]);
}

/*
 * Make the next step on the gfn's way down possible, where the entry tells of a
 * type that is stale, or of a superpage of this order that is too large.
 *
 * Returns 1 if something changed, 0 if not, or an error.
 */
static int mend_entry(struct swap_walk *w, unsigned long gfn, uint64_t e,
                      unsigned int order)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(w->d);

    /* Of the others nothing changes. */
    forget_region(walk_region(w, gfn));
    w->mended++;

    /* Nothing done, and yet stale?  Then it stays. */
    if ( entry_is_stale(e) )
        return p2m->recalc(p2m, gfn);

    return split(p2m, gfn, order - PAGETABLE_ORDER) ? -ENOMEM : 1;
}

/* Only the tables above change, by mend_entry(), which forgets this one. */
static int find_region(struct swap_walk *w, unsigned long gfn)
{
    const struct p2m_domain *p2m = p2m_get_hostp2m(w->d);
    struct swap_region *r = walk_region(w, gfn);
    mfn_t table;
    unsigned int level;

    forget_region(r);

 again:
    table = pagetable_get_mfn(p2m_get_pagetable(p2m));

    for ( level = TOP_LEVEL; level > 1; level-- )
    {
        const unsigned int order = level * PAGETABLE_ORDER;
        uint64_t e = read_entry(table, index(gfn, level));

        if ( !entry_is_present(e) )
            break;

        if ( entry_is_stale(e) || entry_is_superpage(e) )
        {
            int rc;

            if ( !entry_is_stale(e) && !entry_is_ram(e, order) )
                break;

            rc = mend_entry(w, gfn, e, order);
            if ( rc < 0 )
                return rc;
            if ( !rc )
                break;
            goto again;
        }

        table = entry_mfn(e);
    }

    if ( level == 1 )
    {
        r->l2_mfn = table;
        r->l2 = map_domain_page(table);
        r->nr = gfn >> REGION_ORDER;
    }

    return 0;
}

/*
 * Find the table of the P2M that holds the gfn's entry: of a superpage if there
 * is one of at least @order, or else of a 4k page, for which superpages are
 * split.  Only this can run out of memory, and it changes nothing that the
 * domain can see.
 *
 * Returns the entry's order, or -ENOMEM.  @table is INVALID_MFN when there is
 * no entry, or one of a superpage that is not RAM: the caller will find out why
 * it cannot be swapped.
 */
int p2m_swap_find_table(struct swap_walk *w, unsigned long gfn,
                        unsigned int order, mfn_t *table)
{
    const struct swap_region *r = walk_region(w, gfn);

    *table = INVALID_MFN;

    /* The table has no place for it: it would be taken for another one. */
    while ( gfn <= w->max_gfn )
    {
        uint64_t e;
        int rc;

        if ( unlikely(gfn >> REGION_ORDER != r->nr) )
        {
            rc = find_region(w, gfn);
            if ( rc )
                return rc;
        }

        if ( !r->l2 )
            break;

        e = region_entry(r, gfn);
        if ( !entry_is_present(e) )
            break;

        if ( likely(!entry_is_stale(e)) )
        {
            if ( !entry_is_superpage(e) )
            {
                *table = entry_mfn(e);
                return 0;
            }

            if ( !entry_is_ram(e, PAGE_ORDER_2M) )
                break;

            if ( order == PAGE_ORDER_2M )
            {
                *table = r->l2_mfn;
                return PAGE_ORDER_2M;
            }
        }

        rc = mend_entry(w, gfn, e, PAGE_ORDER_2M);
        if ( rc < 0 )
            return rc;
        if ( !rc )
            break;
    }

    return 0;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
