/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A made-up guest hypervisor below kmod/guest: whose each frame is, its M2P, and how many PTEs refer to it. Domain 1 is
 * a guest VM, 2 another one, 3 is HVM: what it maps is not the frame that was named.
 */
#ifndef _TEST_MMU_H
#define _TEST_MMU_H

#include "kernel.h"
#include "guest.h"

#define MFNS	4096
#define DUMMY	7

static u8 owner[MFNS];
static u64 m2p[MFNS];
static int refs[MFNS];		/* of a frame of somebody's */
static int updates_left = -1;	/* until the domain dies; -1: it does not */
static int updates_end = -ESRCH;	/* what that is told as */
static bool mmu_keeps;		/* it refuses to take a frame out of a slot */
static int unflushed;		/* updates since the last flush that took a frame out */

unsigned long machine_to_phys_nr = MFNS;

u64 mfn_to_pfn_no_overrides(u64 mfn)
{
	return mfn < MFNS ? m2p[mfn] : ~0ULL;
}

/* Frames from 1000 on are domain 1's, from 2000 on domain 2's; mfn n is pfn n - 500. */
static inline void mmu_fill(void)
{
	for (u64 i = 0; i < MFNS; i++) {
		owner[i] = i / 1000;
		m2p[i] = i - 500;
	}
	updates_left = -1;
}

static inline int mmu_pinned(void)
{
	int sum = 0;

	for (int i = 0; i < MFNS; i++)
		sum += refs[i];
	return sum;
}

void *vmap(struct page **pages, unsigned int nr, unsigned long flags, pgprot_t prot)
{
	pte_t *ptes;

	(void)flags;
	if (test_fault())
		return NULL;
	ptes = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	for (unsigned int i = 0; i < nr; i++)
		ptes[i].pte = pfn_to_mfn(page_to_pfn(pages[i])) << PAGE_SHIFT | pgprot_val(prot);
	__atomic_fetch_add(&test_allocated, 1, __ATOMIC_RELAXED);
	return ptes;
}

void vunmap(const void *addr)
{
	const pte_t *ptes = addr;

	for (unsigned int i = 0; i < VMBEAM_CHUNK_SLOTS; i++) {
		u64 mfn = (ptes[i].pte & XEN_PTE_MFN_MASK) >> PAGE_SHIFT;

		if (!ptes[i].pte || mfn == DUMMY)
			continue;
		if (!mmu_keeps)
			abort();
		refs[mfn]--;
	}
	/* A TLB may still have what was in it. */
	if (unflushed)
		abort();
	__atomic_fetch_sub(&test_allocated, 1, __ATOMIC_RELAXED);
	free((void *)addr);
}

pte_t *lookup_address(unsigned long addr, unsigned int *level)
{
	*level = PG_LEVEL_4K;
	return (pte_t *)addr;
}

int HYPERVISOR_mmu_update(struct mmu_update *updates, int nr, int *done, domid_t domid)
{
	if (domid != DOMID_SELF && (domid < 1 || domid > 3))
		return -ESRCH;
	if (domid == DOMID_SELF && mmu_keeps)
		return -EINVAL;
	for (*done = 0; *done < nr; ++*done) {
		pte_t *pte = (pte_t *)(uintptr_t)updates[*done].ptr;
		u64 mfn = (updates[*done].val & XEN_PTE_MFN_MASK) >> PAGE_SHIFT;
		u64 old = pte->pte ? (pte->pte & XEN_PTE_MFN_MASK) >> PAGE_SHIFT : DUMMY;
		bool empty = !updates[*done].val;

		if (domid != DOMID_SELF && updates_left >= 0 && updates_left-- == 0)
			return updates_end;
		if (updates[*done].val & _PAGE_GLOBAL)
			abort();
		if (domid == 3)
			mfn++;
		if (domid == DOMID_SELF ? !empty : mfn >= MFNS || owner[mfn] != domid)
			return -EINVAL;
		if (!empty)
			refs[mfn]++;
		if (old != DUMMY) {
			refs[old]--;
			unflushed++;
		}
		WRITE_ONCE(pte->pte, empty ? 0 : mfn << PAGE_SHIFT | (updates[*done].val & 0xfff));
	}
	return 0;
}

int HYPERVISOR_mmuext_op(struct mmuext_op *op, int nr, int *done, domid_t domid)
{
	if (op->cmd != MMUEXT_TLB_FLUSH_ALL || nr != 1 || done || domid != DOMID_SELF)
		abort();
	unflushed = 0;
	return 0;
}

/* What the tests ask of the module. */

static int dev = -1;
static u64 id;

static inline void load(void)
{
	mmu_fill();
	if (test_insmod())
		abort();
	dev = test_open_dev();
}

static inline void unload(void)
{
	test_close(dev);
	test_rmmod();
}

static inline long create(u32 domid)
{
	struct vmbeam_export_create arg = { .size = sizeof(arg), .domid = domid };
	long rc = test_ioctl(dev, VMBEAM_EXPORT_CREATE, &arg);

	id = arg.id;
	return rc ?: arg.out_fd;
}

static inline long reopen(u64 which)
{
	struct vmbeam_export_open arg = { .size = sizeof(arg), .id = which };
	long rc = test_ioctl(dev, VMBEAM_EXPORT_OPEN, &arg);

	return rc ?: arg.out_fd;
}

static inline long end(int fd, unsigned int cmd)
{
	struct vmbeam_export_end arg = { .size = sizeof(arg) };

	return test_ioctl(fd, cmd, &arg);
}

/* How many were pinned, or an error. */
static inline long add(int fd, const struct vmbeam_frame *frames, u32 nr, u8 *status)
{
	struct vmbeam_export_add arg = {
		.size = sizeof(arg), .frames = (uintptr_t)frames, .nr = nr, .status = (uintptr_t)status,
	};
	long rc = test_ioctl(fd, VMBEAM_EXPORT_ADD, &arg);

	return rc ?: arg.nr_pinned;
}

/* Domain 1's frames from its pfn @pfn on. */
static inline long add_run(int fd, u64 pfn, u32 nr)
{
	struct vmbeam_frame frames[MFNS];

	for (u32 i = 0; i < nr; i++)
		frames[i] = (struct vmbeam_frame){ .pfn = pfn + i, .gfn = pfn + i + 500 };
	return add(fd, frames, nr, NULL);
}

static inline long remove_pfns(int fd, const u64 *pfns, u32 nr)
{
	struct vmbeam_export_remove arg = { .size = sizeof(arg), .pfns = (uintptr_t)pfns, .nr = nr };
	long rc = test_ioctl(fd, VMBEAM_EXPORT_REMOVE, &arg);

	return rc ?: arg.nr_removed;
}

static inline long info(int fd, struct vmbeam_export_info *told)
{
	*told = (struct vmbeam_export_info){ .size = sizeof(*told) };
	return test_ioctl(fd, VMBEAM_EXPORT_INFO, told);
}

static inline long list_all(struct vmbeam_export_info *infos, u32 room)
{
	struct vmbeam_export_list arg = {
		.size = sizeof(arg), .exports = (uintptr_t)infos, .nr = room, .entry_size = sizeof(*infos),
	};
	long rc = test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg);

	return rc ?: arg.nr;
}

#endif /* _TEST_MMU_H */
