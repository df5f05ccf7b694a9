// SPDX-License-Identifier: GPL-2.0
/*
 * A hold on a domain: as long as it lasts, the domid is that domain's and no other's.
 *
 * A domid alone does not say which domain is meant: once a host VM is destroyed, another one can get its domid, and a
 * transaction that goes on, or is rolled back later, would give that one's frames away. A domain that is destroyed
 * keeps its domid until its last page is free. So a read-only mapping of one page is a hold: the one that the toolstack
 * gave it for xenstore, which is the domain's all its life, and never swapped. Nothing reads through the mapping.
 *
 * A domain without such a page, which no toolstack made, is known by its domid alone. One that has it and cannot be
 * held is in no transaction: a rollback could meet another domain.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/vmalloc.h>
#include <xen/interface/hvm/hvm_op.h>
#include <xen/interface/hvm/params.h>
#include <xen/xen.h>

#include <asm/pgtable.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include "host.h"

/* The gfn of a domain's xenstore page; 0 if it has none; or an error. */
static long store_gfn(u32 domid)
{
	struct xen_hvm_param param = {
		.domid = domid,
		.index = HVM_PARAM_STORE_PFN,
	};
	int rc = HYPERVISOR_hvm_op(HVMOP_get_param, &param);

	/* A PV domain has no such parameters: the swap refuses it. */
	if (rc)
		return rc == -EINVAL ? 0 : rc;
	return (long)param.value > 0 ? (long)param.value : 0;
}

static int write_pte(const struct vmbeam_hold *hold, u64 pte, u32 domid)
{
	struct mmu_update update = {
		.ptr = hold->pte_maddr | MMU_NORMAL_PT_UPDATE,
		.val = pte,
	};
	int done = 0;

	return HYPERVISOR_mmu_update(&update, 1, &done, domid);
}

/**
 * vmbeam_hold_get - hold a domain
 * @hold: all zero; the hold, or still so if there is nothing to hold it by
 * @domid: the domain
 *
 * Return: 0; -ESRCH if there is no such domain, or it is dying; -EACCES if the hypervisor's policy forbids to ask for
 * the page or to map it; -ENXIO if the page cannot be mapped; -ENOMEM
 */
int vmbeam_hold_get(struct vmbeam_hold *hold, u32 domid)
{
	/* A kernel mapping of a PV guest must not be global. */
	const u64 flags = pgprot_val(PAGE_KERNEL_RO) & ~_PAGE_GLOBAL;
	struct page *page = ZERO_PAGE(0);
	long gfn = store_gfn(domid);
	unsigned int level;
	pte_t *pte;
	int rc;

	if (gfn <= 0)
		return gfn;
	if (!xen_pv_domain())
		return 0;
	/* A PTE to put it into: the page is only there because the kernel needs something to map. */
	hold->addr = vmap(&page, 1, VM_IOREMAP, PAGE_KERNEL_RO);
	if (!hold->addr)
		return -ENOMEM;
	pte = lookup_address((unsigned long)hold->addr, &level);
	if (WARN_ON_ONCE(!pte || level != PG_LEVEL_4K)) {
		rc = -EIO;
	} else {
		hold->pte_maddr = arbitrary_virt_to_machine(pte).maddr;
		rc = write_pte(hold, ((u64)gfn << PAGE_SHIFT) | flags, domid);
	}
	if (!rc)
		return 0;
	vunmap(hold->addr);
	hold->addr = NULL;
	if (rc == -ESRCH)
		return rc;
	pr_warn_ratelimited("cannot hold domain %u: mapping its xenstore page, frame %#lx, failed with error %d\n",
			    domid, gfn, rc);
	return rc == -EACCES || rc == -ENOMEM ? rc : -ENXIO;
}

/* Let go of it; nothing to do if there is no hold. */
void vmbeam_hold_put(struct vmbeam_hold *hold)
{
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	if (!hold->addr)
		return;
	/* It is our page table. If it fails all the same, vunmap() still drops the reference. */
	WARN_ON_ONCE(write_pte(hold, 0, DOMID_SELF));
	HYPERVISOR_mmuext_op(&flush, 1, NULL, DOMID_SELF);
	vunmap(hold->addr);
	hold->addr = NULL;
}
