// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks of slots. The slots are the PTEs of a vmap area; the area is made with a page of our own in each slot, the
 * dummy, because the kernel needs something to map.
 *
 * In a PV domain the hypervisor emulates each PTE that vunmap() clears, one at a time: with a guest VM of 256 MiB, that
 * was nearly all of what its release cost, while the guest VM already ran and wanted the CPU. So chunks that are no
 * longer used are kept for the next export, up to a limit; their slots are empty.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include <asm/pgtable.h>
#include <asm/xen/page.h>

#include "guest.h"

static unsigned int idle_chunks = 4096;
module_param(idle_chunks, uint, 0444);
MODULE_PARM_DESC(idle_chunks,
		 "page tables kept for the next export, 4 KiB each, one for 2 MiB of a guest VM (default 4096)");

static struct page *vmbeam_dummies[VMBEAM_CHUNK_SLOTS];	/* the dummy, for every slot of a chunk */

static DEFINE_SPINLOCK(vmbeam_idle_lock);
static LIST_HEAD(vmbeam_idle);
static unsigned int vmbeam_nr_idle;

void vmbeam_chunks_init(void)
{
	unsigned int i;

	/* The zero page: it is mapped read-only in many places anyway and never goes away. */
	for (i = 0; i < VMBEAM_CHUNK_SLOTS; i++)
		vmbeam_dummies[i] = ZERO_PAGE(0);
}

u64 vmbeam_chunk_dummy_gfn(void)
{
	return pfn_to_mfn(page_to_pfn(vmbeam_dummies[0]));
}

/* The frame in a slot, from the PTE itself: what is there is what is pinned. */
u64 vmbeam_chunk_gfn(const struct vmbeam_chunk *chunk, unsigned int slot)
{
	return (READ_ONCE(chunk->ptes[slot].pte) & XEN_PTE_MFN_MASK) >> PAGE_SHIFT;
}

static void vmbeam_chunk_free(struct vmbeam_chunk *chunk)
{
	vunmap(chunk->addr);
	kfree(chunk);
}

static struct vmbeam_chunk *vmbeam_chunk_new(void)
{
	struct vmbeam_chunk *chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	unsigned int level;

	if (!chunk)
		return NULL;

	/*
	 * VM_IOREMAP, because there are no struct pages of ours behind the PTEs, so that /proc/kcore keeps its
	 * hands off; and because such an area is aligned to its size, which puts its PTEs into one page table.
	 */
	chunk->addr = vmap(vmbeam_dummies, VMBEAM_CHUNK_SLOTS, VM_IOREMAP, PAGE_KERNEL_RO);
	if (!chunk->addr)
		goto err_free;
	chunk->ptes = lookup_address((unsigned long)chunk->addr, &level);
	if (WARN_ON_ONCE(!chunk->ptes || level != PG_LEVEL_4K || !PAGE_ALIGNED(chunk->ptes)))
		goto err_unmap;

	chunk->ptes_maddr = arbitrary_virt_to_machine(chunk->ptes).maddr;
	return chunk;

err_unmap:
	vunmap(chunk->addr);
err_free:
	kfree(chunk);
	return NULL;
}

static struct vmbeam_chunk *vmbeam_chunk_take(void)
{
	struct vmbeam_chunk *chunk;

	spin_lock(&vmbeam_idle_lock);
	chunk = list_first_entry_or_null(&vmbeam_idle, struct vmbeam_chunk, idle);
	if (chunk) {
		list_del(&chunk->idle);
		vmbeam_nr_idle--;
	}
	spin_unlock(&vmbeam_idle_lock);
	return chunk;
}

/* A chunk whose slots are all free. */
struct vmbeam_chunk *vmbeam_chunk_get(void)
{
	return vmbeam_chunk_take() ?: vmbeam_chunk_new();
}

/* A slot that the hypervisor refused to empty holds a foreign frame, which only vunmap() lets go of. */
static bool vmbeam_chunk_holds_frame(const struct vmbeam_chunk *chunk)
{
	u64 dummy = vmbeam_chunk_dummy_gfn();
	unsigned int slot;

	for (slot = 0; slot < VMBEAM_CHUNK_SLOTS; slot++)
		if (pte_present(READ_ONCE(chunk->ptes[slot])) && vmbeam_chunk_gfn(chunk, slot) != dummy)
			return true;
	return false;
}

/* What was pinned in it must have been unpinned. */
void vmbeam_chunk_put(struct vmbeam_chunk *chunk)
{
	bool keep = !vmbeam_chunk_holds_frame(chunk);

	bitmap_zero(chunk->used, VMBEAM_CHUNK_SLOTS);
	spin_lock(&vmbeam_idle_lock);
	keep = keep && vmbeam_nr_idle < idle_chunks;
	if (keep) {
		list_add(&chunk->idle, &vmbeam_idle);
		vmbeam_nr_idle++;
	}
	spin_unlock(&vmbeam_idle_lock);
	if (!keep)
		vmbeam_chunk_free(chunk);
}

/* Nobody uses the module any more. */
void vmbeam_chunks_exit(void)
{
	struct vmbeam_chunk *chunk;

	while ((chunk = vmbeam_chunk_take())) {
		vmbeam_chunk_free(chunk);
		cond_resched();
	}
}
