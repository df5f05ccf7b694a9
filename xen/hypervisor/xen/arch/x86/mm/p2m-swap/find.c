/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one pause takes: where the entries of its pairs are, of as many as its
 * bound has room for.
 */

#include <xen/param.h>

#include "entry.h"
#include "private.h"

/*
 * How long the domains may be paused at a time, in units of what a pair of 4k
 * frames costs that is on its own, 320 instructions: a pair of superpages is 64
 * of them, an exchange of contents 10, and a superpage that is split, or a table
 * whose entries' types are brought up to date, 344.  Measured: docs/hypercall.md
 * of the project.
 */
static unsigned int __read_mostly opt_pause_cost = 1024;
integer_runtime_param("p2m-swap-pause", opt_pause_cost);

#define COST_SUPERPAGE  64U
#define COST_EXCHANGE   10U
#define COST_MEND       344U

/* Find where the entries of both sides are, at one order. */
static void find_entries(struct swap_batch *b, struct swap_seg *seg,
                         struct swap_walk *walk)
{
    unsigned int order = seg->order;
    unsigned int side = 0;

    if ( seg->gfn[0] > walk[0].max_gfn || seg->gfn[1] > walk[1].max_gfn )
    {
        /* Nothing is to be split for these, on neither side. */
        seg->kind = SEG_ABSENT;
        return;
    }

    while ( side < 2 )
    {
        int rc = p2m_swap_find_table(&walk[side], seg->gfn[side], order,
                                     &seg->table[side]);

        if ( rc < 0 )
        {
            seg->kind = SEG_NOMEM;
            p2m_swap_set_status(b, seg, on_side(XEN_P2M_SWAP_ST_NOMEM, side));
            return;
        }

        if ( mfn_eq(seg->table[side], INVALID_MFN) )
        {
            /* Nothing is to be split here for these. */
            seg->kind = SEG_ABSENT;
            return;
        }

        if ( rc != order )
        {
            /* Not a superpage: then the other side is not to be one, either. */
            order = 0;
            side = 0;
        }
        else
            side++;
    }

    seg->kind = order ? SEG_SUPERPAGE : SEG_PAIRS;
}

/*
 * Find the entries of as many segments as the pause has room for, but of one at
 * least.  Returns where they end.
 */
struct swap_seg *p2m_swap_find_segs(struct swap_batch *b,
                                    struct swap_seg *start)
{
    /* The parameter may change at any time, and this bounds an array. */
    const unsigned int limit = min(ACCESS_ONCE(opt_pause_cost), PAUSE_PAIRS);
    const unsigned int pair_cost = b->exchange ? COST_EXCHANGE : 1;
    struct swap_seg *seg;
    struct swap_walk walk[2];
    unsigned int cost = 0;

    /* The first segment is not asked what it costs. */
    BUILD_BUG_ON(PAUSE_PAIRS < SUPERPAGE_PAGES);

    p2m_swap_walk_begin(&walk[0], b->d[0]);
    p2m_swap_walk_begin(&walk[1], b->d[1]);

    for ( seg = start; seg < b->end; seg++ )
    {
        if ( likely(seg->order == PAGE_ORDER_4K) &&
             likely(walk_has_table(&walk[0], seg->gfn[0], &seg->table[0])) &&
             likely(walk_has_table(&walk[1], seg->gfn[1], &seg->table[1])) )
            seg->kind = SEG_PAIRS;
        else
            find_entries(b, seg, walk);

        cost += unlikely(seg->kind == SEG_SUPERPAGE)
                ? COST_SUPERPAGE + seg->kept * COST_EXCHANGE
                : seg->nr * pair_cost;
        /* What was mended stays so, also for a segment that is left out here. */
        if ( unlikely(cost + COST_MEND * (walk[0].mended + walk[1].mended) >
                      limit) && seg > start )
            break;
    }

    p2m_swap_walk_end(&walk[1]);
    p2m_swap_walk_end(&walk[0]);

    return seg;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
