// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning: a PTE of ours that maps a foreign frame, read-only, is a reference to that frame in the hypervisor. As
 * long as it is there the frame is neither freed nor scrubbed, even when its domain is destroyed.
 *
 * The PTEs are those of vmap areas (chunk.c). The kernel never sees a foreign frame in them: a slot is emptied before
 * its area is unmapped. Nothing ever reads through the mapping.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/sched.h>

#include <asm/pgtable.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include "guest.h"

/* Asked with an empty list of updates: the hypervisor looks the domain up before it looks at the list. */
bool vmbeam_pin_domain_exists(domid_t domid)
{
	struct mmu_update none = {};
	int done = 0;

	return HYPERVISOR_mmu_update(&none, 0, &done, domid) != -ESRCH;
}

static void vmbeam_update_set(struct mmu_update *u, const struct vmbeam_chunk *chunk,
			      unsigned int slot, u64 pte)
{
	u->ptr = (chunk->ptes_maddr + slot * sizeof(pte_t)) | MMU_NORMAL_PT_UPDATE;
	u->val = pte;
}

static u64 vmbeam_pte(u64 gfn)
{
	/* A kernel mapping of a PV guest must not be global. */
	return (gfn << PAGE_SHIFT) | (pgprot_val(PAGE_KERNEL_RO) & ~_PAGE_GLOBAL);
}

static int vmbeam_unpin_flush(struct vmbeam_batch *b)
{
	unsigned int nr = b->nr_updates;
	int done = 0;
	int rc;

	b->nr_updates = 0;
	if (!nr)
		return 0;
	rc = HYPERVISOR_mmu_update(b->updates, nr, &done, DOMID_SELF);
	cond_resched();
	/* It is our page table. If it fails all the same, vmbeam_chunk_put() sees it and drops the references. */
	WARN_ONCE(rc, "the hypervisor refuses to unpin frame %d of %u: error %d\n", done, nr, rc);
	return rc;
}

/*
 * vmbeam_unpin_slot() collects, vmbeam_unpin_finish() has the hypervisor do what is left and flushes the TLBs:
 * only after it a frame is surely nobody's.
 */
int vmbeam_unpin_slot(struct vmbeam_batch *b, struct vmbeam_chunk *chunk, unsigned int slot)
{
	vmbeam_update_set(&b->updates[b->nr_updates++], chunk, slot, 0);
	return b->nr_updates == VMBEAM_CHUNK_SLOTS ? vmbeam_unpin_flush(b) : 0;
}

int vmbeam_unpin_finish(struct vmbeam_batch *b)
{
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_ALL };
	int rc = vmbeam_unpin_flush(b);

	return HYPERVISOR_mmuext_op(&flush, 1, NULL, DOMID_SELF) ?: rc;
}

/* Is this about the frame, or about the whole call? EACCES is the policy's; EPERM is also said of a device's frame. */
static bool vmbeam_pin_is_fatal(int rc)
{
	return rc == -ESRCH || rc == -EACCES || rc == -EFAULT || rc == -ENOMEM;
}

/*
 * What the hypervisor lets us map is a frame of the domain. These two remain: with an HVM domain it translates, so
 * what is mapped is another frame than was named; and the M2P, which a guest can write, may not fit.
 */
static u8 vmbeam_pin_check(const struct vmbeam_chunk *chunk, const struct vmbeam_pin *pin)
{
	if (vmbeam_chunk_gfn(chunk, pin->slot) != pin->gfn)
		return VMBEAM_FRAME_FOREIGN;
	/* Reads the table in a way that survives a hole in it. */
	if (mfn_to_pfn_no_overrides(pin->gfn) != pin->pfn)
		return VMBEAM_FRAME_M2P;
	return VMBEAM_FRAME_PINNED;
}

/*
 * Can it be anything but FOREIGN? Where a PTE changes only in its flags the hypervisor does not ask whose the frame
 * is, and what is in a slot of a new chunk is the dummy: so the dummy must never be asked for.
 */
bool vmbeam_pin_possible(u64 gfn)
{
	return gfn < machine_to_phys_nr && gfn != vmbeam_chunk_dummy_gfn();
}

/*
 * Pin b->pins in their slots of @chunk and say in each one's status what became of it. On an error the status is
 * right too: what was not reached is VMBEAM_FRAME_FOREIGN, its slot empty.
 */
int vmbeam_pin_batch(struct vmbeam_batch *b, struct vmbeam_chunk *chunk, domid_t domid)
{
	unsigned int nr = b->nr_pins, i;
	bool undo = false;
	int rc = 0;

	for (i = 0; i < nr; i++) {
		vmbeam_update_set(&b->updates[i], chunk, b->pins[i].slot, vmbeam_pte(b->pins[i].gfn));
		b->pins[i].status = VMBEAM_FRAME_PINNED;
	}

	/* mmu_update stops at the first one that fails and says how many it did before it: go on behind that. */
	for (i = 0; i < nr; i++) {
		int done = 0;

		rc = HYPERVISOR_mmu_update(&b->updates[i], nr - i, &done, domid);
		if (!rc)
			break;
		i += done;
		if (vmbeam_pin_is_fatal(rc)) {
			for (; i < nr; i++)
				b->pins[i].status = VMBEAM_FRAME_FOREIGN;
			break;
		}
		if (!WARN_ON_ONCE(i >= nr))
			b->pins[i].status = VMBEAM_FRAME_FOREIGN;
		rc = 0;
	}

	for (i = 0; i < nr; i++) {
		struct vmbeam_pin *pin = &b->pins[i];

		if (pin->status != VMBEAM_FRAME_PINNED)
			continue;
		pin->status = vmbeam_pin_check(chunk, pin);
		if (pin->status != VMBEAM_FRAME_PINNED) {
			vmbeam_unpin_slot(b, chunk, pin->slot);
			undo = true;
		}
	}
	if (undo)
		vmbeam_unpin_finish(b);
	cond_resched();
	return rc;
}
