/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XENMEM_p2m_swap: let machine frames of two HVM domains change places, with
 * their ownership.  The ABI is in public/p2m_swap.h.
 *
 * Here: its argument, and its continuation.
 */

#include <xen/event.h>
#include <xen/hypercall.h>
#include <xen/ioreq.h>
#include <xen/sched.h>
#include <xen/xmalloc.h>

#include <asm/p2m-swap.h>

#include <xsm/xsm.h>

#include "extents.h"
#include "private.h"

/* Returns -ERESTART when it stopped to be continued. */
static int do_swap(struct swap_call *c, struct xen_p2m_swap *op)
{
    struct swap_place place = {};
    int rc = 0;

    /* Otherwise it is the beginning, and the extents are checked on the way. */
    if ( op->nr_done || c->excluded.nr )
        rc = p2m_swap_find_place(c, op, &place);

    while ( !rc )
    {
        uint64_t start = op->nr_done;

        rc = p2m_swap_fill_batch(c, &place);
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
