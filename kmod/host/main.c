// SPDX-License-Identifier: GPL-2.0
/* /dev/vmbeam in the host management VM: swap transactions between two HVM domains. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <xen/xen.h>

#include "host.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static long host_query(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_query *query = arg;

	if (query->__reserved)
		return -EINVAL;
	query->role = VMBEAM_ROLE_HOST;
	query->features = VMBEAM_FEATURE_SWAP | VMBEAM_FEATURE_EXCHANGE | VMBEAM_FEATURE_SUPERPAGES |
			  VMBEAM_FEATURE_INVALIDATE | VMBEAM_FEATURE_REOPEN | VMBEAM_FEATURE_SWAP_EMPTY;
	query->max_extents = VMBEAM_MAX_EXTENTS;
	query->max_frames = VMBEAM_MAX_FRAMES;
	return 0;
}

static const struct vmbeam_ioctl host_ioctls[] = {
	VMBEAM_IOCTL(VMBEAM_QUERY, 0, vmbeam_query, max_frames, host_query),
	VMBEAM_IOCTL(VMBEAM_TXN_BEGIN, 0, vmbeam_txn_begin, __reserved, vmbeam_txn_begin),
	VMBEAM_IOCTL(VMBEAM_TXN_OUTCOME, 0, vmbeam_txn_outcome, rollback_ns, vmbeam_txn_outcome),
	VMBEAM_IOCTL(VMBEAM_TXN_LIST, 0, vmbeam_txn_list, entry_size, vmbeam_txn_list),
	VMBEAM_IOCTL(VMBEAM_TXN_REOPEN, 0, vmbeam_txn_reopen, __reserved, vmbeam_txn_reopen),
};

static long host_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmbeam_ioctl_dispatch(host_ioctls, ARRAY_SIZE(host_ioctls), file, cmd, (void __user *)arg);
}

static int host_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static const struct file_operations host_fops = {
	.owner = THIS_MODULE,
	.open = host_open,
	.unlocked_ioctl = host_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice host_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmbeam",
	.fops = &host_fops,
	.mode = 0600,
};

static int __init host_init(void)
{
	int rc;

	if (!xen_initial_domain()) {
		pr_err("this is not Xen's dom0: load vmbeam_host in the host management VM\n");
		return -ENODEV;
	}
	rc = vmbeam_hypercall_probe();
	if (rc) {
		pr_err("%s\n", rc == -ENOSYS ?
		       "this Xen has no XENMEM_p2m_swap: boot one that VMBeam's patches are applied to" :
		       "this Xen does not let a PVH or HVM dom0 use XENMEM_p2m_swap: boot dom0 as a PV domain");
		return rc;
	}
	vmbeam_outcome_init();
	rc = misc_register(&host_device);
	if (rc)
		pr_err("cannot register /dev/vmbeam (%d); is vmbeam_guest loaded here?\n", rc);
	return rc;
}

static void __exit host_exit(void)
{
	misc_deregister(&host_device);
	vmbeam_outcome_free_all();
}

module_init(host_init);
module_exit(host_exit);

MODULE_DESCRIPTION("VMBeam: swaps frames between two HVM domains, in transactions");
MODULE_LICENSE("GPL");
MODULE_VERSION(VMBEAM_VERSION);
