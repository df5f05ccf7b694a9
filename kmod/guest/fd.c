// SPDX-License-Identifier: GPL-2.0
/* The fd of an export: its ioctls, read(), and what the device gives fds out for. */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "guest.h"
#include "trace.h"

static const struct file_operations vmbeam_export_fops;

static int vmbeam_export_release_file(struct inode *inode, struct file *file)
{
	struct vmbeam_export *e = file->private_data;

	/* A filling export has no other file; it cannot become armed any more. */
	mutex_lock(&e->lock);
	if (e->state == VMBEAM_EXPORT_FILLING)
		vmbeam_export_end(e);
	mutex_unlock(&e->lock);
	vmbeam_export_put(e);
	return 0;
}

/*
 * Make a file, which takes over the caller's reference, and send the reply with its fd: after that nothing can
 * fail. The caller publishes the export if need be, and installs the fd.
 */
static struct file *vmbeam_export_file(struct vmbeam_call *call, struct vmbeam_export *e, s32 *out_fd)
{
	struct file *file;
	int fd, rc;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = fd;
		goto err_export;
	}
	file = anon_inode_getfile("[vmbeam-export]", &vmbeam_export_fops, e, O_RDONLY | O_CLOEXEC);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto err_fd;
	}
	/* Anonymous files start without it. */
	file->f_mode |= FMODE_PREAD;

	*out_fd = fd;
	rc = vmbeam_ioctl_reply(call);
	if (rc) {
		put_unused_fd(fd);
		fput(file);
		return ERR_PTR(rc);
	}
	return file;

err_fd:
	put_unused_fd(fd);
err_export:
	*out_fd = -1;
	/* The export ends with its last file, and this would have been the first one of a filling export. */
	mutex_lock(&e->lock);
	if (e->state == VMBEAM_EXPORT_FILLING)
		vmbeam_export_end(e);
	mutex_unlock(&e->lock);
	vmbeam_export_put(e);
	return ERR_PTR(rc);
}

long vmbeam_export_create(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export_create *c = arg;
	struct vmbeam_export *e;
	struct file *file;

	c->out_fd = -1;
	/* 0 is this domain, whose frames are the kernel's own. */
	if (!c->domid || c->domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (!vmbeam_pin_domain_exists(c->domid))
		return -ESRCH;

	e = vmbeam_export_new(c->domid);
	if (IS_ERR(e))
		return PTR_ERR(e);
	c->id = e->id;
	file = vmbeam_export_file(call, e, &c->out_fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	vmbeam_export_enlist(e);
	trace_vmbeam_export_create(e->id, e->domid);
	fd_install(c->out_fd, file);
	return 0;
}

long vmbeam_export_open(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export_open *o = arg;
	struct vmbeam_export *e;
	struct file *file;

	o->out_fd = -1;
	if (o->__reserved)
		return -EINVAL;
	e = vmbeam_export_find(o->id);
	if (IS_ERR(e))
		return PTR_ERR(e);
	file = vmbeam_export_file(call, e, &o->out_fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fd_install(o->out_fd, file);
	return 0;
}

/* For what only a filling export does. The lock is held if it returns 0. */
static int vmbeam_export_lock_filling(struct vmbeam_export *e)
{
	if (mutex_lock_killable(&e->lock))
		return -EINTR;
	if (e->state == VMBEAM_EXPORT_FILLING)
		return 0;
	mutex_unlock(&e->lock);
	return -EBADFD;
}

/* A list from the caller, not longer than VMBEAM_MAX_BATCH. */
static void *vmbeam_export_list_in(u64 uptr, u32 nr, size_t size)
{
	void *list;

	if (!nr)
		return ERR_PTR(-EINVAL);
	if (nr > VMBEAM_MAX_BATCH)
		return ERR_PTR(-E2BIG);
	list = kvmalloc_array(nr, size, GFP_KERNEL_ACCOUNT);
	if (!list)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(list, u64_to_user_ptr(uptr), nr * size)) {
		kvfree(list);
		return ERR_PTR(-EFAULT);
	}
	return list;
}

static long vmbeam_export_add(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export *e = call->file->private_data;
	struct vmbeam_export_add *a = arg;
	struct vmbeam_frame *frames;
	u8 *status;
	long rc;

	a->nr_pinned = 0;
	frames = vmbeam_export_list_in(a->frames, a->nr, sizeof(*frames));
	if (IS_ERR(frames))
		return PTR_ERR(frames);
	status = kvzalloc(a->nr, GFP_KERNEL_ACCOUNT);
	if (!status) {
		rc = -ENOMEM;
		goto out;
	}

	rc = vmbeam_export_lock_filling(e);
	if (rc)
		goto out;
	rc = vmbeam_frames_add(e, frames, status, a->nr, &a->nr_pinned);
	trace_vmbeam_export_pin(e->id, false, a->nr, a->nr_pinned, rc);
	mutex_unlock(&e->lock);

	if (!rc && a->status && copy_to_user(u64_to_user_ptr(a->status), status, a->nr))
		rc = -EFAULT;
out:
	kvfree(status);
	kvfree(frames);
	return rc;
}

static long vmbeam_export_remove(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export *e = call->file->private_data;
	struct vmbeam_export_remove *r = arg;
	u64 *pfns;
	long rc;

	r->nr_removed = 0;
	pfns = vmbeam_export_list_in(r->pfns, r->nr, sizeof(*pfns));
	if (IS_ERR(pfns))
		return PTR_ERR(pfns);

	rc = vmbeam_export_lock_filling(e);
	if (!rc) {
		rc = vmbeam_frames_remove(e, pfns, r->nr, &r->nr_removed);
		trace_vmbeam_export_pin(e->id, true, r->nr, r->nr_removed, rc);
		mutex_unlock(&e->lock);
	}
	kvfree(pfns);
	return rc;
}

static long vmbeam_export_arm(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export *e = call->file->private_data;
	long rc = vmbeam_export_lock_filling(e);

	if (rc)
		return rc;
	if (e->nr_frames)
		vmbeam_export_own(e);
	else
		rc = -EINVAL;
	mutex_unlock(&e->lock);
	return rc;
}

static long vmbeam_export_release(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export *e = call->file->private_data;
	long rc = 0;

	if (mutex_lock_killable(&e->lock))
		return -EINTR;
	if (e->state)
		vmbeam_export_end(e);
	else
		rc = -EBADFD;
	mutex_unlock(&e->lock);
	return rc;
}

static long vmbeam_export_info(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export *e = call->file->private_data;

	return vmbeam_export_tell(e, arg) ? 0 : -EBADFD;
}

static const struct vmbeam_ioctl vmbeam_export_ioctls[] = {
	VMBEAM_IOCTL(VMBEAM_EXPORT_ADD, 0, vmbeam_export_add, status, vmbeam_export_add),
	VMBEAM_IOCTL(VMBEAM_EXPORT_REMOVE, 0, vmbeam_export_remove, nr_removed, vmbeam_export_remove),
	VMBEAM_IOCTL_IN(VMBEAM_EXPORT_ARM, 0, vmbeam_export_end, flags, vmbeam_export_arm),
	VMBEAM_IOCTL_IN(VMBEAM_EXPORT_RELEASE, 0, vmbeam_export_end, flags, vmbeam_export_release),
	VMBEAM_IOCTL(VMBEAM_EXPORT_INFO, 0, vmbeam_export_info, pin_ns, vmbeam_export_info),
};

static long vmbeam_export_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmbeam_ioctl_dispatch(vmbeam_export_ioctls, ARRAY_SIZE(vmbeam_export_ioctls), file, cmd,
				     (void __user *)arg);
}

static ssize_t vmbeam_export_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	return vmbeam_extents_read(file->private_data, buf, count, ppos);
}

static loff_t vmbeam_export_llseek(struct file *file, loff_t offset, int whence)
{
	return no_seek_end_llseek(file, offset, whence);
}

static const struct file_operations vmbeam_export_fops = {
	.owner = THIS_MODULE,
	.release = vmbeam_export_release_file,
	.read = vmbeam_export_read,
	.llseek = vmbeam_export_llseek,
	.unlocked_ioctl = vmbeam_export_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
