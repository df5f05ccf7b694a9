/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XENMEM_p2m_swap: let machine frames of two HVM domains change places, with
 * their ownership.  The ABI is in public/p2m_swap.h.
 *
 * Here: its argument, which is the caller's and may change at any time, and the
 * cutting of it into batches.
 */

#include <xen/err.h>
#include <xen/event.h>
#include <xen/hypercall.h>
#include <xen/ioreq.h>
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
    unsigned int start, held;   /* of the window; 0 are held before the first */
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
static noinline int find_place(struct swap_call *c,
                               const struct xen_p2m_swap *op,
                               struct place *place)
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
static int keep_excluded(struct swap_call *c, struct place *place,
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
static noinline int add_extents(struct swap_call *c, struct place *place,
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
static int fill_batch(struct swap_call *c, struct place *place)
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

/* Returns -ERESTART when it stopped to be continued. */
static int do_swap(struct swap_call *c, struct xen_p2m_swap *op)
{
    struct place place = {};
    int rc = 0;

    /* Otherwise it is the beginning, and the extents are checked on the way. */
    if ( op->nr_done || c->excluded.nr )
        rc = find_place(c, op, &place);

    while ( !rc )
    {
        uint64_t start = op->nr_done;

        rc = fill_batch(c, &place);
        if ( rc || !c->batch.nr_pairs )
            break;
        if ( c->batch.nr_pairs > XEN_P2M_SWAP_MAX_PAIRS - start )
            return -E2BIG;

        rc = p2m_swap_batch_run(&c->batch);

        op->nr_done += c->batch.nr_done;
        if ( copy_to_guest_offset(op->status, start, c->batch.status,
                                  c->batch.nr_done) )
            return -EFAULT;

        if ( !rc && place.idx < c->extents.nr && hypercall_preempt_check() )
            rc = -ERESTART;
    }

    return rc;
}

/* It is a vCPU that asks the device models, on its way back into the domain. */
static void invalidate_mapcaches(struct domain *d)
{
    struct vcpu *v;

    ioreq_request_mapcache_invalidate(d);
    for_each_vcpu ( d, v )
        vcpu_kick(v);
}

static int check_op(const struct xen_p2m_swap *op)
{
    /*
     * The caller is where frames are mapped, too.  An HVM domain's mapping is a
     * P2M entry, and p2m_entry_modify() drops the frame's reference before the
     * entry is gone from the tables and from TLBs.
     */
    if ( !is_pv_domain(current->domain) )
        return -EOPNOTSUPP;

    if ( op->flags & ~(XEN_P2M_SWAP_EXCHANGE | XEN_P2M_SWAP_INVALIDATE) )
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

    /* As public/p2m_swap.h has it: pages that a heap in pieces still has. */
    BUILD_BUG_ON(sizeof(*c) > 4 * PAGE_SIZE);

    if ( !c )
        return -ENOMEM;

    c->extents.extents = op->extents;
    c->extents.nr = op->nr_extents;
    c->extents.start = c->extents.held = 0;
    c->excluded.extents = op->excluded;
    c->excluded.nr = op->nr_excluded;
    c->excluded.start = c->excluded.held = 0;

    c->batch.d[0] = a;
    c->batch.d[1] = b;
    c->batch.first = a->domain_id > b->domain_id;
    c->batch.exchange = op->flags & XEN_P2M_SWAP_EXCHANGE;
    c->batch.any_kept = true;   /* that is, unknown: cleared by the reset */
    c->batch.op = op;
    c->batch.taken = xmalloc_array(struct taken_pair, PAUSE_PAIRS);
    c->batch.taken_end = c->batch.taken;

    rc = c->batch.taken ? do_swap(c, op) : -ENOMEM;
    xfree(c->batch.taken);
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

    if ( (op.flags & XEN_P2M_SWAP_INVALIDATE) && !op.nr_done )
    {
        invalidate_mapcaches(d[0]);
        invalidate_mapcaches(d[1]);
    }

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
