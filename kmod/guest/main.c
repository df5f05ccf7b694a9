// SPDX-License-Identifier: GPL-2.0
/*
 * vmbeam_guest.ko: /dev/vmbeam in a guest management VM, a PV dom0. It pins frames of a guest VM and exports them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "guest.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static long vmbeam_query(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_query *q = arg;

	if (q->__reserved)
		return -EINVAL;

	q->role = VMBEAM_ROLE_GUEST;
	q->features = VMBEAM_FEATURE_EXPORT;
	q->max_extents = 0;
	q->max_frames = VMBEAM_MAX_BATCH;
	return 0;
}

static const struct vmbeam_ioctl vmbeam_dev_ioctls[] = {
	VMBEAM_IOCTL(VMBEAM_QUERY, 0, vmbeam_query, max_frames, vmbeam_query),
	VMBEAM_IOCTL(VMBEAM_EXPORT_CREATE, 0, vmbeam_export_create, id, vmbeam_export_create),
	VMBEAM_IOCTL(VMBEAM_EXPORT_LIST, 0, vmbeam_export_list, entry_size, vmbeam_export_list),
	VMBEAM_IOCTL(VMBEAM_EXPORT_OPEN, 0, vmbeam_export_open, __reserved, vmbeam_export_open),
};

static long vmbeam_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmbeam_ioctl_dispatch(vmbeam_dev_ioctls, ARRAY_SIZE(vmbeam_dev_ioctls), file, cmd,
				     (void __user *)arg);
}

static int vmbeam_dev_open(struct inode *inode, struct file *file)
{
	/* The file's mode keeps others out; this keeps a root without the capability out. */
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static const struct file_operations vmbeam_dev_fops = {
	.owner = THIS_MODULE,
	.open = vmbeam_dev_open,
	.unlocked_ioctl = vmbeam_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice vmbeam_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmbeam",
	.fops = &vmbeam_dev_fops,
	.mode = 0600,
};

static int __init vmbeam_guest_init(void)
{
	int rc;

	if (!xen_pv_domain() || !xen_initial_domain()) {
		pr_err("this is not a PV dom0: load it in the management VM of a guest hypervisor\n");
		return -ENODEV;
	}

	vmbeam_chunks_init();
	vmbeam_export_init();
	rc = misc_register(&vmbeam_dev);
	if (rc)
		pr_err("cannot register /dev/vmbeam (%d); is vmbeam_host loaded here?\n", rc);
	return rc;
}
module_init(vmbeam_guest_init);

static void __exit vmbeam_guest_exit(void)
{
	/* No export is left: each open file and each armed export holds a reference to the module. */
	misc_deregister(&vmbeam_dev);
	vmbeam_chunks_exit();
}
module_exit(vmbeam_guest_exit);

MODULE_DESCRIPTION("VMBeam: pins and exports the frames of a guest VM");
MODULE_LICENSE("GPL");
MODULE_VERSION(VMBEAM_VERSION);
