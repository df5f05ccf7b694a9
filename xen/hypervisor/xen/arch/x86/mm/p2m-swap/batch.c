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

#include <xen/domain_page.h>
#include <xen/event.h>
#include <xen/param.h>
#include <xen/paging.h>
#include <xen/sched.h>
#include <xen/vm_event.h>

#include <asm/altp2m.h>
#include <asm/flushtlb.h>
#include <asm/hvm/asid.h>
#include <asm/hvm/nestedhvm.h>
#include <asm/iocap.h>
#include <asm/mem_paging.h>

#include "../mm-locks.h"
#include "entry.h"
#include "frame.h"
#include "private.h"

/*
 * How long the domains may be paused at a time, in units of what a pair of 4k
 * frames costs: 230 to 480 instructions, so a pair of superpages is some 64 of
 * them, and an exchange of contents 8.  Measured: docs/hypercall.md of the
 * project.
 */
static unsigned int __read_mostly opt_pause_cost = 1024;
integer_runtime_param("p2m-swap-pause", opt_pause_cost);

#define COST_SUPERPAGE  64U
#define COST_EXCHANGE   8U

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
    b->nr_segs = 0;
    b->nr_pairs = 0;
    b->nr_done = 0;

    if ( b->any_kept )
        bitmap_zero(b->kept, BATCH_PAIRS);
    b->any_kept = false;
}

/* Where the gfn's entry is in its table. */
static unsigned int table_index(unsigned long gfn)
{
    return gfn & (SUPERPAGE_PAGES - 1);
}

/* Takes pairs from the beginning of a run.  Returns how many; 0: it is full. */
unsigned int p2m_swap_batch_add(struct swap_batch *b, unsigned long gfn_a,
                                unsigned long gfn_b, unsigned int nr)
{
    unsigned int room =
        SUPERPAGE_PAGES - max(table_index(gfn_a), table_index(gfn_b));

    nr = min(nr, room);

    if ( b->nr_segs == BATCH_SEGS || nr > BATCH_PAIRS - b->nr_pairs )
        return 0;

    b->seg[b->nr_segs++] = (struct swap_seg){
        .gfn = { gfn_a, gfn_b },
        .first = b->nr_pairs,
        .nr = nr,
    };
    b->nr_pairs += nr;

    return nr;
}

/* Excludes pairs of the segment that was added last, from its @i-th on. */
void p2m_swap_batch_keep(struct swap_batch *b, unsigned int i, unsigned int nr)
{
    struct swap_seg *seg = &b->seg[b->nr_segs - 1];

    ASSERT(i + nr <= seg->nr);

    seg->kept += nr;
    b->any_kept = true;
    while ( nr-- )
        __set_bit(seg->first + i++, b->kept);
}

static bool is_kept(const struct swap_batch *b, const struct swap_seg *seg,
                    unsigned int i)
{
    return unlikely(seg->kept) && test_bit(seg->first + i, b->kept);
}

/* The first excluded pair of the segment from the @i-th on; or behind the last. */
static unsigned int next_kept(const struct swap_batch *b,
                              const struct swap_seg *seg, unsigned int i)
{
    if ( likely(!seg->kept) || i >= seg->nr )
        return seg->nr;

    return find_next_bit(b->kept, seg->first + seg->nr, seg->first + i) -
           seg->first;
}

/* Of all pairs; excluded ones have their own. */
static void set_status(struct swap_batch *b, const struct swap_seg *seg,
                       uint8_t status)
{
    uint8_t *st = b->status + seg->first;
    unsigned int i;

    memset(st, status, seg->nr);
    for ( i = next_kept(b, seg, 0); i < seg->nr; i = next_kept(b, seg, i + 1) )
        st[i] = XEN_P2M_SWAP_ST_KEPT;
}

static bool is_aligned(const struct swap_seg *seg)
{
    return seg->nr == SUPERPAGE_PAGES &&
           !((seg->gfn[0] | seg->gfn[1]) & (SUPERPAGE_PAGES - 1));
}

/*
 * Find where the entries of both sides are, at one order.  Returns the status of
 * all pairs if there is no memory for that.
 */
static uint8_t find_entries(struct swap_seg *seg, struct swap_walk *walk)
{
    unsigned int order = is_aligned(seg) && !seg->busy ? PAGE_ORDER_2M : 0;
    unsigned int side = 0;

    seg->order = 0;
    if ( !order &&
         likely(walk_has_table(&walk[0], seg->gfn[0], &seg->table[0])) &&
         likely(walk_has_table(&walk[1], seg->gfn[1], &seg->table[1])) )
        return XEN_P2M_SWAP_ST_SWAPPED;

    while ( side < 2 )
    {
        int rc = p2m_swap_find_table(&walk[side], seg->gfn[side], order,
                                     &seg->table[side]);

        if ( rc < 0 )
            return on_side(XEN_P2M_SWAP_ST_NOMEM, side);

        if ( mfn_eq(seg->table[side], INVALID_MFN) )
        {
            /* No pair of these can go: nothing is to be split for them. */
            seg->table[!side] = INVALID_MFN;
            order = 0;
            break;
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

    seg->order = order;

    return XEN_P2M_SWAP_ST_SWAPPED;
}

static unsigned int seg_cost(const struct swap_batch *b,
                             const struct swap_seg *seg)
{
    if ( seg->order )
        return COST_SUPERPAGE + seg->kept * COST_EXCHANGE;

    return seg->nr * (b->exchange ? COST_EXCHANGE : 1);
}

static uint64_t *map_entry(const struct swap_seg *seg, unsigned int side)
{
    uint64_t *table;

    if ( mfn_eq(seg->table[side], INVALID_MFN) )
        return NULL;

    table = map_domain_page(seg->table[side]);

    return table + table_index(seg->gfn[side] >> seg->order);
}

static void unmap_entry(const uint64_t *entry)
{
    if ( entry )
        unmap_domain_page(entry);
}

/* Everything but whether it is busy. */
static uint8_t check_frame(struct domain *d, unsigned long gfn,
                           struct page_info **pg)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    p2m_type_t t;
    p2m_access_t a;
    mfn_t mfn;

    if ( gfn > p2m->max_mapped_pfn )
        return XEN_P2M_SWAP_ST_RANGE;

    /*
     * Not get_gfn_type_access(): the lock is held already, and nothing is to be
     * populated or unshared.
     */
    mfn = p2m->get_entry(p2m, _gfn(gfn), &t, &a, 0, NULL, NULL);

    if ( t != p2m_ram_rw )
        return XEN_P2M_SWAP_ST_TYPE;

    if ( !mfn_valid(mfn) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    *pg = mfn_to_page(mfn);

    if ( is_special_page(*pg) )
        return XEN_P2M_SWAP_ST_SPECIAL;

    if ( page_get_owner(*pg) != d )
        return XEN_P2M_SWAP_ST_OWNER;

    if ( get_gpfn_from_mfn(mfn_x(mfn)) != gfn )
        return XEN_P2M_SWAP_ST_M2P;

    /* Nobody else freezes pages of this domain while its P2M is locked. */
    if ( !((*pg)->count_info & PGC_count_mask) )
        return XEN_P2M_SWAP_ST_DUPLICATE;

    return XEN_P2M_SWAP_ST_SWAPPED;
}

/*
 * A pair that could not be frozen: why?  If it is only busy, and the caller
 * wants it, the contents change places: at once, so that all happens in the
 * order of the list.  Whoever else refers to the frames keeps access to them, as
 * their owners do: only data goes across, so no count matters.  Under the
 * page_alloc_locks of domains that are not dying the frames cannot go.
 */
static uint8_t refuse_pair(const struct swap_batch *b,
                           const struct swap_seg *seg, unsigned int i)
{
    struct page_info *pg[2];
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        uint8_t st = check_frame(b->d[side], seg->gfn[side] + i, &pg[side]);

        if ( st != XEN_P2M_SWAP_ST_SWAPPED )
            return on_side(st, side);
    }

    if ( b->exchange && p2m_swap_frame_is_sound(pg[0]) &&
         p2m_swap_frame_is_sound(pg[1]) )
    {
        p2m_swap_exchange(pg[0], pg[1]);
        return XEN_P2M_SWAP_ST_EXCHANGED;
    }

    /* If neither is busy any more, someone has just let go. */
    return on_side(XEN_P2M_SWAP_ST_BUSY, p2m_swap_frame_is_idle(pg[0]));
}

/* The frame of an entry that maps plain RAM at this order, or NULL. */
static always_inline struct page_info *entry_frame(uint64_t entry,
                                                   unsigned int order)
{
    const mfn_t mfn = entry_mfn(entry);

    return likely(entry_is_ram(entry, order)) && likely(mfn_valid(mfn))
           ? mfn_to_page(mfn) : NULL;
}

static always_inline struct page_info *freeze_entry(uint64_t entry,
                                                    owner_t owner,
                                                    unsigned long gfn)
{
    struct page_info *pg = entry_frame(entry, PAGE_ORDER_4K);

    return likely(pg) &&
           likely(frame_is_of(pg, owner,
                              &machine_to_phys_mapping[mfn_x(entry_mfn(entry))],
                              gfn)) &&
           likely(frame_freeze(pg)) ? pg : NULL;
}

/* From the domain on @side to the other one, which has it at @gfn. */
static always_inline void hand_over(struct swap_batch *b, unsigned int side,
                                    struct page_info *pg, uint64_t entry,
                                    unsigned long gfn)
{
    page_list_del(pg, &b->d[side]->page_list);
    page_list_add_tail(pg, &b->taken[!side]);
    frame_hand_over(pg, b->owner[!side],
                    &machine_to_phys_mapping[mfn_x(entry_mfn(entry))], gfn);
}

/* Returns whether both frames have changed hands; or none has. */
static always_inline bool take_pair(struct swap_batch *b,
                                    const struct swap_seg *seg, unsigned int i,
                                    uint64_t *e0, uint64_t *e1)
{
    const uint64_t old0 = *e0, old1 = *e1;
    struct page_info *pg0, *pg1;

    pg0 = freeze_entry(old0, b->owner[0], seg->gfn[0] + i);
    if ( unlikely(!pg0) )
        return false;

    pg1 = freeze_entry(old1, b->owner[1], seg->gfn[1] + i);
    if ( unlikely(!pg1) )
    {
        frame_thaw(pg0);
        return false;
    }

    swap_entries(e0, e1, old0, old1);
    hand_over(b, 0, pg0, old0, seg->gfn[1] + i);
    hand_over(b, 1, pg1, old1, seg->gfn[0] + i);

    return true;
}

/* Returns whether an entry of the pair was stale, and is not any more. */
static bool refresh_pair(const struct swap_batch *b, const struct swap_seg *seg,
                         unsigned int i, uint64_t entry_a, uint64_t entry_b)
{
    const bool stale[2] = { entry_is_stale(entry_a), entry_is_stale(entry_b) };
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        struct p2m_domain *p2m = p2m_get_hostp2m(b->d[side]);

        /* Nothing above the entry is stale, so nothing is allocated. */
        if ( stale[side] )
            p2m->recalc(p2m, seg->gfn[side] + i);
    }

    return stale[0] || stale[1];
}

/* Returns whether any pair has changed hands. */
static bool take_small(struct swap_batch *b, const struct swap_seg *seg)
{
    uint64_t *e0 = map_entry(seg, 0), *e1 = map_entry(seg, 1);
    uint8_t *st = b->status + seg->first;
    bool any = false;
    unsigned int i;

    for ( i = 0; i < seg->nr; i++ )
    {
        if ( is_kept(b, seg, i) )
        {
            st[i] = XEN_P2M_SWAP_ST_KEPT;
            continue;
        }

        if ( likely(e0 && e1) &&
             (likely(take_pair(b, seg, i, &e0[i], &e1[i])) ||
              (refresh_pair(b, seg, i, e0[i], e1[i]) &&
               take_pair(b, seg, i, &e0[i], &e1[i]))) )
        {
            st[i] = XEN_P2M_SWAP_ST_SWAPPED;
            any = true;
        }
        else
            st[i] = refuse_pair(b, seg, i);
    }

    unmap_entry(e1);
    unmap_entry(e0);

    return any;
}

/* All frames of both sides, the excluded ones, too; or none. */
static bool take_superpage(struct swap_batch *b, struct swap_seg *seg)
{
    uint64_t *e0 = map_entry(seg, 0), *e1 = map_entry(seg, 1);
    const uint64_t old0 = *e0, old1 = *e1;
    /* What was done for a segment after it was found may have changed it. */
    struct page_info *pg0 = entry_frame(old0, PAGE_ORDER_2M);
    struct page_info *pg1 = entry_frame(old1, PAGE_ORDER_2M);
    bool chained0, chained1, taken = false;

    if ( !pg0 || !pg1 ||
         !p2m_swap_freeze_run(pg0, b->d[0], seg->gfn[0], SUPERPAGE_PAGES,
                              &chained0) )
        goto out;

    if ( !p2m_swap_freeze_run(pg1, b->d[1], seg->gfn[1], SUPERPAGE_PAGES,
                              &chained1) )
    {
        p2m_swap_thaw_run(pg0, SUPERPAGE_PAGES);
        goto out;
    }

    swap_entries(e0, e1, old0, old1);
    p2m_swap_hand_over_run(pg0, b->d[0], b->d[1], seg->gfn[1], SUPERPAGE_PAGES,
                           chained0);
    p2m_swap_hand_over_run(pg1, b->d[1], b->d[0], seg->gfn[0], SUPERPAGE_PAGES,
                           chained1);

    seg->pg[0] = pg0;
    seg->pg[1] = pg1;
    set_status(b, seg, XEN_P2M_SWAP_ST_SWAPPED);
    b->op->nr_large += SUPERPAGE_PAGES;
    taken = true;

 out:
    unmap_entry(e1);
    unmap_entry(e0);

    return taken;
}

/* Let the new owners have what they were given. */
static void release_superpage(const struct swap_batch *b,
                              const struct swap_seg *seg)
{
    unsigned int i;

    /* Excluded: the frame has gone, and the contents come back. */
    for ( i = next_kept(b, seg, 0); i < SUPERPAGE_PAGES;
          i = next_kept(b, seg, i + 1) )
        p2m_swap_exchange(seg->pg[0] + i, seg->pg[1] + i);

    p2m_swap_thaw_run(seg->pg[0], SUPERPAGE_PAGES);
    p2m_swap_thaw_run(seg->pg[1], SUPERPAGE_PAGES);
}

static void release_small(struct swap_batch *b)
{
    unsigned int side;

    for ( side = 0; side < 2; side++ )
    {
        struct page_list_head *taken = &b->taken[side];
        struct page_info *pg;

        page_list_for_each ( pg, taken )
            frame_thaw(pg);
        page_list_splice(taken, &b->d[side]->page_list);
        INIT_PAGE_LIST_HEAD(taken);
    }
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
static int move_segs(struct swap_batch *b, unsigned int start,
                     unsigned int *end)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    bool any = false;
    unsigned int i;
    int rc = -ESRCH;

    lock_page_alloc(d0);
    lock_page_alloc(d1);

    if ( d0->is_dying || d1->is_dying )
        goto out;

    /* From here on nothing fails. */
    rc = 0;

    for ( i = start; i < *end; i++ )
    {
        struct swap_seg *seg = &b->seg[i];

        if ( seg->nomem )
            continue;

        if ( !seg->order )
            any |= take_small(b, seg);
        else if ( take_superpage(b, seg) )
            any = true;
        else
        {
            seg->busy = true;
            *end = i;
        }
    }

    if ( !any )
        goto out;

    /*
     * A third domain may have dropped its reference and still have the frame in
     * a TLB, and so may a vCPU of either: nobody may when the new owner can get
     * at it.  Read-only mappings leave no timestamp to filter by.
     */
    flush_all(FLUSH_TLB | FLUSH_HVM_ASID_CORE);
    b->op->nr_flushes++;

    for ( i = start; i < *end; i++ )
        if ( b->seg[i].order && !b->seg[i].nomem )
            release_superpage(b, &b->seg[i]);
    release_small(b);

 out:
    unlock_page_alloc(d1);
    unlock_page_alloc(d0);

    return rc;
}

/*
 * Find the entries of as many segments as the pause has room for, but of one at
 * least.  Returns where they end.
 */
static unsigned int find_segs(struct swap_batch *b, unsigned int start)
{
    struct swap_walk walk[2];
    unsigned int i, cost = 0;

    p2m_swap_walk_begin(&walk[0], b->d[0]);
    p2m_swap_walk_begin(&walk[1], b->d[1]);

    for ( i = start; i < b->nr_segs; i++ )
    {
        struct swap_seg *seg = &b->seg[i];
        uint8_t st = find_entries(seg, walk);

        seg->nomem = st != XEN_P2M_SWAP_ST_SWAPPED;
        if ( seg->nomem )
        {
            set_status(b, seg, st);
            continue;
        }

        cost += seg_cost(b, seg);
        if ( cost > opt_pause_cost && i > start )
            break;
    }

    p2m_swap_walk_end(&walk[1]);
    p2m_swap_walk_end(&walk[0]);

    return i;
}

/* On an error no pair from @start on was touched. */
static int swap_locked(struct swap_batch *b, unsigned int start,
                       unsigned int *end)
{
    int rc = p2m_swap_check_domain(b->d[0]) ?: p2m_swap_check_domain(b->d[1]);

    if ( rc )
        return rc;

    *end = find_segs(b, start);

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
static int swap_some(struct swap_batch *b, unsigned int *start)
{
    struct domain *d0 = b->d[b->first], *d1 = b->d[!b->first];
    unsigned int end = *start;
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

    for ( ; !rc && *start < end; ++*start )
        b->nr_done += b->seg[*start].nr;

    return rc;
}

/* b->nr_done tells how many pairs were dealt with, also after an error. */
int p2m_swap_batch_run(struct swap_batch *b)
{
    unsigned int side, next = 0;
    int rc = 0;

    for ( side = 0; side < 2; side++ )
    {
        b->owner[side] = owner_of(b->d[side]);
        INIT_PAGE_LIST_HEAD(&b->taken[side]);
    }

    while ( !rc && next < b->nr_segs )
        rc = swap_some(b, &next);

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
