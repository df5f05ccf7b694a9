/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * arch/x86/mm/p2m-swap.c
 *
 * XENMEM_p2m_swap: let machine frames of two HVM domains change places, with
 * their ownership.  The ABI is in public/p2m_swap.h.
 *
 * A frame moves only when its owner's P2M entry is all that refers to it, so
 * that no mapping of it outlives the move: its counts are frozen at zero, every
 * TLB is flushed, and only then does it get its new owner.
 */

#include <xen/domain_page.h>
#include <xen/event.h>
#include <xen/hypercall.h>
#include <xen/mm.h>
#include <xen/paging.h>
#include <xen/sched.h>
#include <xen/vm_event.h>
#include <xen/xmalloc.h>

#include <asm/altp2m.h>
#include <asm/flushtlb.h>
#include <asm/hvm/asid.h>
#include <asm/hvm/nestedhvm.h>
#include <asm/p2m.h>
#include <asm/p2m-swap.h>

#include <xsm/xsm.h>

#include "mm-locks.h"

/* Pairs for which both domains stay paused and both P2Ms locked. */
#define BATCH_PAIRS     256
/* Extents copied from the caller at a time. */
#define CHUNK_EXTENTS   32

struct swap_frame {
    gfn_t gfn;
    struct page_info *pg;
    p2m_access_t access;        /* stays with the gfn, not with the frame */
    bool duplicate;
};

/* Lives as long as one run of the hypercall; nothing in it is trusted later. */
struct swap_batch {
    struct domain *d[2];        /* A and B */
    unsigned int first;         /* which of them has the lower domid */
    bool exchange;

    unsigned int nr;
    struct swap_frame frame[BATCH_PAIRS][2];
    /*
     * What to do with a pair, and in the end what was done: move its frames,
     * exchange their contents, or nothing, for the reason that it tells.
     */
    uint8_t status[BATCH_PAIRS];
    /* Per side, an open hash of the batch's gfns: index + 1, or 0. */
    uint16_t seen[2][2 * BATCH_PAIRS];

    unsigned int chunk_start;
    xen_p2m_swap_extent_t chunk[CHUNK_EXTENTS];
};

static uint8_t on_side(uint8_t status, unsigned int side)
{
    return status | (side ? XEN_P2M_SWAP_ST_SIDE_B : XEN_P2M_SWAP_ST_SIDE_A);
}

/*
 * Domains that the op does not deal with.  Without an IOMMU nothing can fail in
 * setting a 4k entry over a 4k entry.  All of these may change until the P2M
 * lock is held, and are looked at again then.
 */
static int check_domain(const struct domain *d)
{
    if ( d->is_dying )
        return -ESRCH;

    if ( !is_hvm_domain(d) || !hap_enabled(d) || is_iommu_enabled(d) ||
         altp2m_active(d) || paging_mode_log_dirty(d) ||
         p2m_is_global_logdirty(d) || p2m_pod_active(d) ||
         mem_sharing_enabled(d) || mem_paging_enabled(d) )
        return -EOPNOTSUPP;

    return 0;
}

/* Record the gfn of pair i; true when an earlier pair of the batch has it. */
static bool seen_before(struct swap_batch *b, unsigned int side, unsigned int i)
{
    unsigned long gfn = gfn_x(b->frame[i][side].gfn);
    unsigned int slot = gfn % ARRAY_SIZE(b->seen[side]);

    while ( b->seen[side][slot] )
    {
        if ( gfn_x(b->frame[b->seen[side][slot] - 1][side].gfn) == gfn )
            return true;
        slot = (slot + 1) % ARRAY_SIZE(b->seen[side]);
    }

    b->seen[side][slot] = i + 1;

    return false;
}

/* Both the hint and the last word: see freeze_frame(). */
static bool type_is_idle(const struct page_info *pg)
{
    /* PGT_writable_page stays behind when the last mapping has gone. */
    return !(ACCESS_ONCE(pg->u.inuse.type_info) &
             (PGT_count_mask | PGT_pinned | PGT_locked | PGT_partial));
}

/* Can the frame be frozen?  Only a hint: anyone may take a reference next. */
static bool frame_is_idle(const struct page_info *pg)
{
    return ACCESS_ONCE(pg->count_info) == (PGC_allocated | 1) &&
           type_is_idle(pg);
}

static void thaw_frame(struct page_info *pg)
{
    unsigned long x, y = 0;

    /* The owner has to be visible before a reference can be taken. */
    smp_wmb();

    /* offline_page() may have changed the state meanwhile. */
    do {
        x = y;
        y = cmpxchg(&pg->count_info, x, x | PGC_allocated | 1);
    } while ( y != x );
}

/*
 * With the count at zero nobody can get a reference any more.  Only under the
 * owner's page_alloc_lock: relinquish_memory() takes a count of zero for a page
 * that is being freed, and passes over it.
 */
static bool freeze_frame(struct page_info *pg)
{
    const unsigned long idle = PGC_allocated | 1;

    /* Any flag or state besides makes it differ, e.g. of a broken page. */
    if ( cmpxchg(&pg->count_info, idle, 0) != idle )
        return false;

    if ( likely(type_is_idle(pg)) )
        return true;

    thaw_frame(pg);

    return false;
}

/* The pair cannot move because of the frame on this side. */
static uint8_t busy_status(const struct swap_batch *b, unsigned int side)
{
    return b->exchange ? XEN_P2M_SWAP_ST_EXCHANGED
                       : on_side(XEN_P2M_SWAP_ST_BUSY, side);
}

/* Look up one frame; everything but whether it is busy. */
static uint8_t check_frame(const struct domain *d, struct swap_frame *f)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    p2m_type_t t;
    mfn_t mfn;

    if ( gfn_x(f->gfn) > p2m->max_mapped_pfn )
        return XEN_P2M_SWAP_ST_RANGE;

    if ( f->duplicate )
        return XEN_P2M_SWAP_ST_DUPLICATE;

    /*
     * Not get_gfn_type_access(): the lock is held already, and nothing is to be
     * populated or unshared.
     */
    mfn = p2m->get_entry(p2m, f->gfn, &t, &f->access, 0, NULL, NULL);

    if ( t != p2m_ram_rw )
        return XEN_P2M_SWAP_ST_TYPE;

    if ( !mfn_valid(mfn) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    f->pg = mfn_to_page(mfn);

    if ( is_special_page(f->pg) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    if ( page_get_owner(f->pg) != d )
        return XEN_P2M_SWAP_ST_OWNER;

    if ( get_gpfn_from_mfn(mfn_x(mfn)) != gfn_x(f->gfn) )
        return XEN_P2M_SWAP_ST_M2P;

    return XEN_P2M_SWAP_ST_SWAPPED;
}

/*
 * Have the gfn mapped by a 4k entry.  This is the only step that can run out of
 * memory, and it changes nothing that the domain can see.
 */
static bool split_entry(struct domain *d, const struct swap_frame *f)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    p2m_type_t t;
    p2m_access_t a;
    unsigned int order;
    bool sve;
    mfn_t mfn = p2m->get_entry(p2m, f->gfn, &t, &a, 0, &order, &sve);

    /* p2m_set_entry() would lose suppress_ve when it has to split. */
    return !order ||
           !p2m->set_entry(p2m, f->gfn, mfn, PAGE_ORDER_4K, t, a, sve);
}

static uint8_t plan_pair(struct swap_batch *b, unsigned int i)
{
    struct swap_frame *f = b->frame[i];
    unsigned int side;

    uint8_t plan = XEN_P2M_SWAP_ST_SWAPPED;

    for ( side = 0; side < 2; side++ )
    {
        uint8_t st = check_frame(b->d[side], &f[side]);

        if ( st != XEN_P2M_SWAP_ST_SWAPPED )
            return on_side(st, side);

        if ( !frame_is_idle(f[side].pg) )
        {
            plan = busy_status(b, side);
            if ( !b->exchange )
                return plan;
        }
    }

    /* Contents change places without the entries, so without splitting them. */
    if ( plan != XEN_P2M_SWAP_ST_SWAPPED )
        return plan;

    for ( side = 0; side < 2; side++ )
        if ( !split_entry(b->d[side], &f[side]) )
            return on_side(XEN_P2M_SWAP_ST_NOMEM, side);

    return XEN_P2M_SWAP_ST_SWAPPED;
}

/* The frame's count is frozen and both page_alloc_locks are held. */
static void move_frame(struct page_info *pg, struct domain *from,
                       struct domain *to, gfn_t gfn)
{
    int rc = cleanup_page_mappings(pg);

    /* It fails in unmapping from a PV domain's IOMMU, and nowhere else. */
    ASSERT(!rc);

    pg->u.inuse.type_info = 0;
    page_list_del(pg, &from->page_list);
    page_set_owner(pg, to);
    page_list_add_tail(pg, &to->page_list);

    /*
     * With the lock held, for the frame's P2M entry keeps no reference: once
     * it is thawed and unlocked, its new owner may be destroyed and the frame
     * be someone else's.
     */
    set_gpfn_from_mfn(mfn_x(page_to_mfn(pg)), gfn_x(gfn));
}

static always_inline void lock_page_alloc(struct domain *d)
{
    page_alloc_mm_pre_lock(d);
    nrspin_lock(&d->page_alloc_lock);
    page_alloc_mm_post_lock(d, d->arch.page_alloc_unlock_level);
}

static void unlock_page_alloc(struct domain *d)
{
    page_alloc_mm_unlock(d->arch.page_alloc_unlock_level);
    nrspin_unlock(&d->page_alloc_lock);
}

static uint8_t freeze_pair(struct swap_batch *b, unsigned int i)
{
    struct swap_frame *f = b->frame[i];

    if ( !freeze_frame(f[0].pg) )
        return busy_status(b, 0);

    if ( !freeze_frame(f[1].pg) )
    {
        thaw_frame(f[0].pg);
        return busy_status(b, 1);
    }

    return XEN_P2M_SWAP_ST_SWAPPED;
}

/*
 * Give the frames their new owners.  domain_kill() sets is_dying, then goes
 * through page_alloc_lock, and only after that relinquishes any memory: so what
 * is not dying here keeps its pages until the unlock.
 */
static int move_frames(struct swap_batch *b)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    unsigned int i;
    bool any = false;
    int rc = -ESRCH;

    lock_page_alloc(d0);
    lock_page_alloc(d1);

    if ( d0->is_dying || d1->is_dying )
        goto out;

    for ( i = 0; i < b->nr; i++ )
        if ( b->status[i] == XEN_P2M_SWAP_ST_SWAPPED )
        {
            b->status[i] = freeze_pair(b, i);
            any |= b->status[i] == XEN_P2M_SWAP_ST_SWAPPED;
        }

    /* From here on nothing fails. */
    rc = 0;

    /*
     * A third domain may have dropped its reference and still have the frame in
     * a TLB, and so may a vCPU of either: nobody may when it changes hands.
     * Read-only mappings leave no timestamp to filter by.
     */
    if ( any )
        flush_all(FLUSH_TLB | FLUSH_HVM_ASID_CORE);

    for ( i = 0; i < b->nr; i++ )
        if ( b->status[i] == XEN_P2M_SWAP_ST_SWAPPED )
        {
            struct swap_frame *f = b->frame[i];

            move_frame(f[0].pg, b->d[0], b->d[1], f[1].gfn);
            move_frame(f[1].pg, b->d[1], b->d[0], f[0].gfn);
            thaw_frame(f[0].pg);
            thaw_frame(f[1].pg);
        }

 out:
    unlock_page_alloc(d1);
    unlock_page_alloc(d0);

    return rc;
}

/*
 * Not under the page_alloc_locks, which nest inside most others.  Until the P2M
 * locks are dropped nobody sees that P2M and ownership differ: both domains are
 * paused, and lookups by gfn wait.
 */
static void set_entries(struct swap_batch *b, unsigned int i)
{
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        const struct swap_frame *f = &b->frame[i][side];
        mfn_t mfn = page_to_mfn(b->frame[i][!side].pg);
        int rc = p2m_set_entry(p2m_get_hostp2m(b->d[side]), f->gfn, mfn,
                               PAGE_ORDER_4K, p2m_ram_rw, f->access);

        if ( likely(!rc) )
            continue;

        /* Neither may run with a mapping of what it does not own any more. */
        ASSERT_UNREACHABLE();
        printk(XENLOG_G_ERR "%pd: P2M swap: gfn %"PRI_gfn" not set: %d\n",
               b->d[side], gfn_x(f->gfn), rc);
        domain_crash(b->d[0]);
        domain_crash(b->d[1]);
    }
}

static void exchange_contents(const struct page_info *pg0,
                              const struct page_info *pg1)
{
    unsigned long *p0 = __map_domain_page(pg0);
    unsigned long *p1 = __map_domain_page(pg1);
    unsigned int i;

    for ( i = 0; i < PAGE_SIZE / sizeof(*p0); i++ )
        SWAP(p0[i], p1[i]);

    unmap_domain_page(p1);
    unmap_domain_page(p0);
}

/* Reading a bad frame would be a machine check. */
static bool frame_is_sound(const struct page_info *pg)
{
    return (ACCESS_ONCE(pg->count_info) & ~PGC_count_mask) == PGC_allocated;
}

/*
 * Whoever else refers to the frames keeps access to them, as their owners do:
 * only data goes across, so no count matters.  The references are for a domain
 * that is killed meanwhile.
 */
static uint8_t exchange_pair(struct swap_batch *b, unsigned int i)
{
    struct page_info *pg0 = b->frame[i][0].pg, *pg1 = b->frame[i][1].pg;
    uint8_t st = on_side(XEN_P2M_SWAP_ST_BUSY, 0);

    if ( !get_page(pg0, b->d[0]) )
        return st;

    if ( !frame_is_sound(pg0) )
        goto put_0;

    st = on_side(XEN_P2M_SWAP_ST_BUSY, 1);
    if ( !get_page(pg1, b->d[1]) )
        goto put_0;

    if ( frame_is_sound(pg1) )
    {
        exchange_contents(pg0, pg1);
        st = XEN_P2M_SWAP_ST_EXCHANGED;
    }

    put_page(pg1);
 put_0:
    put_page(pg0);

    return st;
}

/* On an error no pair was touched. */
static int swap_locked(struct swap_batch *b)
{
    unsigned int i;
    int rc = check_domain(b->d[0]) ?: check_domain(b->d[1]);

    if ( rc )
        return rc;

    for ( i = 0; i < b->nr; i++ )
        b->status[i] = plan_pair(b, i);

    rc = move_frames(b);
    if ( rc )
        return rc;

    for ( i = 0; i < b->nr; i++ )
        if ( b->status[i] == XEN_P2M_SWAP_ST_SWAPPED )
            set_entries(b, i);
        else if ( b->status[i] == XEN_P2M_SWAP_ST_EXCHANGED )
            b->status[i] = exchange_pair(b, i);

    return 0;
}

static always_inline void lock_p2m(struct domain *d)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);

    p2m_lock(p2m);
    p2m->defer_nested_flush = true;
}

static void unlock_p2m(struct domain *d)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    struct vcpu *v;

    p2m->defer_nested_flush = false;
    if ( nestedhvm_enabled(d) )
        p2m_flush_nestedp2m(d);

    /* NPT flushes over the dirty mask, which is empty while d is paused. */
    for_each_vcpu ( d, v )
        hvm_asid_flush_vcpu(v);

    /* p2m_unlock() would do it, but after the unlock. */
    p2m_tlb_flush_sync(p2m);
    p2m_unlock(p2m);
}

static int swap_batch(struct swap_batch *b)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    int rc;

    /* Before the locks: a vCPU may be waiting for one. */
    domain_pause(d0);
    domain_pause(d1);

    /*
     * Two host P2M locks are on the same level: the lower domid goes first, as
     * in mem_sharing.c.
     */
    lock_p2m(d0);
    lock_p2m(d1);

    rc = swap_locked(b);

    unlock_p2m(d1);
    unlock_p2m(d0);

    domain_unpause(d1);
    domain_unpause(d0);

    return rc;
}

static int get_extent(struct swap_batch *b, const struct xen_p2m_swap *op,
                      unsigned int idx, xen_p2m_swap_extent_t *e)
{
    unsigned int start = idx - idx % CHUNK_EXTENTS;

    if ( start != b->chunk_start )
    {
        b->chunk_start = ~0U;
        if ( copy_from_guest_offset(b->chunk, op->extents, start,
                                    min_t(unsigned int, CHUNK_EXTENTS,
                                          op->nr_extents - start)) )
            return -EFAULT;
        b->chunk_start = start;
    }

    *e = b->chunk[idx - start];

    if ( !e->nr || e->pad || e->gfn_a + e->nr - 1 < e->gfn_a ||
         e->gfn_b + e->nr - 1 < e->gfn_b )
        return -EINVAL;

    return 0;
}

/* Check all extents, and find where nr_done is in them. */
static int find_start(struct swap_batch *b, const struct xen_p2m_swap *op,
                      unsigned int *total, unsigned int *idx, unsigned int *off)
{
    unsigned int i;

    *total = 0;
    for ( i = 0; i < op->nr_extents; i++ )
    {
        xen_p2m_swap_extent_t e;
        int rc = get_extent(b, op, i, &e);

        if ( rc )
            return rc;

        if ( e.nr > XEN_P2M_SWAP_MAX_PAIRS - *total )
            return -E2BIG;

        if ( op->nr_done >= *total && op->nr_done < *total + e.nr )
        {
            *idx = i;
            *off = op->nr_done - *total;
        }

        *total += e.nr;
    }

    return op->nr_done > *total ? -EINVAL : 0;
}

/* The next pairs; the caller may have changed the extents since the check. */
static int fill_batch(struct swap_batch *b, const struct xen_p2m_swap *op,
                      unsigned int *idx, unsigned int *off, unsigned int max)
{
    max = min_t(unsigned int, max, BATCH_PAIRS);
    memset(b->seen, 0, sizeof(b->seen));

    for ( b->nr = 0; b->nr < max; )
    {
        struct swap_frame *f = b->frame[b->nr];
        xen_p2m_swap_extent_t e;
        int rc = *idx < op->nr_extents ? get_extent(b, op, *idx, &e) : -EINVAL;

        if ( rc )
            return rc;

        if ( *off >= e.nr )
        {
            ++*idx;
            *off = 0;
            continue;
        }

        f[0].gfn = _gfn(e.gfn_a + *off);
        f[1].gfn = _gfn(e.gfn_b + *off);
        f[0].duplicate = seen_before(b, 0, b->nr);
        f[1].duplicate = seen_before(b, 1, b->nr);
        ++*off;
        b->nr++;
    }

    return 0;
}

/* Also finds out early whether the caller's array can be written. */
static int mark_skipped(struct swap_batch *b, const struct xen_p2m_swap *op,
                        unsigned int total)
{
    unsigned int done, nr;

    memset(b->status, XEN_P2M_SWAP_ST_SKIPPED, sizeof(b->status));

    for ( done = 0; done < total; done += nr )
    {
        nr = min_t(unsigned int, total - done, BATCH_PAIRS);
        if ( copy_to_guest_offset(op->status, done, b->status, nr) )
            return -EFAULT;
    }

    return 0;
}

/* Returns -ERESTART when it stopped to be continued. */
static int do_swap(struct swap_batch *b, struct xen_p2m_swap *op)
{
    unsigned int total, idx = 0, off = 0;
    int rc = find_start(b, op, &total, &idx, &off);

    if ( !rc && !op->nr_done )
        rc = mark_skipped(b, op, total);

    while ( !rc && op->nr_done < total )
    {
        uint64_t start = op->nr_done;

        rc = fill_batch(b, op, &idx, &off, total - start);
        if ( rc )
            break;

        rc = swap_batch(b);
        if ( rc )
            break;

        op->nr_done += b->nr;

        if ( copy_to_guest_offset(op->status, start, b->status, b->nr) )
            rc = -EFAULT;
        else if ( op->nr_done < total && hypercall_preempt_check() )
            rc = -ERESTART;
    }

    return rc;
}

static int check_op(const struct xen_p2m_swap *op)
{
    if ( op->flags & ~XEN_P2M_SWAP_EXCHANGE )
        return -EINVAL;

    if ( op->nr_excluded || !guest_handle_is_null(op->excluded) )
        return -EOPNOTSUPP;

    if ( op->nr_extents > XEN_P2M_SWAP_MAX_EXTENTS )
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

long p2m_swap_memop(XEN_GUEST_HANDLE_PARAM(xen_p2m_swap_t) arg)
{
    struct xen_p2m_swap op;
    struct swap_batch *b;
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

    rc = check_domain(d[0]) ?: check_domain(d[1]);
    if ( rc )
        goto out;

    rc = -ENOMEM;
    b = xmalloc(struct swap_batch);
    if ( !b )
        goto out;

    b->d[0] = d[0];
    b->d[1] = d[1];
    b->first = d[0]->domain_id > d[1]->domain_id;
    b->exchange = op.flags & XEN_P2M_SWAP_EXCHANGE;
    b->chunk_start = ~0U;

    rc = do_swap(b, &op);
    xfree(b);

    /* The continuation's only state, and the caller's only clue on an error. */
    if ( __copy_field_to_guest(arg, &op, nr_done) )
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
