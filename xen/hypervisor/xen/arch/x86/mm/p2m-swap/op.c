/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XENMEM_p2m_swap: let machine frames of two HVM domains change places, with
 * their ownership.  The ABI is in public/p2m_swap.h.
 *
 * Here: its argument, which is the caller's and may change at any time, and the
 * cutting of it into batches.
 */

#include <xen/event.h>
#include <xen/hypercall.h>
#include <xen/sched.h>
#include <xen/xmalloc.h>

#include <asm/p2m-swap.h>

#include <xsm/xsm.h>

#include "private.h"

/* Extents copied from the caller at a time. */
#define WINDOW          32U

/* A look at one of the caller's two lists of extents. */
struct extent_list {
    XEN_GUEST_HANDLE_64(xen_p2m_swap_extent_t) extents;
    unsigned int nr;
    unsigned int start;     /* of the window; ~0U: there is nothing in it */
    xen_p2m_swap_extent_t window[WINDOW];
};

/* A place in both lists. */
struct place {
    unsigned int idx, off;      /* extent, and pair of it */
    unsigned int excluded;      /* extent: the first that is not passed yet */
    unsigned int excluded_to;   /* where the one before it ends, in extent idx */
};

struct swap_call {
    struct extent_list extents, excluded;
    struct swap_batch batch;
};

static int get_extent(struct extent_list *list, unsigned int idx,
                      xen_p2m_swap_extent_t *e)
{
    unsigned int start = idx - idx % WINDOW;

    if ( start != list->start )
    {
        list->start = ~0U;
        if ( copy_from_guest_offset(list->window, list->extents, start,
                                    min(WINDOW, list->nr - start)) )
            return -EFAULT;
        list->start = start;
    }

    *e = list->window[idx - start];

    if ( !e->nr || e->pad || e->gfn_a + e->nr - 1 < e->gfn_a ||
         e->gfn_b + e->nr - 1 < e->gfn_b )
        return -EINVAL;

    return 0;
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
 * Check both lists, and find where nr_done is in them.  Each excluded extent has
 * to be within one of the others, and they have to come in the same order.
 */
static int find_place(struct swap_call *c, const struct xen_p2m_swap *op,
                      unsigned int *total, struct place *place)
{
    unsigned int i, x = 0;

    *total = 0;
    *place = (struct place){};

    for ( i = 0; i < c->extents.nr; i++ )
    {
        xen_p2m_swap_extent_t e, excluded;
        unsigned int off = 0;
        int rc = get_extent(&c->extents, i, &e);

        if ( rc )
            return rc;

        if ( e.nr > XEN_P2M_SWAP_MAX_PAIRS - *total )
            return -E2BIG;

        if ( op->nr_done >= *total && op->nr_done < *total + e.nr )
        {
            place->idx = i;
            place->off = op->nr_done - *total;
            place->excluded_to = 0;
        }

        for ( ; x < c->excluded.nr; x++ )
        {
            rc = get_extent(&c->excluded, x, &excluded);
            if ( rc )
                return rc;
            if ( !is_within(&excluded, &e, off) )
                break;

            off = excluded.gfn_a - e.gfn_a + excluded.nr;
            if ( *total + off <= op->nr_done )
            {
                place->excluded = x + 1;
                place->excluded_to = off;
            }
        }

        *total += e.nr;
    }

    return op->nr_done > *total || x < c->excluded.nr ? -EINVAL : 0;
}

/* Excludes what is to be excluded of the segment that was added last. */
static int keep_excluded(struct swap_call *c, struct place *place,
                         const xen_p2m_swap_extent_t *e, unsigned int nr)
{
    for ( ; place->excluded < c->excluded.nr; place->excluded++ )
    {
        xen_p2m_swap_extent_t x;
        unsigned int begin, end, from, to;
        int rc = get_extent(&c->excluded, place->excluded, &x);

        if ( rc )
            return rc;
        if ( !is_within(&x, e, place->excluded_to) )
            return 0;

        begin = x.gfn_a - e->gfn_a;
        end = begin + x.nr;
        from = max(begin, place->off);
        to = min(end, place->off + nr);
        if ( from < to )
            p2m_swap_batch_keep(&c->batch, from - place->off, to - from);
        /* The rest is for the next segment. */
        if ( end > place->off + nr )
            return 0;
        place->excluded_to = end;
    }

    return 0;
}

/* The next pairs; the caller may have changed the lists since the check. */
static int fill_batch(struct swap_call *c, struct place *place)
{
    p2m_swap_batch_reset(&c->batch);

    while ( place->idx < c->extents.nr )
    {
        xen_p2m_swap_extent_t e;
        unsigned int nr;
        int rc = get_extent(&c->extents, place->idx, &e);

        if ( rc )
            return rc;

        if ( place->off >= e.nr )
        {
            place->idx++;
            place->off = 0;
            place->excluded_to = 0;
            continue;
        }

        nr = p2m_swap_batch_add(&c->batch, e.gfn_a + place->off,
                                e.gfn_b + place->off, e.nr - place->off);
        if ( !nr )
            return 0;

        if ( place->excluded < c->excluded.nr )
            rc = keep_excluded(c, place, &e, nr);
        if ( rc )
            return rc;

        place->off += nr;
    }

    return 0;
}

/* Returns -ERESTART when it stopped to be continued. */
static int do_swap(struct swap_call *c, struct xen_p2m_swap *op)
{
    struct place place;
    unsigned int total;
    int rc = find_place(c, op, &total, &place);

    while ( !rc && op->nr_done < total )
    {
        uint64_t start = op->nr_done;

        rc = fill_batch(c, &place);
        if ( rc )
            break;
        /* The lists became shorter. */
        if ( !c->batch.nr_pairs || c->batch.nr_pairs > total - start )
            return -EINVAL;

        rc = p2m_swap_batch_run(&c->batch);

        op->nr_done += c->batch.nr_done;
        if ( copy_to_guest_offset(op->status, start, c->batch.status,
                                  c->batch.nr_done) )
            return -EFAULT;

        if ( !rc && op->nr_done < total && hypercall_preempt_check() )
            rc = -ERESTART;
    }

    return rc;
}

static int check_op(const struct xen_p2m_swap *op)
{
    if ( op->flags & ~XEN_P2M_SWAP_EXCHANGE )
        return -EINVAL;

    if ( op->nr_extents > XEN_P2M_SWAP_MAX_EXTENTS ||
         op->nr_excluded > XEN_P2M_SWAP_MAX_EXTENTS )
        return -E2BIG;

    /* Nothing of two domains is in order when they are the same. */
    return op->domid_a == op->domid_b ? -EINVAL : 0;
}

/*
 * Control domains are out: their mm locks are on other levels, and the caller,
 * which is one, cannot be paused.
 */
static int lock_domain(domid_t domid, struct domain **d)
{
    *d = rcu_lock_domain_by_any_id(domid);
    if ( !*d )
        return -ESRCH;

    if ( *d == current->domain || is_control_domain(*d) )
    {
        rcu_unlock_domain(*d);
        return -EINVAL;
    }

    return 0;
}

static int run_call(struct xen_p2m_swap *op, struct domain *a,
                    struct domain *b)
{
    struct swap_call *c = xmalloc(struct swap_call);
    int rc;

    if ( !c )
        return -ENOMEM;

    c->extents.extents = op->extents;
    c->extents.nr = op->nr_extents;
    c->extents.start = ~0U;
    c->excluded.extents = op->excluded;
    c->excluded.nr = op->nr_excluded;
    c->excluded.start = ~0U;

    c->batch.d[0] = a;
    c->batch.d[1] = b;
    c->batch.first = a->domain_id > b->domain_id;
    c->batch.exchange = op->flags & XEN_P2M_SWAP_EXCHANGE;
    c->batch.op = op;

    rc = do_swap(c, op);
    xfree(c);

    return rc;
}

long p2m_swap_memop(XEN_GUEST_HANDLE_PARAM(xen_p2m_swap_t) arg)
{
    struct xen_p2m_swap op;
    struct domain *d[2];
    long rc;

    if ( copy_from_guest(&op, arg, 1) )
        return -EFAULT;

    rc = check_op(&op);
    if ( rc )
        return rc;

    rc = lock_domain(op.domid_a, &d[0]);
    if ( rc )
        return rc;

    rc = lock_domain(op.domid_b, &d[1]);
    if ( rc )
        goto out_a;

    rc = xsm_p2m_swap(XSM_PRIV, d[0], d[1]);
    if ( rc )
        goto out;

    rc = p2m_swap_check_domain(d[0]) ?: p2m_swap_check_domain(d[1]);
    if ( rc )
        goto out;

    rc = run_call(&op, d[0], d[1]);

    /*
     * nr_done is the continuation's only state, and the caller's only clue on an
     * error.  Beside it there are counts that go on; the rest is as it was.
     */
    if ( __copy_to_guest(arg, &op, 1) )
        rc = -EFAULT;

    if ( rc == -ERESTART )
        rc = hypercall_create_continuation(__HYPERVISOR_memory_op, "lh",
                                           (unsigned long)XENMEM_p2m_swap,
                                           arg);

 out:
    rcu_unlock_domain(d[1]);
 out_a:
    rcu_unlock_domain(d[0]);

    return rc;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
