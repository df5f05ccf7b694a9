/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as kmod/host needs, on top of libc; one thread, so a lock is nothing.
 * The Makefile makes a header of each name that they include, which includes this one.
 */
#ifndef _TEST_KERNEL_H
#define _TEST_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <asm/types.h>
#include <linux/ioctl.h>
#include <linux/types.h>

typedef __u64 u64;
typedef __u32 u32;
typedef __u8 u8;
typedef uint16_t domid_t;
typedef int gfp_t;
typedef struct { int unused; } spinlock_t;
struct mutex { int unused; };
#define __user
#define __init

#define DEFINE_MUTEX(name)		struct mutex name
#define mutex_init(lock)		((void)(lock))
#define mutex_lock(lock)		((void)(lock))
#define mutex_destroy(lock)		((void)(lock))
#define mutex_lock_killable(lock)	((void)(lock), 0)
#define mutex_unlock(lock)		((void)(lock))
#define spin_lock_init(lock)		((void)(lock))
#define spin_lock(lock)			((void)(lock))
#define spin_unlock(lock)		((void)(lock))
#define cond_resched()			((void)0)
void test_sleep(void);
#define msleep(ms)			((void)(ms), test_sleep())
#define current				NULL
#define fatal_signal_pending(task)	((task) != NULL)

#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_NOFAIL		1
void *test_alloc(size_t size, gfp_t gfp);
#define kmalloc(size, gfp)		test_alloc(size, gfp)
#define kvmalloc(size, gfp)		test_alloc(size, gfp)
#define kvzalloc(size, gfp)		test_alloc(size, gfp)
#define kzalloc(size, gfp)		test_alloc(size, gfp)
#define array_size(nr, size)		((size_t)(nr) * (size))
#define struct_size_t(type, member, nr)	offsetof(type, member[nr])
#define struct_size(ptr, member, nr)	struct_size_t(typeof(*(ptr)), member, nr)
#define kvfree(ptr)			free((void *)(ptr))
#define kfree(ptr)			free(ptr)

u64 get_random_u64(void);

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define swap(a, b)		do { typeof(a) tmp__ = (a); (a) = (b); (b) = tmp__; } while (0)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON_ZERO(wrong)	(0 * sizeof(char[(wrong) ? -1 : 1]))
#define offsetofend(type, member)	(offsetof(type, member) + sizeof(((type *)NULL)->member))
#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))

#define IS_ERR(ptr)	((uintptr_t)(ptr) >= -4095UL)
#define PTR_ERR(ptr)	((long)(ptr))
#define ERR_PTR(err)	((void *)(long)(err))

#define u64_to_user_ptr(addr)	((void *)(uintptr_t)(addr))
#define PAGE_SIZE		4096
#define SZ_1M			0x100000
#define get_user(value, ptr)	((value) = *(ptr), 0)

static inline int copy_from_user(void *to, const void *from, size_t len)
{
	/* Nothing may be copied from nowhere. */
	if (len)
		memmove(to, from, len);
	return 0;
}

int test_copy_to_user(void *to, const void *from, size_t len);
#define copy_to_user(to, from, len)	test_copy_to_user(to, from, len)

static inline int copy_struct_from_user(void *to, size_t ksize, const void *from, size_t usize)
{
	memcpy(to, from, min(ksize, usize));
	return 0;
}

/* The first of @len bytes that is not @byte, or NULL. */
static inline void *memchr_inv(const void *from, int byte, size_t len)
{
	const u8 *p = from;

	for (; len; p++, len--)
		if (*p != byte)
			return (void *)p;
	return NULL;
}

struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name)	struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}

#define list_add(entry, head)	list_add_tail(entry, (head)->next)

static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add_tail(entry, head);
}

static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	if (list->next == list)
		return;
	list->next->prev = head;
	list->prev->next = head->next;
	head->next->prev = list->prev;
	head->next = list->next;
}

#define list_empty(head)	((head)->next == (head))
#define list_entry(ptr, type, member)	container_of(ptr, type, member)
#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)	list_entry((head)->prev, type, member)
#define list_for_each_entry(pos, head, member)					\
	for (pos = list_entry((head)->next, typeof(*pos), member);		\
	     &pos->member != (head);						\
	     pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_safe(pos, n, head, member)				\
	for (pos = list_entry((head)->next, typeof(*pos), member),		\
	     n = list_entry(pos->member.next, typeof(*pos), member);		\
	     &pos->member != (head);						\
	     pos = n, n = list_entry(n->member.next, typeof(*n), member))

/* Entries in the order in which they came. */
struct xarray {
	struct { unsigned long index; void *entry; } *v;
	size_t nr;
};

#define DEFINE_XARRAY(name)	struct xarray name
#define xa_err(old)		((void)(old), 0)

static inline void *xa_load(struct xarray *xa, unsigned long index)
{
	for (size_t i = 0; i < xa->nr; i++)
		if (xa->v[i].index == index)
			return xa->v[i].entry;
	return NULL;
}

static inline void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	if (xa_load(xa, index))
		abort();
	xa->v = realloc(xa->v, (xa->nr + 1) * sizeof(*xa->v));
	xa->v[xa->nr].index = index;
	xa->v[xa->nr++].entry = entry;
	return NULL;
}

static inline void xa_erase(struct xarray *xa, unsigned long index)
{
	for (size_t i = 0; i < xa->nr; i++)
		if (xa->v[i].index == index)
			xa->v[i] = xa->v[--xa->nr];
}

static inline void xa_destroy(struct xarray *xa)
{
	free(xa->v);
	xa->v = NULL;
	xa->nr = 0;
}

#define xa_for_each(xa, at, value)						\
	for (size_t i__ = 0;							\
	     i__ < (xa)->nr && ((at) = (xa)->v[i__].index, (void)(at), (value) = (xa)->v[i__].entry); i__++)

struct inode;
struct file { void *private_data; };
struct file_operations {
	void *owner;
	int (*release)(struct inode *inode, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	void *compat_ioctl;
};

#define THIS_MODULE		NULL
#define compat_ptr_ioctl	NULL
#define DOMID_FIRST_RESERVED	0x7ff0

/* There is one file at a time: the test's. */
struct file *test_file(const struct file_operations *fops, void *private_data);
#define get_unused_fd_flags(flags)			((void)(flags), 5)
#define put_unused_fd(fd)				((void)(fd))
#define anon_inode_getfile(name, fops, priv, flags)	test_file(fops, priv)
#define fd_install(fd, file)				((void)(file))
void test_fput(struct file *file);
#define fput(file)					test_fput(file)

#define pr_info_ratelimited(...)	((void)0)
#define pr_err(...)			((void)0)

#endif /* _TEST_KERNEL_H */
