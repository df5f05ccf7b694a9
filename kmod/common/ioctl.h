/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl dispatch that both modules share: size-first structs, a table of handlers.
 *
 * What every ioctl has in common is decided here and nowhere else: which sizes are taken, which flags are known,
 * what is copied back and when. See "General ioctl format" in the uapi header.
 */
#ifndef _VMBEAM_IOCTL_H
#define _VMBEAM_IOCTL_H

#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include "../../include/uapi/vmbeam.h"

/* Room for the largest struct of the ABI; on the stack of the dispatcher. */
#define VMBEAM_IOCTL_MAX_ARG 320

/* The two fields that every struct begins with. */
struct vmbeam_ioctl_head {
	__u32 size;
	__u32 flags;
};

/**
 * struct vmbeam_call - one ioctl on its way; lives on the dispatcher's stack
 * @file: the file that the ioctl was issued on
 * @uarg: the caller's struct
 * @arg: the module's copy of it, as large as the module knows it; a short struct is filled up with zeros
 * @copy_size: how much of @arg goes back: what both sides know
 * @replied: @arg went back already
 */
struct vmbeam_call {
	struct file *file;
	void __user *uarg;
	void *arg;
	size_t copy_size;
	bool replied;
};

/**
 * struct vmbeam_ioctl - an entry of a dispatch table
 * @cmd: the ioctl's number
 * @flags: the flags that it knows; any other is -EINVAL
 * @min_size: the struct's size when it was first published; a shorter one is -EINVAL
 * @size: the struct's size now
 * @in_only: nothing goes back. So a call that cannot be undone cannot fail after it was done
 * @handler: gets vmbeam_call.arg as @arg; no lock is held. Unless @in_only, what it wrote to @arg goes back to the
 *	caller whatever it returns: a failed call can still tell how far it came.
 */
struct vmbeam_ioctl {
	unsigned int cmd;
	u32 flags;
	size_t min_size;
	size_t size;
	bool in_only;
	long (*handler)(struct vmbeam_call *call, void *arg);
};

/* @_last: the last member of the struct as it was first published. */
#define VMBEAM_IOCTL(_cmd, _flags, _struct, _last, _handler)		\
	VMBEAM_IOCTL_ENTRY(_cmd, _flags, _struct, _last, _handler, false)
#define VMBEAM_IOCTL_IN(_cmd, _flags, _struct, _last, _handler)		\
	VMBEAM_IOCTL_ENTRY(_cmd, _flags, _struct, _last, _handler, true)
#define VMBEAM_IOCTL_ENTRY(_cmd, _flags, _struct, _last, _handler, _in)	\
	{								\
		.cmd = (_cmd),						\
		.flags = (_flags),					\
		.min_size = offsetofend(struct _struct, _last) +	\
			BUILD_BUG_ON_ZERO(sizeof(struct _struct) >	\
					  VMBEAM_IOCTL_MAX_ARG),	\
		.size = sizeof(struct _struct),				\
		.in_only = (_in),					\
		.handler = (_handler),					\
	}

/**
 * vmbeam_ioctl_reply - send the struct back now
 * @call: the call
 *
 * For a handler that publishes something (an fd, an id): it replies first and publishes after that, so that the
 * reply is the last thing that can fail. The others leave it to the dispatcher.
 *
 * Return: 0 or -EFAULT
 */
static inline int vmbeam_ioctl_reply(struct vmbeam_call *call)
{
	call->replied = true;
	return copy_to_user(call->uarg, call->arg, call->copy_size) ? -EFAULT : 0;
}

/**
 * vmbeam_ioctl_entry - write an entry of a list to the caller's array
 * @array: user pointer to the array
 * @index: which entry
 * @entry_size: how far apart they are: the entry's size as the caller knows it, at most a page
 * @entry: begins with a u32 size, which is set to what both sides know
 * @size: the entry's size as the module knows it
 *
 * Return: 0 or -EFAULT
 */
static inline int vmbeam_ioctl_entry(u64 array, u32 index, u32 entry_size, void *entry, u32 size)
{
	u8 __user *to = (u8 __user *)u64_to_user_ptr(array) + (u64)index * entry_size;
	u32 known = min(entry_size, size);

	*(u32 *)entry = known;
	if (copy_to_user(to, entry, known) || clear_user(to + known, entry_size - known))
		return -EFAULT;
	return 0;
}

/**
 * vmbeam_ioctl_dispatch - find the ioctl in a table, take its struct in, call the handler, send the struct back
 * @table: the table of this kind of file
 * @nr: its entries
 * @file: the file
 * @cmd: from the ioctl
 * @uarg: from the ioctl
 *
 * Return: what the handler returned; -ENOTTY, -EFAULT, -EINVAL or -E2BIG before that
 */
static inline long vmbeam_ioctl_dispatch(const struct vmbeam_ioctl *table, size_t nr, struct file *file,
					 unsigned int cmd, void __user *uarg)
{
	u64 buf[VMBEAM_IOCTL_MAX_ARG / sizeof(u64)] = {};
	struct vmbeam_ioctl_head *head = (void *)buf;
	struct vmbeam_call call = { .file = file, .uarg = uarg, .arg = buf };
	const struct vmbeam_ioctl *op = NULL;
	u32 usize;
	size_t i;
	long rc;

	for (i = 0; i < nr && !op; i++)
		if (table[i].cmd == cmd)
			op = &table[i];
	if (!op)
		return -ENOTTY;

	if (get_user(usize, (u32 __user *)uarg))
		return -EFAULT;
	if (usize < op->min_size)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(buf, op->size, uarg, usize);
	if (rc)
		return rc;
	/* The caller may have changed it between the two reads: the checked one counts. */
	head->size = usize;
	if (head->flags & ~op->flags)
		return -EINVAL;

	call.copy_size = min_t(size_t, usize, op->size);
	rc = op->handler(&call, buf);
	if (!op->in_only && !call.replied && vmbeam_ioctl_reply(&call) && rc >= 0)
		rc = -EFAULT;
	return rc;
}

#endif /* _VMBEAM_IOCTL_H */
