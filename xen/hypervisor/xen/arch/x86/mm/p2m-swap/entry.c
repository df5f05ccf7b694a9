/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries of the P2M.
 *
 * NPT's and EPT's tables are alike where it matters here: four levels of 512
 * entries of 64 bits, with the frame in bits 51:12 and bit 7 for a superpage.
 * What differs is how an entry tells its type, that it is there, and that it is
 * stale: that a change of types (p2m->recalc) has not reached it yet.
 */

#include <xen/domain_page.h>
#include <xen/sched.h>

#include <asm/hvm/vmx/vmx.h>

#include "../mm-locks.h"
#include "private.h"

#define TOP_LEVEL       3

static bool is_present(uint64_t e)
{
    return e & (using_vmx() ? 7 : _PAGE_PRESENT);
}

/* At any level: it stands for all below it. */
bool p2m_swap_entry_is_stale(uint64_t e)
{
    const ept_entry_t ept = { .epte = e };

    if ( !is_present(e) )
        return false;

    return using_vmx() ? ept.emt == MTRR_NUM_TYPES : !(e & _PAGE_USER);
}

static bool is_superpage(uint64_t e)
{
    return e & _PAGE_PSE;
}

static p2m_type_t type(uint64_t e)
{
    const ept_entry_t ept = { .epte = e };

    return using_vmx() ? ept.sa_p2mt : p2m_flags_to_type(get_pte_flags(e));
}

/* A leaf of exactly this order that maps plain RAM and is not stale. */
bool p2m_swap_entry_is_ram(uint64_t e, unsigned int order)
{
    return is_present(e) && type(e) == p2m_ram_rw &&
           !p2m_swap_entry_is_stale(e) && (!order || is_superpage(e));
}

static uint64_t read_entry(mfn_t table, unsigned int index)
{
    const uint64_t *entries = map_domain_page(table);
    uint64_t e = read_atomic(&entries[index]);

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
int p2m_swap_find_table(struct domain *d, unsigned long gfn,
                        unsigned int order, mfn_t *table)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    unsigned int level;

    ASSERT(p2m_locked_by_me(p2m));

    /* The table has no place for it: it would be taken for another one. */
    if ( gfn > p2m->max_mapped_pfn )
    {
        *table = INVALID_MFN;
        return 0;
    }

 again:
    *table = pagetable_get_mfn(p2m_get_pagetable(p2m));

    for ( level = TOP_LEVEL; level; level-- )
    {
        unsigned int shift = level * PAGETABLE_ORDER;
        uint64_t e = read_entry(*table, (gfn >> shift) & (SUPERPAGE_PAGES - 1));

        if ( !is_present(e) )
            break;

        if ( p2m_swap_entry_is_stale(e) )
        {
            int rc = p2m->recalc(p2m, gfn);

            if ( rc < 0 )
                return rc;
            /* Nothing done, and yet stale? */
            if ( !rc )
                break;
            goto again;
        }

        if ( is_superpage(e) )
        {
            if ( !p2m_swap_entry_is_ram(e, shift) )
                break;
            if ( shift == order )
                return order;
            if ( split(p2m, gfn, shift - PAGETABLE_ORDER) )
                return -ENOMEM;
            goto again;
        }

        *table = entry_mfn(e);
    }

    if ( level )
        *table = INVALID_MFN;

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
