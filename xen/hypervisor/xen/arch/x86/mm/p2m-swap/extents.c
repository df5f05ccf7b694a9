/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The caller's lists of extents, which may change at any time, and the cutting
 * of them into batches.
 */

#include <xen/err.h>
#include <xen/guest_access.h>

#include "extents.h"
#include "private.h"

static int move_window(struct extent_list *list, unsigned int idx)
{
    unsigned int nr = min(WINDOW, list->nr - idx);

    list->held = 0;

    if ( copy_from_guest_offset(list->window, list->extents, idx, nr) )
        return -EFAULT;

    list->start = idx;
    list->held = nr;

    return 0;
}

/* Everyone asks who takes one out of the window. */
static always_inline bool extent_is_valid(const xen_p2m_swap_extent_t *e)
{
    return e->nr && !e->pad && e->gfn_a + (e->nr - 1) >= e->gfn_a &&
           e->gfn_b + (e->nr - 1) >= e->gfn_b;
}

/* What it points to is good until the next call, and may not be valid. */
static always_inline const xen_p2m_swap_extent_t *get_extent(
    struct extent_list *list, unsigned int idx)
{
    /* Before the window is behind it, too: the difference wraps. */
    if ( unlikely(idx - list->start >= list->held) )
    {
        int rc = move_window(list, idx);

        if ( rc )
            return ERR_PTR(rc);
    }

    return &list->window[idx - list->start];
}

/* Are these pairs among those of the extent, from its @off-th on? */
static bool is_within(const xen_p2m_swap_extent_t *x,
                      const xen_p2m_swap_extent_t *e, unsigned int off)
{
    uint64_t at = x->gfn_a - e->gfn_a;

    return x->gfn_a >= e->gfn_a && x->gfn_b - e->gfn_b == at &&
           at >= off && at < e->nr && x->nr <= e->nr - at;
}

/*
 * Find where nr_done is in the lists, and check them as far.  With excluded
 * extents that is to the end: each has to be within one of the others, and they
 * have to come in the same order.  So that is known before anything is swapped.
 */
int p2m_swap_find_place(struct swap_call *c, const struct xen_p2m_swap *op,
                        struct swap_place *place)
{
    unsigned int i, total = 0, x = 0;
    bool found = false;

    for ( i = 0; i < c->extents.nr && (c->excluded.nr || !found); i++ )
    {
        const xen_p2m_swap_extent_t *e = get_extent(&c->extents, i);
        unsigned int off = 0;

        if ( IS_ERR(e) )
            return PTR_ERR(e);
        if ( !extent_is_valid(e) )
            return -EINVAL;

        if ( e->nr > XEN_P2M_SWAP_MAX_PAIRS - total )
            return -E2BIG;

        if ( op->nr_done >= total && op->nr_done <= total + e->nr )
        {
            found = true;
            place->idx = i;
            place->off = op->nr_done - total;
            place->excluded_to = 0;
        }

        for ( ; x < c->excluded.nr; x++ )
        {
            const xen_p2m_swap_extent_t *excluded = get_extent(&c->excluded, x);

            if ( IS_ERR(excluded) )
                return PTR_ERR(excluded);
            if ( !extent_is_valid(excluded) )
                return -EINVAL;
            if ( !is_within(excluded, e, off) )
                break;

            off = excluded->gfn_a - e->gfn_a + excluded->nr;
            if ( total + off <= op->nr_done )
            {
                place->excluded = x + 1;
                place->excluded_to = off;
            }
        }

        total += e->nr;
    }

    return op->nr_done > total || x < c->excluded.nr ? -EINVAL : 0;
}

/* Excludes what is to be excluded of the segment that was added last. */
static int keep_excluded(struct swap_call *c, struct swap_place *place,
                         const xen_p2m_swap_extent_t *e, unsigned int off,
                         unsigned int nr)
{
    for ( ; place->excluded < c->excluded.nr; place->excluded++ )
    {
        const xen_p2m_swap_extent_t *x = get_extent(&c->excluded,
                                                    place->excluded);
        unsigned int begin, end, from, to;

        if ( IS_ERR(x) )
            return PTR_ERR(x);
        if ( !extent_is_valid(x) )
            return -EINVAL;
        if ( !is_within(x, e, place->excluded_to) )
            return 0;

        begin = x->gfn_a - e->gfn_a;
        end = begin + x->nr;
        from = max(begin, off);
        to = min(end, off + nr);
        if ( from < to )
            p2m_swap_batch_keep(&c->batch, from - off, to - from);
        /* The rest is for the next segment. */
        if ( end > off + nr )
            return 0;
        place->excluded_to = end;
    }

    return 0;
}

/*
 * Extents from @e on, and from the place in the first of them.  Returns 1 when
 * the batch is full, and then the place is where it ends.  On its own the loop
 * has all registers.
 */
static noinline int add_extents(struct swap_call *c, struct swap_place *place,
                                const xen_p2m_swap_extent_t *e,
                                const xen_p2m_swap_extent_t *end)
{
    const xen_p2m_swap_extent_t *const first = e;
    const bool excluding = c->excluded.nr;
    unsigned int off = place->off;
    int rc = 0;

    for ( ; e < end; e++ )
    {
        if ( unlikely(!extent_is_valid(e)) || unlikely(off > e->nr) )
            return -EINVAL;

        while ( off < e->nr )
        {
            unsigned int nr = batch_add(&c->batch, e->gfn_a + off,
                                        e->gfn_b + off, e->nr - off);

            if ( unlikely(!nr) )
            {
                rc = 1;
                goto out;
            }

            if ( unlikely(excluding) )
            {
                rc = keep_excluded(c, place, e, off, nr);
                if ( rc )
                    return rc;
            }

            off += nr;
        }

        off = 0;
        place->excluded_to = 0;
    }

 out:
    place->idx += e - first;
    place->off = off;

    return rc;
}

/* The next pairs; the caller may have changed the lists meanwhile. */
int p2m_swap_fill_batch(struct swap_call *c, struct swap_place *place)
{
    int rc = 0;

    p2m_swap_batch_reset(&c->batch);

    while ( !rc && place->idx < c->extents.nr )
    {
        const xen_p2m_swap_extent_t *e = get_extent(&c->extents, place->idx);

        if ( IS_ERR(e) )
            return PTR_ERR(e);

        rc = add_extents(c, place, e, c->extents.window + c->extents.held);
    }

    return min(rc, 0);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
