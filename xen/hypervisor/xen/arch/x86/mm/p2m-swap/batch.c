/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A batch: pairs that are swapped while both domains are paused and both P2Ms
 * locked.
 *
 * A frame moves only when its owner's P2M entry is all that refers to it, so
 * that no mapping of it outlives the move.  Its counts are frozen at zero, so
 * that nobody can get at it; it is given to its new owner; every TLB is flushed;
 * and only then is it thawed.
 */

#include <xen/event.h>
#include <xen/paging.h>
#include <xen/sched.h>
#include <xen/vm_event.h>

#include <asm/altp2m.h>
#include <asm/flushtlb.h>
#include <asm/hvm/asid.h>
#include <asm/hvm/nestedhvm.h>
#include <asm/hvm/vmx/vmx.h>
#include <asm/iocap.h>
#include <asm/mem_paging.h>

#include "../mm-locks.h"
#include "private.h"

/*
 * Domains that the op does not deal with.  Without an IOMMU nothing but the P2M
 * translates, and without access to devices a memory type does not depend on
 * the frame.  All of these may change until the P2M lock is held, and are
 * looked at again then.
 */
int p2m_swap_check_domain(const struct domain *d)
{
    if ( d->is_dying )
        return -ESRCH;

    if ( !is_hvm_domain(d) || !hap_enabled(d) || is_iommu_enabled(d) ||
         cache_flush_permitted(d) || altp2m_active(d) ||
         paging_mode_log_dirty(d) || p2m_is_global_logdirty(d) ||
         p2m_pod_active(d) || mem_sharing_enabled(d) || mem_paging_enabled(d) )
        return -EOPNOTSUPP;

    return 0;
}

void p2m_swap_batch_reset(struct swap_batch *b)
{
    b->end = b->seg;
    b->nr_pairs = 0;
    b->nr_done = 0;

    if ( b->any_kept )
        bitmap_zero(b->kept, BATCH_PAIRS);
    b->any_kept = false;
}

/* Excludes pairs of the segment that was added last, from its @i-th on. */
void p2m_swap_batch_keep(struct swap_batch *b, unsigned int i, unsigned int nr)
{
    struct swap_seg *seg = b->end - 1;

    ASSERT(i + nr <= seg->nr);

    seg->kept += nr;
    b->any_kept = true;
    while ( nr-- )
        __set_bit(seg->first + i++, b->kept);
}

/* Of all pairs; excluded ones have their own. */
void p2m_swap_set_status(struct swap_batch *b, const struct swap_seg *seg,
                         uint8_t status)
{
    uint8_t *st = b->status + seg->first;
    unsigned int i;

    memset(st, status, seg->nr);
    for ( i = next_kept(b, seg, 0); i < seg->nr; i = next_kept(b, seg, i + 1) )
        st[i] = XEN_P2M_SWAP_ST_KEPT;
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

/*
 * Give the frames their new owners.  domain_kill() sets is_dying, then goes
 * through page_alloc_lock, and only after that relinquishes any memory: so what
 * is not dying here keeps its pages until the unlock.
 *
 * @end: how far it came.  A superpage with a busy frame ends it, and is to be
 * taken frame by frame when the domains have run: for that it must be split,
 * which is not possible here, and nothing behind it may come before it.
 */
static int move_segs(struct swap_batch *b, struct swap_seg *start,
                     struct swap_seg **end)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    struct swap_seg *seg = start;
    bool any_superpage = false;
    int rc = -ESRCH;

    lock_page_alloc(d0);
    lock_page_alloc(d1);

    if ( d0->is_dying || d1->is_dying )
        goto out;

    /* From here on nothing fails. */
    rc = 0;

    while ( seg < *end )
    {
        switch ( seg->kind )
        {
        case SEG_PAIRS:
            seg = p2m_swap_take_pairs(b, seg, *end);
            continue;

        case SEG_ABSENT:
            p2m_swap_refuse_pairs(b, seg);
            break;

        case SEG_SUPERPAGE:
            if ( p2m_swap_take_superpage(b, seg) )
                any_superpage = true;
            else
            {
                seg->order = PAGE_ORDER_4K;
                *end = seg;
            }
            break;

        default:
            /* It has its status. */
            break;
        }

        seg++;
    }

    if ( !any_superpage && b->taken_end == b->taken )
        goto out;

    /*
     * A third domain may have dropped its reference and still have the frame in
     * a TLB, and so may a vCPU of either: nobody may when the new owner can get
     * at it.  Read-only mappings leave no timestamp to filter by.
     */
    flush_all(FLUSH_TLB | FLUSH_HVM_ASID_CORE);
    b->op->nr_flushes++;

    for ( seg = start; any_superpage && seg < *end; seg++ )
        if ( seg->kind == SEG_SUPERPAGE )
            p2m_swap_release_superpage(b, seg);
    p2m_swap_release_pairs(b);

 out:
    unlock_page_alloc(d1);
    unlock_page_alloc(d0);

    return rc;
}

/* On an error no pair of @start or behind it was touched. */
static int swap_locked(struct swap_batch *b, struct swap_seg *start,
                       struct swap_seg **end)
{
    int rc = p2m_swap_check_domain(b->d[0]) ?: p2m_swap_check_domain(b->d[1]);

    if ( rc )
        return rc;

    *end = p2m_swap_find_segs(b, start);
    p2m_swap_prefetch_pairs(start, *end);

    return move_segs(b, start, end);
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

    /*
     * What is done for an entry that is changed by way of p2m_set_entry().  For
     * EPT, with the lock held, it is noted and done by the sync.  For NPT it is
     * a flush over the dirty mask, which is empty while the domain is paused.
     */
    if ( using_vmx() )
        ept_sync_domain(p2m);
    for_each_vcpu ( d, v )
        hvm_asid_flush_vcpu(v);

    /* p2m_unlock() would do it, but after the unlock. */
    p2m_tlb_flush_sync(p2m);
    p2m_unlock(p2m);
}

static void count_pause(struct xen_p2m_swap *op, s_time_t ns)
{
    unsigned int bucket = flsl(ns >> XEN_P2M_SWAP_PAUSE_SHIFT);

    op->pauses[min(bucket, XEN_P2M_SWAP_PAUSES - 1U)]++;
    if ( ns > op->max_pause_ns )
        op->max_pause_ns = ns;
}

/* One pause.  @start: segment to begin with; on success, to go on with. */
static int swap_some(struct swap_batch *b, struct swap_seg **start)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    struct swap_seg *end = *start;
    s_time_t began = NOW();
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

    rc = swap_locked(b, *start, &end);

    unlock_p2m(d1);
    unlock_p2m(d0);

    domain_unpause(d1);
    domain_unpause(d0);

    count_pause(b->op, NOW() - began);

    if ( rc )
        return rc;

    *start = end;
    b->nr_done = end < b->end ? end->first : b->nr_pairs;

    return 0;
}

/*
 * b->nr_done tells how many pairs were dealt with, also after an error.  Returns
 * -ERESTART between two pauses when this CPU is wanted: by a domain's vCPU, too,
 * that has just been unpaused.
 */
int p2m_swap_batch_run(struct swap_batch *b)
{
    struct swap_seg *next = b->seg;
    int rc = 0;

    while ( !rc && next < b->end )
    {
        const struct swap_seg *const was = next;

        rc = swap_some(b, &next);
        /* Not if a superpage has just turned out busy: that would be forgotten. */
        if ( !rc && next > was && next < b->end && hypercall_preempt_check() )
            rc = -ERESTART;
    }

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
