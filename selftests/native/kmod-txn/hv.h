/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A made-up hypervisor below kmod/host/hypercall.c: two domains, 1 and 2, and XENMEM_p2m_swap, as strict as the real
 * one with what it is given.
 */
#ifndef _TEST_HV_H
#define _TEST_HV_H

#include "kernel.h"
#include "host.h"

#define FRAMES	8192

/* What is at each gfn of the two domains. */
static u64 a[FRAMES], b[FRAMES];
static bool refused[FRAMES];	/* gfns of A */
static unsigned int hv_batch = 256;	/* it notices a gfn that occurs twice within as many pairs */
static bool hv_busy;		/* some pairs: they move with the exchange flag only */
static unsigned int hv_invalidates;	/* hypercalls that were to ask the device models */
static u64 hv_first;		/* domain A's first gfn in the last batch */
static u64 hv_pairs;		/* that it was given, excluded ones among them */
static u64 hv_longest;		/* extent that it was given */
static u64 hv_calls;
static bool hv_asked;		/* a call without pairs is expected */
static u64 hv_excluded;		/* extents of excluded pairs that it was given */
static long hv_refuses;		/* what it says to any call; 0: it has the op */
static int hv_gone;		/* this domain does not exist */
static int hv_dying;		/* no frame of this one can be mapped any more */
static int hv_miscounts;	/* this many more than it was given are done, or fewer */
static int hv_kills_at = -1;	/* hypercalls until a fatal signal comes during one; -1: none does */
static unsigned int hv_torn;	/* batches that begin within a superpage of domain A */
static int fail_at = -1;	/* pairs until a hypercall breaks off; -1: never */
static unsigned int nr_in_place;	/* batches of the caller's own list, all of which was swapped */

static inline void hv_fill(void)
{
	for (u64 i = 0; i < FRAMES; i++) {
		a[i] = i;
		b[i] = FRAMES + i;
	}
}

static inline bool all_back(void)
{
	for (u64 i = 0; i < FRAMES; i++)
		if (a[i] != i || b[i] != FRAMES + i)
			return false;
	return true;
}

/* Which pairs are excluded; each excluded extent must be part of an extent, in the same order. */
static inline void hv_mark_excluded(const struct xen_p2m_swap *op, bool *excluded)
{
	const struct xen_p2m_swap_extent *extents = (void *)(uintptr_t)op->extents.p;
	const struct xen_p2m_swap_extent *out = (void *)(uintptr_t)op->excluded.p;
	u32 k = 0, x = 0;

	for (u32 i = 0; i < op->nr_extents; i++) {
		const struct xen_p2m_swap_extent *e = &extents[i];
		u64 from = 0;

		if (!e->nr || e->pad)
			abort();
		for (; x < op->nr_excluded; x++) {
			u64 at = out[x].gfn_a - e->gfn_a;

			if (!out[x].nr || out[x].pad)
				abort();
			if (out[x].gfn_b - e->gfn_b != at || at < from || at >= e->nr || out[x].nr > e->nr - at)
				break;
			memset(excluded + k + at, true, out[x].nr);
			from = at + out[x].nr;
		}
		k += e->nr;
	}
	if (x < op->nr_excluded)
		abort();
}

static inline u8 hv_swap_pair(u64 gfn_a, u64 gfn_b, u32 flags, bool *seen_a, bool *seen_b)
{
	bool busy = hv_busy && gfn_a % 7 == 0;

	if (gfn_a >= FRAMES || gfn_b >= FRAMES)
		abort();
	if (refused[gfn_a])
		return XEN_P2M_SWAP_ST_TYPE | XEN_P2M_SWAP_ST_SIDE_A;
	if (seen_a[gfn_a] || seen_b[gfn_b])
		return XEN_P2M_SWAP_ST_DUPLICATE | XEN_P2M_SWAP_ST_SIDE_A;
	seen_a[gfn_a] = true;
	seen_b[gfn_b] = true;
	if (busy && !(flags & XEN_P2M_SWAP_EXCHANGE))
		return XEN_P2M_SWAP_ST_BUSY;
	swap(a[gfn_a], b[gfn_b]);
	return busy ? XEN_P2M_SWAP_ST_EXCHANGED : XEN_P2M_SWAP_ST_SWAPPED;
}

long HYPERVISOR_memory_op(unsigned int cmd, void *arg)
{
	static bool seen_a[FRAMES], seen_b[FRAMES], excluded[XEN_P2M_SWAP_MAX_PAIRS];
	struct xen_p2m_swap *op = arg;
	const struct xen_p2m_swap_extent *extents = (void *)(uintptr_t)op->extents.p;
	u8 *status = (void *)(uintptr_t)op->status.p;
	bool all = true;
	u32 k = 0, pairs = 0;

	if (cmd != XENMEM_p2m_swap)
		return -ENOSYS;
	if (hv_refuses)
		return hv_refuses;
	if (op->nr_done || op->flags & ~(XEN_P2M_SWAP_EXCHANGE | XEN_P2M_SWAP_INVALIDATE))
		abort();
	if (op->domid_a != 1 || op->domid_b != 2 || hv_gone == op->domid_a || hv_gone == op->domid_b)
		return -ESRCH;
	for (u32 i = 0; i < op->nr_extents; i++) {
		pairs += extents[i].nr;
		hv_longest = max(hv_longest, extents[i].nr);
	}
	if (op->nr_extents > XEN_P2M_SWAP_MAX_EXTENTS || op->nr_excluded > XEN_P2M_SWAP_MAX_EXTENTS ||
	    pairs > XEN_P2M_SWAP_MAX_PAIRS || (!pairs && !hv_asked && !(op->flags & XEN_P2M_SWAP_INVALIDATE)))
		abort();
	hv_calls++;
	hv_excluded += op->nr_excluded;
	hv_invalidates += !!(op->flags & XEN_P2M_SWAP_INVALIDATE);
	hv_first = op->nr_extents ? extents[0].gfn_a : 0;
	hv_torn += hv_first % 512 != 0;
	if (hv_kills_at >= 0)
		test_killed = hv_kills_at-- == 0;
	memset(excluded, 0, pairs);
	hv_mark_excluded(op, excluded);
	for (u32 i = 0; i < op->nr_extents; i++) {
		for (u32 j = 0; j < extents[i].nr; j++, k++) {
			if (k % hv_batch == 0) {
				memset(seen_a, 0, sizeof(seen_a));
				memset(seen_b, 0, sizeof(seen_b));
			}
			op->nr_done = k;
			if (fail_at >= 0 && fail_at-- == 0) {
				memset(status + k, 0xee, pairs - k);
				return -EOPNOTSUPP;
			}
			status[k] = excluded[k] ? XEN_P2M_SWAP_ST_KEPT :
				    hv_swap_pair(extents[i].gfn_a + j, extents[i].gfn_b + j, op->flags, seen_a,
						 seen_b);
			all = all && status[k] == XEN_P2M_SWAP_ST_SWAPPED;
		}
	}
	op->nr_done = k + hv_miscounts;
	hv_pairs += k;
	nr_in_place += all && k && !op->nr_excluded && op->nr_extents > 1;
	return 0;
}

/* What kmod/host/hold.c asks for: domain n has its xenstore page at gfn 1000 + n. */
static bool hv_no_store;	/* domains have none */
static int hv_ask_fails, hv_map_fails;	/* errors of asking for it, and of mapping it */
static int hv_held[3];		/* mappings of that page */
static bool hv_unflushed;

int HYPERVISOR_hvm_op(int op, void *arg)
{
	struct xen_hvm_param *param = arg;

	if (op != HVMOP_get_param || param->index != HVM_PARAM_STORE_PFN)
		abort();
	if (hv_gone == param->domid)
		return -ESRCH;
	if (hv_ask_fails)
		return hv_ask_fails;
	/* Any other that the tests name does not matter. */
	param->value = hv_no_store || param->domid > 2 ? 0 : 1000 + param->domid;
	return 0;
}

void *vmap(struct page **pages, unsigned int nr, unsigned long flags, pgprot_t prot)
{
	pte_t *pte;

	(void)pages;
	(void)flags;
	(void)prot;
	if (nr != 1)
		abort();
	pte = test_alloc(sizeof(*pte), 0);
	return pte;
}

/* A TLB may still have what was in it; and the kernel must not find a foreign frame. */
void vunmap(const void *addr)
{
	if (((const pte_t *)addr)->pte || hv_unflushed)
		abort();
	test_free(addr);
}

pte_t *lookup_address(unsigned long addr, unsigned int *level)
{
	*level = PG_LEVEL_4K;
	return (pte_t *)addr;
}

int HYPERVISOR_mmu_update(struct mmu_update *updates, int nr, int *done, domid_t domid)
{
	pte_t *pte = (pte_t *)(uintptr_t)updates->ptr;

	if (nr != 1)
		abort();
	if (hv_gone == domid || (hv_dying && hv_dying == domid))
		return -ESRCH;
	if (updates->val && hv_map_fails)
		return hv_map_fails;
	if (updates->val) {
		u64 gfn = (updates->val & XEN_PTE_MFN_MASK) >> PAGE_SHIFT;

		if (pte->pte || gfn != 1000ULL + domid || updates->val & _PAGE_GLOBAL)
			abort();
		__atomic_fetch_add(&hv_held[domid], 1, __ATOMIC_RELAXED);
	} else {
		if (domid != DOMID_SELF || !pte->pte)
			abort();
		__atomic_fetch_sub(&hv_held[(pte->pte >> PAGE_SHIFT) - 1000], 1, __ATOMIC_RELAXED);
		hv_unflushed = true;
	}
	pte->pte = updates->val;
	*done = 1;
	return 0;
}

int HYPERVISOR_mmuext_op(struct mmuext_op *op, int nr, int *done, domid_t domid)
{
	if (op->cmd != MMUEXT_TLB_FLUSH_ALL || nr != 1 || done || domid != DOMID_SELF)
		abort();
	hv_unflushed = false;
	return 0;
}

/* Nobody else would use this: the guest module's tests have their own. */
unsigned long machine_to_phys_nr;

#endif /* _TEST_HV_H */
