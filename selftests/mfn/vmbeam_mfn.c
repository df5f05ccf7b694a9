// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vmbeam_mfn, for tests only: which machine frame is behind a frame of an HVM domain?
 *
 * The evidence that a swap moved a frame must not come from the code that swaps. Here the frame is mapped, and the
 * hypervisor itself writes its machine frame number into our page table: mod_l1_entry() translates the frame number
 * of a translated domain and stores the result. The raw entry is read and the mapping taken away at once; while it
 * stands, it is a reference to the frame, and a swap would find the frame busy.
 *
 * A PV dom0 only: no other kernel sees machine frames in its page tables.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <xen/page.h>
#include <xen/xen.h>
#include <xen/interface/xen.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include "vmbeam_mfn.h"

/* Frames mapped at a time. */
#define WINDOW 256U

/* The window: one page of ours, mapped WINDOW times, read-only; its entries are lent to foreign frames. */
static DEFINE_MUTEX(window_lock);
static struct page *dummy;
static void *window;
static pte_t *entries[WINDOW];
static struct mmu_update updates[WINDOW];

static u64 entry_value(u64 frame)
{
	return frame << PAGE_SHIFT | (pgprot_val(PAGE_KERNEL_RO) & ~_PAGE_GLOBAL);
}

static void set_update(u32 i, u32 entry, u64 frame)
{
	updates[i].ptr = arbitrary_virt_to_machine(entries[entry]).maddr | MMU_NORMAL_PT_UPDATE;
	updates[i].val = entry_value(frame);
}

/* Map the frame: true if the domain has one there. */
static bool lend(u32 entry, u64 gfn, u32 domid)
{
	int done = 0;

	set_update(0, entry, gfn);
	return !HYPERVISOR_mmu_update(updates, 1, &done, domid);
}

/* Give our own page back to the first @nr entries. The dummy is ours and always mappable: it cannot fail. */
static void take_back(u32 nr)
{
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_ALL };
	u64 own = pfn_to_mfn(page_to_pfn(dummy));
	int done = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		set_update(i, i, own);
	WARN_ON(HYPERVISOR_mmu_update(updates, nr, &done, DOMID_SELF));
	WARN_ON(HYPERVISOR_mmuext_op(&flush, 1, NULL, DOMID_SELF));
}

/* @frames: gfns in, mfns out. */
static void query_window(u64 *frames, u32 nr, u32 domid)
{
	u32 i;

	mutex_lock(&window_lock);
	for (i = 0; i < nr; i++) {
		/* Not pte_val(): that translates back to a frame number of ours. */
		if (frames[i] < 1ULL << (52 - PAGE_SHIFT) && lend(i, frames[i], domid))
			frames[i] = (READ_ONCE(entries[i]->pte) & PTE_PFN_MASK) >> PAGE_SHIFT;
		else
			frames[i] = VMBEAM_MFN_NONE;
	}
	take_back(nr);
	mutex_unlock(&window_lock);
}

static long mfn_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vmbeam_mfn_query query;
	u64 *frames;
	long rc = 0;
	u32 i;

	if (cmd != VMBEAM_MFN_QUERY)
		return -ENOTTY;
	if (copy_from_user(&query, (void __user *)arg, sizeof(query)))
		return -EFAULT;
	if (query.size != sizeof(query) || query.flags || !query.nr || !query.domid ||
	    query.domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (query.nr > VMBEAM_MFN_MAX)
		return -E2BIG;

	frames = kvmalloc_array(query.nr, sizeof(*frames), GFP_KERNEL_ACCOUNT);
	if (!frames)
		return -ENOMEM;
	if (copy_from_user(frames, u64_to_user_ptr(query.gfns), array_size(query.nr, sizeof(*frames))))
		rc = -EFAULT;
	for (i = 0; !rc && i < query.nr; i += WINDOW) {
		query_window(frames + i, min(WINDOW, query.nr - i), query.domid);
		cond_resched();
		if (fatal_signal_pending(current))
			rc = -EINTR;
	}
	if (!rc && copy_to_user(u64_to_user_ptr(query.mfns), frames, array_size(query.nr, sizeof(*frames))))
		rc = -EFAULT;
	kvfree(frames);
	return rc;
}

static int mfn_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static const struct file_operations mfn_fops = {
	.owner = THIS_MODULE,
	.open = mfn_open,
	.unlocked_ioctl = mfn_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice mfn_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmbeam_mfn",
	.fops = &mfn_fops,
	.mode = 0600,
};

static int __init map_window(void)
{
	struct page **pages;
	unsigned int level;
	int rc = -ENOMEM;
	u32 i;

	dummy = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pages = kmalloc_array(WINDOW, sizeof(*pages), GFP_KERNEL);
	if (!dummy || !pages)
		goto fail;
	for (i = 0; i < WINDOW; i++)
		pages[i] = dummy;
	window = vmap(pages, WINDOW, VM_MAP, PAGE_KERNEL_RO);
	if (!window)
		goto fail;
	for (i = 0; i < WINDOW; i++) {
		entries[i] = lookup_address((unsigned long)window + i * PAGE_SIZE, &level);
		if (!entries[i] || level != PG_LEVEL_4K) {
			rc = -ENXIO;
			goto fail;
		}
	}
	kfree(pages);
	return 0;

fail:
	vunmap(window);
	kfree(pages);
	if (dummy)
		__free_page(dummy);
	return rc;
}

static int __init mfn_init(void)
{
	int rc;

	if (!xen_initial_domain() || !xen_pv_domain()) {
		pr_err("this is not a PV dom0\n");
		return -ENODEV;
	}
	rc = map_window();
	if (rc)
		return rc;
	rc = misc_register(&mfn_device);
	if (rc) {
		vunmap(window);
		__free_page(dummy);
	}
	return rc;
}

static void __exit mfn_exit(void)
{
	misc_deregister(&mfn_device);
	vunmap(window);
	__free_page(dummy);
}

module_init(mfn_init);
module_exit(mfn_exit);

MODULE_DESCRIPTION("VMBeam selftests: the machine frame behind a frame of an HVM domain");
MODULE_LICENSE("GPL");
