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
#include <xen/prefetch.h>
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

/* Find where the entries of both sides are, at one order. */
static void find_entries(struct swap_batch *b, struct swap_seg *seg,
                         struct swap_walk *walk)
{
    unsigned int order = seg->order;
    unsigned int side = 0;

    while ( side < 2 )
    {
        int rc = p2m_swap_find_table(&walk[side], seg->gfn[side], order,
                                     &seg->table[side]);

        if ( rc < 0 )
        {
            seg->kind = SEG_NOMEM;
            set_status(b, seg, on_side(XEN_P2M_SWAP_ST_NOMEM, side));
            return;
        }

        if ( mfn_eq(seg->table[side], INVALID_MFN) )
        {
            /* Nothing is to be split for these. */
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

/* The segment's first entry, which is unmapped by any that is in its table. */
static always_inline uint64_t *map_entry(const struct swap_seg *seg,
                                         unsigned int side, unsigned int order)
{
    uint64_t *table = map_domain_page(seg->table[side]);

    return table + table_index(seg->gfn[side] >> order);
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

/* The first frame of an entry of a superpage of plain RAM, or NULL. */
static struct page_info *entry_superpage(uint64_t entry)
{
    const mfn_t mfn = entry_mfn(entry);

    return entry_is_ram(entry, PAGE_ORDER_2M) && mfn_valid(mfn)
           ? mfn_to_page(mfn) : NULL;
}

/* The entry of a valid frame of plain RAM? */
static always_inline bool entry_is_frame(uint64_t entry)
{
    return likely(entry_is_ram(entry, PAGE_ORDER_4K)) &&
           likely(mfn_valid(entry_mfn(entry)));
}

/* Returns whether both frames have changed hands; or none has. */
static always_inline bool take_frames(struct swap_batch *b,
                                      const struct swap_seg *seg,
                                      unsigned int i, uint64_t *e0,
                                      uint64_t *e1, uint64_t old0,
                                      uint64_t old1)
{
    const mfn_t mfn0 = entry_mfn(old0), mfn1 = entry_mfn(old1);
    const pdx_t pdx0 = mfn_to_pdx(mfn0), pdx1 = mfn_to_pdx(mfn1);
    struct page_info *const pg0 = mfn_to_page(mfn0);
    struct page_info *const pg1 = mfn_to_page(mfn1);
    unsigned long *const m2p0 = &machine_to_phys_mapping[mfn_x(mfn0)];
    unsigned long *const m2p1 = &machine_to_phys_mapping[mfn_x(mfn1)];
    const unsigned long gfn0 = seg->gfn[0] + i, gfn1 = seg->gfn[1] + i;
    struct taken_pair *taken;

    if ( unlikely(!frame_is_of(pg0, b->d[0], m2p0, gfn0)) ||
         unlikely(!frame_is_of(pg1, b->d[1], m2p1, gfn1)) ||
         unlikely(!frame_freeze(pg0)) )
        return false;

    if ( unlikely(!frame_freeze(pg1)) )
    {
        frame_thaw(pg0);
        return false;
    }

    taken = b->taken_end++;
    ASSERT(taken < b->taken + PAUSE_PAIRS);
    taken->pdx[0] = pdx0;
    taken->pdx[1] = pdx1;

    swap_entries(e0, e1, old0, old1);
    frames_relink(pg0, pdx0, &b->d[0]->page_list,
                  pg1, pdx1, &b->d[1]->page_list);
    frame_hand_over(pg0, b->d[1], m2p0, gfn1);
    frame_hand_over(pg1, b->d[0], m2p1, gfn0);

    return true;
}

static always_inline bool take_pair(struct swap_batch *b,
                                    const struct swap_seg *seg, unsigned int i,
                                    uint64_t *e0, uint64_t *e1)
{
    const uint64_t old0 = *e0, old1 = *e1;

    return entry_is_frame(old0) && entry_is_frame(old1) &&
           take_frames(b, seg, i, e0, e1, old0, old1);
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

/* A pair that could not be taken.  Returns its status. */
static noinline uint8_t take_or_refuse(struct swap_batch *b,
                                       const struct swap_seg *seg,
                                       unsigned int i, uint64_t *e0,
                                       uint64_t *e1)
{
    if ( refresh_pair(b, seg, i, *e0, *e1) && take_pair(b, seg, i, e0, e1) )
        return XEN_P2M_SWAP_ST_SWAPPED;

    return refuse_pair(b, seg, i);
}

/*
 * Segments of pairs, from @seg on, as many as follow each other.  Returns where
 * they end.  On its own it has all registers.
 */
static noinline struct swap_seg *take_pairs(struct swap_batch *b,
                                            struct swap_seg *seg,
                                            const struct swap_seg *end)
{
    for ( ; seg < end && seg->kind == SEG_PAIRS; seg++ )
    {
        uint64_t *e0 = map_entry(seg, 0, PAGE_ORDER_4K);
        uint64_t *e1 = map_entry(seg, 1, PAGE_ORDER_4K);
        uint8_t *st = b->status + seg->first;
        unsigned int i;

        for ( i = 0; i < seg->nr; i++ )
        {
            if ( is_kept(b, seg, i) )
                st[i] = XEN_P2M_SWAP_ST_KEPT;
            else if ( likely(take_pair(b, seg, i, &e0[i], &e1[i])) )
                st[i] = XEN_P2M_SWAP_ST_SWAPPED;
            else
                st[i] = take_or_refuse(b, seg, i, &e0[i], &e1[i]);
        }

        unmap_domain_page(e1);
        unmap_domain_page(e0);
    }

    return seg;
}

static void refuse_pairs(struct swap_batch *b, const struct swap_seg *seg)
{
    uint8_t *st = b->status + seg->first;
    unsigned int i;

    for ( i = 0; i < seg->nr; i++ )
        st[i] = is_kept(b, seg, i) ? XEN_P2M_SWAP_ST_KEPT
                                   : refuse_pair(b, seg, i);
}

/* All frames of both sides, the excluded ones, too; or none. */
static bool take_superpage(struct swap_batch *b, struct swap_seg *seg)
{
    uint64_t *e0 = map_entry(seg, 0, PAGE_ORDER_2M);
    uint64_t *e1 = map_entry(seg, 1, PAGE_ORDER_2M);
    const uint64_t old0 = *e0, old1 = *e1;
    /* What was done for a segment after it was found may have changed it. */
    struct page_info *pg0 = entry_superpage(old0);
    struct page_info *pg1 = entry_superpage(old1);
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
    unmap_domain_page(e1);
    unmap_domain_page(e0);

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

static void release_pairs(struct swap_batch *b)
{
    const struct taken_pair *taken, *const end = b->taken_end;

    for ( taken = b->taken; taken < end; taken++ )
    {
        frame_thaw(pdx_to_page(taken->pdx[0]));
        frame_thaw(pdx_to_page(taken->pdx[1]));
    }
    b->taken_end = b->taken;
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
            seg = take_pairs(b, seg, *end);
            continue;

        case SEG_ABSENT:
            refuse_pairs(b, seg);
            break;

        case SEG_SUPERPAGE:
            if ( take_superpage(b, seg) )
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
            release_superpage(b, seg);
    release_pairs(b);

 out:
    unlock_page_alloc(d1);
    unlock_page_alloc(d0);

    return rc;
}

/*
 * Find the entries of as many segments as the pause has room for, but of one at
 * least.  Returns where they end.
 */
static noinline struct swap_seg *find_segs(struct swap_batch *b,
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

/* The entry of a segment's first pair, as it is now. */
static uint64_t peek_entry(const struct swap_seg *seg, unsigned int side)
{
    const uint64_t *e = map_entry(seg, side, PAGE_ORDER_4K);
    const uint64_t entry = *e;

    unmap_domain_page(e);

    return entry;
}

#define for_each_pairs(seg, start, end) \
    for ( (seg) = (start); (seg) < (end); (seg)++ ) \
        if ( (seg)->kind == SEG_PAIRS )

/*
 * A pair that has nothing to do with its neighbours misses the caches with
 * everything: entries, pages, M2P, and who is beside the pages in the lists.
 * When pairs are taken, these misses follow one another, for each locked
 * operation waits for what is before it.  Here nothing waits, and they overlap.
 * Of a run only the first pair is asked for: the processor sees what comes next.
 */
static noinline void prefetch_pairs(const struct swap_seg *start,
                                    const struct swap_seg *end)
{
    const struct swap_seg *seg;
    unsigned int side;

    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const uint64_t *e = map_entry(seg, side, PAGE_ORDER_4K);

            prefetchw(e);
            unmap_domain_page(e);
        }

    /* Whatever the entry is of: an address that is wrong does no harm here. */
    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const mfn_t mfn = entry_mfn(peek_entry(seg, side));

            prefetchw(mfn_to_page(mfn));
            prefetchw(&machine_to_phys_mapping[mfn_x(mfn)]);
        }

    for_each_pairs ( seg, start, end )
        for ( side = 0; side < 2; side++ )
        {
            const uint64_t entry = peek_entry(seg, side);
            const struct page_info *pg = mfn_to_page(entry_mfn(entry));

            if ( entry_is_frame(entry) )
            {
                prefetchw(pdx_to_page(pg->list.next));
                prefetchw(pdx_to_page(pg->list.prev));
            }
        }
}

/* On an error no pair of @start or behind it was touched. */
static int swap_locked(struct swap_batch *b, struct swap_seg *start,
                       struct swap_seg **end)
{
    int rc = p2m_swap_check_domain(b->d[0]) ?: p2m_swap_check_domain(b->d[1]);

    if ( rc )
        return rc;

    *end = find_segs(b, start);
    prefetch_pairs(start, *end);

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
