/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of p2m-swap/ know of each other.
 *
 *   op.c         the hypercall: its argument, its continuation
 *   extents.c    the argument's lists of extents, which are cut into batches
 *   batch.c      pairs that are swapped with both domains paused: the order of
 *                it all
 *   find.c       where a batch's entries are, of as many as one pause takes
 *   prefetch.c   what these are going to touch
 *   pairs.c      taking pairs of 4k frames
 *   superpage.c  taking a pair of superpages
 *   refuse.c     why a pair cannot be taken, and what is done instead
 *   entry.c      P2M entries: finding and splitting them, for NPT and EPT
 *   frame.c      machine frames: freezing, moving, exchanging their contents
 *
 * What is done for each frame is inline, in entry.h and frame.h.
 */
#ifndef ARCH_X86_MM_P2M_SWAP_PRIVATE_H
#define ARCH_X86_MM_P2M_SWAP_PRIVATE_H

#include <xen/bitmap.h>
#include <xen/domain_page.h>
#include <xen/mm.h>

#include <asm/p2m.h>

#include <public/memory.h>
#include <public/p2m_swap.h>

#include "frame.h"

/* Bounds of a batch: they keep struct swap_batch within 16k. */
#define BATCH_SEGS      240U
#define BATCH_PAIRS     4096U

/* Pairs of 4k frames that one pause takes at most. */
#define PAUSE_PAIRS     1024U

/* What a segment is, by the entries that were found for it. */
enum seg_kind {
    SEG_PAIRS,              /* of 4k frames, in one table on each side */
    SEG_SUPERPAGE,          /* one entry on each side */
    SEG_ABSENT,             /* a side has no entry: no pair of it can go */
    SEG_NOMEM,              /* its superpage could not be split */
};

/*
 * Pairs that follow each other on both sides, and whose entries are in one
 * table on each side.
 */
struct swap_seg {
    unsigned long gfn[2];
    union {
        mfn_t table[2];     /* of the P2M */
        struct page_info *pg[2];    /* of a superpage, once it is taken */
    };
    uint16_t first;         /* pair: index into the batch's statuses */
    uint16_t nr;
    uint16_t kept;          /* how many of them are excluded */
    uint8_t order;          /* of the entries to look for: 0 or PAGE_ORDER_2M */
    uint8_t kind;           /* enum seg_kind */
};

/* Where the gfn's entry is in its table. */
static always_inline unsigned int table_index(unsigned long gfn)
{
    return gfn & (SUPERPAGE_PAGES - 1);
}

/* Two frames that have changed hands, and are frozen. */
struct taken_pair {
    pdx_t pdx[2];
};

/* Lives as long as one run of the hypercall; nothing in it is trusted later. */
struct swap_batch {
    struct domain *d[2];    /* A and B */
    unsigned int first;     /* which of them has the lower domid */
    bool exchange;

    /* What the caller is told, besides the statuses. */
    struct xen_p2m_swap *op;

    /* Of one pause: the 4k frames that have been taken, PAUSE_PAIRS at most. */
    struct taken_pair *taken, *taken_end;

    struct swap_seg *end;   /* of those of seg[] that are used */
    unsigned int nr_pairs, nr_done;
    struct swap_seg seg[BATCH_SEGS];
    /* Pairs that are excluded. */
    bool any_kept;
    DECLARE_BITMAP(kept, BATCH_PAIRS);
    /* XEN_P2M_SWAP_ST_*, written when a pair is dealt with. */
    uint8_t status[BATCH_PAIRS];
};

/* Takes pairs from the beginning of a run.  Returns how many; 0: it is full. */
static always_inline unsigned int batch_add(struct swap_batch *b,
                                            unsigned long gfn_a,
                                            unsigned long gfn_b,
                                            unsigned int nr)
{
    struct swap_seg *seg = b->end;
    unsigned int pairs = b->nr_pairs;

    if ( unlikely(seg == b->seg + BATCH_SEGS) )
        return 0;

    seg->kept = 0;
    seg->order = PAGE_ORDER_4K;

    if ( nr > 1 )
    {
        nr = min(nr, SUPERPAGE_PAGES -
                     max(table_index(gfn_a), table_index(gfn_b)));
        if ( nr == SUPERPAGE_PAGES )
            seg->order = PAGE_ORDER_2M;
    }

    seg->first = pairs;
    pairs += nr;
    if ( unlikely(pairs > BATCH_PAIRS) )
        return 0;

    seg->gfn[0] = gfn_a;
    seg->gfn[1] = gfn_b;
    seg->nr = nr;

    b->end = seg + 1;
    b->nr_pairs = pairs;

    return nr;
}

static inline bool is_kept(const struct swap_batch *b,
                           const struct swap_seg *seg, unsigned int i)
{
    return unlikely(seg->kept) && test_bit(seg->first + i, b->kept);
}

/* The first excluded pair of the segment from the @i-th on; or behind the last. */
static inline unsigned int next_kept(const struct swap_batch *b,
                                     const struct swap_seg *seg,
                                     unsigned int i)
{
    if ( likely(!seg->kept) || i >= seg->nr )
        return seg->nr;

    return find_next_bit(b->kept, seg->first + seg->nr, seg->first + i) -
           seg->first;
}

/* The segment's first entry, which is unmapped by any that is in its table. */
static always_inline uint64_t *map_entry(const struct swap_seg *seg,
                                         unsigned int side, unsigned int order)
{
    uint64_t *table = map_domain_page(seg->table[side]);

    return table + table_index(seg->gfn[side] >> order);
}

static inline uint8_t on_side(uint8_t status, unsigned int side)
{
    return status | (side ? XEN_P2M_SWAP_ST_SIDE_B : XEN_P2M_SWAP_ST_SIDE_A);
}

/* batch.c */
int p2m_swap_check_domain(const struct domain *d);
void p2m_swap_batch_reset(struct swap_batch *b);
void p2m_swap_batch_keep(struct swap_batch *b, unsigned int i,
                         unsigned int nr);
void p2m_swap_set_status(struct swap_batch *b, const struct swap_seg *seg,
                         uint8_t status);
int p2m_swap_batch_run(struct swap_batch *b);

/* find.c */
struct swap_seg *p2m_swap_find_segs(struct swap_batch *b,
                                    struct swap_seg *start);

/* prefetch.c */
void p2m_swap_prefetch_pairs(const struct swap_seg *start,
                             const struct swap_seg *end);

/* pairs.c */
struct swap_seg *p2m_swap_take_pairs(struct swap_batch *b,
                                     struct swap_seg *seg,
                                     const struct swap_seg *end);
void p2m_swap_release_pairs(struct swap_batch *b);

/* superpage.c */
bool p2m_swap_take_superpage(struct swap_batch *b, struct swap_seg *seg);
void p2m_swap_release_superpage(const struct swap_batch *b,
                                const struct swap_seg *seg);

/* refuse.c */
uint8_t p2m_swap_refuse_pair(const struct swap_batch *b,
                             const struct swap_seg *seg, unsigned int i);
void p2m_swap_refuse_pairs(struct swap_batch *b, const struct swap_seg *seg);

/* frame.c */
bool p2m_swap_frame_is_idle(const struct page_info *pg);
bool p2m_swap_frame_is_sound(const struct page_info *pg);
bool p2m_swap_freeze_run(struct page_info *pg, const struct domain *d,
                         unsigned long gfn, unsigned int nr, bool *chained);
void p2m_swap_thaw_run(struct page_info *pg, unsigned int nr);
void p2m_swap_hand_over_run(struct page_info *pg, struct domain *from,
                            struct domain *to, unsigned long gfn,
                            unsigned int nr, bool chained);
void p2m_swap_exchange(const struct page_info *pg0,
                       const struct page_info *pg1);

#endif /* ARCH_X86_MM_P2M_SWAP_PRIVATE_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
