/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a P2M entry says, and how it is found.
 *
 * NPT's and EPT's tables are alike where it matters here: four levels of 512
 * entries of 64 bits, with the frame in bits 51:12 and bit 7 for a superpage.
 * What differs is how an entry tells its type, that it is there, and that it is
 * stale: that a change of types (p2m->recalc) has not reached it yet.
 */
#ifndef ARCH_X86_MM_P2M_SWAP_ENTRY_H
#define ARCH_X86_MM_P2M_SWAP_ENTRY_H

#include <xen/mm.h>

#include <asm/hvm/vmx/vmx.h>
#include <asm/p2m.h>

/* All of an entry that is the frame. */
#define ENTRY_MFN_MASK  (PADDR_MASK & PAGE_MASK)

/* Of NPT, all that tells of plain RAM: p2m_ram_rw is 0, so no bit of a type. */
#define NPT_RAM         ((uint64_t)(_PAGE_PRESENT | _PAGE_USER))
#define NPT_RAM_MASK    (NPT_RAM | (0x7fUL << 52))

static always_inline bool entry_is_present(uint64_t e)
{
    return e & (using_vmx() ? 7 : _PAGE_PRESENT);
}

static always_inline bool entry_is_superpage(uint64_t e)
{
    return e & _PAGE_PSE;
}

/* At any level: it stands for all below it. */
static always_inline bool entry_is_stale(uint64_t e)
{
    const ept_entry_t ept = { .epte = e };

    if ( !entry_is_present(e) )
        return false;

    return using_vmx() ? ept.emt == MTRR_NUM_TYPES : !(e & _PAGE_USER);
}

/* A leaf of exactly this order that maps plain RAM and is not stale. */
static always_inline bool entry_is_ram(uint64_t e, unsigned int order)
{
    BUILD_BUG_ON(p2m_ram_rw);

    if ( order && !entry_is_superpage(e) )
        return false;

    if ( using_vmx() )
    {
        const ept_entry_t ept = { .epte = e };

        return entry_is_present(e) && ept.sa_p2mt == p2m_ram_rw &&
               ept.emt != MTRR_NUM_TYPES;
    }

    return (e & NPT_RAM_MASK) == NPT_RAM;
}

static always_inline mfn_t entry_mfn(uint64_t entry)
{
    return maddr_to_mfn(entry & ENTRY_MFN_MASK);
}

/* The entry of a valid frame of plain RAM? */
static always_inline bool entry_is_frame(uint64_t entry)
{
    return likely(entry_is_ram(entry, PAGE_ORDER_4K)) &&
           likely(mfn_valid(entry_mfn(entry)));
}

/* It has a table of the next level below it, and is not stale itself. */
static always_inline bool entry_is_table(uint64_t e)
{
    if ( using_vmx() )
        return entry_is_present(e) && !entry_is_superpage(e) &&
               !entry_is_stale(e);

    return (e & (_PAGE_PRESENT | _PAGE_USER | _PAGE_PSE)) ==
           (_PAGE_PRESENT | _PAGE_USER);
}

/*
 * Everything but the frame stays: access rights, memory type, accessed and
 * dirty belong to the gfn.  The memory type does not depend on the frame, for
 * without an IOMMU it is always write-back: see epte_get_entry_emt().
 */
static always_inline void swap_entries(uint64_t *e0, uint64_t *e1,
                                       uint64_t old0, uint64_t old1)
{
    const uint64_t frames = (old0 ^ old1) & ENTRY_MFN_MASK;

    write_atomic(e0, old0 ^ frames);
    write_atomic(e1, old1 ^ frames);
}

/* What a level 2 table is for. */
#define REGION_ORDER    PAGE_ORDER_1G

/*
 * A walk of a P2M that stays locked.  The level 2 tables of the last regions stay
 * mapped, so that a list in no order, too, costs one step for each gfn.  Not many:
 * where Xen has to map them, each takes one of 16 places that a vCPU has.
 */
#define WALK_REGIONS    4U

struct swap_region {
    unsigned long nr;       /* gfn >> REGION_ORDER; ~0UL: none */
    const uint64_t *l2;     /* NULL: none */
    mfn_t l2_mfn;
};

struct swap_walk {
    struct domain *d;
    unsigned long max_gfn;
    unsigned int mended;    /* tables that were written on the way: see COST_MEND */
    struct swap_region region[WALK_REGIONS];
};

/* The only place where the gfn's region may be, or may be put. */
static always_inline struct swap_region *walk_region(struct swap_walk *w,
                                                     unsigned long gfn)
{
    return &w->region[(gfn >> REGION_ORDER) % WALK_REGIONS];
}

static always_inline uint64_t region_entry(const struct swap_region *r,
                                           unsigned long gfn)
{
    return read_atomic(&r->l2[(gfn >> PAGETABLE_ORDER) &
                              (SUPERPAGE_PAGES - 1)]);
}

/* Is it there at hand, the table with the entry of a 4k page? */
static always_inline bool walk_has_table(struct swap_walk *w,
                                         unsigned long gfn, mfn_t *table)
{
    const struct swap_region *r = walk_region(w, gfn);
    uint64_t e;

    if ( unlikely(gfn >> REGION_ORDER != r->nr) )
        return false;

    e = region_entry(r, gfn);
    *table = entry_mfn(e);

    return likely(entry_is_table(e));
}

void p2m_swap_walk_begin(struct swap_walk *w, struct domain *d);
void p2m_swap_walk_end(struct swap_walk *w);
int p2m_swap_find_table(struct swap_walk *w, unsigned long gfn,
                        unsigned int order, mfn_t *table);

#endif /* ARCH_X86_MM_P2M_SWAP_ENTRY_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
