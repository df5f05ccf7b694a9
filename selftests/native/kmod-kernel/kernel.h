/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as kmod/host and kmod/guest need, on top of libc. Locks are real ones, of pthreads. Whatever
 * may fail for want of memory or of fds asks test_fault() first; what was allocated, and not freed, is counted.
 * The Makefile makes a header of each name that the modules include, which includes this one.
 */
#ifndef _TEST_KERNEL_H
#define _TEST_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/types.h>
#include <linux/ioctl.h>
#include <linux/types.h>

typedef __u64 u64;
typedef __s64 s64;
typedef __u32 u32;
typedef __s32 s32;
typedef uint16_t u16;
typedef __u8 u8;
typedef uint16_t domid_t;
typedef unsigned int gfp_t;
#define __user
#define __init
#define __exit
#define ULONG_MAX (~0UL)

/* What a test sets and looks at. */
extern __thread bool test_no_reply;	/* the caller's memory cannot be written to */
extern __thread int test_replies_left;	/* after as many it cannot; 0: does not matter */
extern __thread bool test_killed;		/* a fatal signal is pending */
extern long test_fail_at;	/* this many more of what may fail do not; -1: none fails */
extern bool test_failed;	/* one did */
extern long test_allocated;	/* pieces of memory that the module has */
extern long test_modules;	/* references to the module, beside those of its files */
extern _Atomic unsigned int test_rescheds;	/* how often others could have had the processor */
extern bool test_threads;	/* there are several: let them meet */
extern void (*test_on_sleep)(void);
extern __thread void (*test_before_lock)(void);	/* what another thread does before this one has a lock */
extern bool test_no_capability;	/* whoever opens the device has none */
extern bool test_no_dom0;	/* this is not Xen's dom0 */
extern int test_warnings;	/* WARN()s that are expected; -1: none is */
bool test_fault(void);

/* Locks */

struct mutex { pthread_mutex_t m; };
typedef struct { pthread_mutex_t m; } spinlock_t;

/* Read here, where the sanitizers see it: a lock in memory that is free is a fault, and not a wait without end. */
static inline pthread_mutex_t *test_lock(pthread_mutex_t *m)
{
	void (*other)(void) = test_before_lock;

	(void)*(volatile char *)m;
	if (other) {
		test_before_lock = NULL;
		other();
		test_before_lock = other;
	}
	return m;
}

#define DEFINE_MUTEX(name)		struct mutex name = { PTHREAD_MUTEX_INITIALIZER }
#define DEFINE_SPINLOCK(name)		spinlock_t name = { PTHREAD_MUTEX_INITIALIZER }
#define mutex_init(lock)		pthread_mutex_init(&(lock)->m, NULL)
#define mutex_lock(lock)		pthread_mutex_lock(test_lock(&(lock)->m))
#define mutex_unlock(lock)		pthread_mutex_unlock(&(lock)->m)
#define mutex_destroy(lock)		pthread_mutex_destroy(&(lock)->m)
#define spin_lock_init(lock)		pthread_mutex_init(&(lock)->m, NULL)
#define spin_lock(lock)			pthread_mutex_lock(test_lock(&(lock)->m))
#define spin_unlock(lock)		pthread_mutex_unlock(&(lock)->m)
#define lockdep_assert_held(lock)	((void)(lock))

static inline int mutex_lock_killable(struct mutex *lock)
{
	if (test_killed)
		return -EINTR;
	mutex_lock(lock);
	return 0;
}

#define READ_ONCE(x)		({							\
	__typeof_unqual__(x) v__;								\
	__atomic_load((__typeof_unqual__(x) *)&(x), &v__, __ATOMIC_RELAXED);			\
	v__;											\
})
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

typedef struct { int nr; } refcount_t;
struct kref { refcount_t refs; };

#define refcount_set(r, n)	__atomic_store_n(&(r)->nr, n, __ATOMIC_RELAXED)
#define refcount_inc(r)		__atomic_fetch_add(&(r)->nr, 1, __ATOMIC_RELAXED)
#define kref_init(k)		refcount_set(&(k)->refs, 1)
#define kref_get(k)		refcount_inc(&(k)->refs)

static inline bool refcount_dec_and_test(refcount_t *r)
{
	int before = __atomic_fetch_sub(&r->nr, 1, __ATOMIC_ACQ_REL);

	assert(before > 0);
	return before == 1;
}

static inline int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	if (!refcount_dec_and_test(&k->refs))
		return 0;
	release(k);
	return 1;
}

/* Time, processes */

#define cond_resched()			((void)test_rescheds++, (void)(test_threads && sched_yield()))
#define msleep(ms)			((void)(ms), test_on_sleep ? test_on_sleep() : (void)0)
#define current				NULL
#define fatal_signal_pending(task)	((void)(task), test_killed)
#define ktime_get_ns()			((u64)0)
#define capable(cap)			(!test_no_capability)

/* Memory */

#define GFP_KERNEL		0U
#define GFP_KERNEL_ACCOUNT	0U
#define __GFP_NOFAIL		1U
void *test_alloc(size_t size, gfp_t gfp);
void test_free(const void *ptr);
#define kmalloc(size, gfp)		test_alloc(size, gfp)
#define kvmalloc(size, gfp)		test_alloc(size, gfp)
#define kvzalloc(size, gfp)		test_alloc(size, gfp)
#define kzalloc(size, gfp)		test_alloc(size, gfp)
#define kvcalloc(nr, size, gfp)		test_alloc((size_t)(nr) * (size), gfp)
#define kvmalloc_array(nr, size, gfp)	test_alloc((size_t)(nr) * (size), gfp)
#define array_size(nr, size)		((size_t)(nr) * (size))
#define struct_size_t(type, member, nr)	offsetof(type, member[nr])
#define struct_size(ptr, member, nr)	struct_size_t(typeof(*(ptr)), member, nr)
#define kvfree(ptr)			test_free(ptr)
#define kfree(ptr)			test_free(ptr)

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
#define SZ_2K			0x800
#define SZ_1M			0x100000
#define BIT_ULL(nr)		(1ULL << (nr))

#define IS_ERR(ptr)	((uintptr_t)(ptr) >= -4095UL)
#define PTR_ERR(ptr)	((long)(ptr))
#define ERR_PTR(err)	((void *)(long)(err))

/* A WARN() of the kernel fails the test, unless the test counts them. */
#define WARN_ON(cond)		({ bool w__ = (cond); if (w__) test_warned(__FILE__, __LINE__); w__; })
#define WARN_ON_ONCE(cond)	WARN_ON(cond)
#define WARN_ONCE(cond, ...)	WARN_ON(cond)
void test_warned(const char *file, int line);
static inline __attribute__((format(printf, 1, 2))) void test_log(const char *fmt, ...)
{
	(void)fmt;
}

#define pr_info_ratelimited(...)	test_log(__VA_ARGS__)
#define pr_err(...)			test_log(__VA_ARGS__)
#define pr_warn(...)			test_log(__VA_ARGS__)
#define pr_warn_ratelimited(...)	test_log(__VA_ARGS__)

/* The caller's memory */

#define u64_to_user_ptr(addr)	((void *)(uintptr_t)(addr))
#define PAGE_SHIFT		12
#define PAGE_SIZE		4096
#define PAGE_ALIGNED(addr)	((uintptr_t)(addr) % PAGE_SIZE == 0)
#define get_user(value, ptr)	((value) = *(ptr), 0)

static inline int copy_from_user(void *to, const void *from, size_t len)
{
	/* Nothing may be copied from nowhere. */
	if (len)
		memmove(to, from, len);
	return 0;
}

static inline int copy_to_user(void *to, const void *from, size_t len)
{
	if (test_no_reply && len)
		return -EFAULT;
	if (test_replies_left && --test_replies_left == 0)
		test_no_reply = true;
	return copy_from_user(to, from, len);
}

static inline int clear_user(void *to, size_t len)
{
	if (test_no_reply && len)
		return -EFAULT;
	memset(to, 0, len);
	return 0;
}

static inline int copy_struct_from_user(void *to, size_t ksize, const void *from, size_t usize)
{
	memset(to, 0, ksize);
	memcpy(to, from, min(ksize, usize));
	for (size_t i = ksize; i < usize; i++)
		if (((const u8 *)from)[i])
			return -E2BIG;
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

/* Bitmaps */

#define BITS_PER_LONG		64
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, nr)	unsigned long name[BITS_TO_LONGS(nr)]

static inline bool test_bit(unsigned long nr, const unsigned long *map)
{
	return map[nr / 64] >> nr % 64 & 1;
}

static inline void __set_bit(unsigned long nr, unsigned long *map)
{
	map[nr / 64] |= 1UL << nr % 64;
}

static inline void __clear_bit(unsigned long nr, unsigned long *map)
{
	map[nr / 64] &= ~(1UL << nr % 64);
}

static inline unsigned long test_next_bit(const unsigned long *map, unsigned long end, unsigned long at, bool set)
{
	while (at < end && test_bit(at, map) != set)
		at++;
	return at;
}

static inline void bitmap_set(unsigned long *map, unsigned int at, unsigned int nr)
{
	for (; nr; nr--)
		__set_bit(at++, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int at, unsigned int nr)
{
	for (; nr; nr--)
		__clear_bit(at++, map);
}

#define find_next_bit(map, end, at)	test_next_bit(map, end, at, true)
#define find_first_zero_bit(map, nr)	test_next_bit(map, nr, 0, false)
#define bitmap_zero(map, nr)		memset(map, 0, BITS_TO_LONGS(nr) * sizeof(long))
#define bitmap_full(map, nr)		(find_first_zero_bit(map, nr) == (nr))
#define for_each_set_bit(bit, map, nr)							\
	for ((bit) = find_next_bit(map, nr, 0); (bit) < (nr); (bit) = find_next_bit(map, nr, (bit) + 1))

/* Lists */

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
#define list_first_entry_or_null(head, type, member)	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_last_entry(head, type, member)	list_entry((head)->prev, type, member)
#define list_for_each_entry(pos, head, member)					\
	for (pos = list_entry((head)->next, typeof(*pos), member);		\
	     &pos->member != (head);						\
	     pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_reverse(pos, head, member)				\
	for (pos = list_entry((head)->prev, typeof(*pos), member);		\
	     &pos->member != (head);						\
	     pos = list_entry(pos->member.prev, typeof(*pos), member))
#define list_for_each_entry_safe(pos, n, head, member)				\
	for (pos = list_entry((head)->next, typeof(*pos), member),		\
	     n = list_entry(pos->member.next, typeof(*pos), member);		\
	     &pos->member != (head);						\
	     pos = n, n = list_entry(n->member.next, typeof(*n), member))

/* XArray: entries by index, ascending, with the one mark that is used; a NULL entry is a reserved one. */

struct xarray {
	struct test_xa { unsigned long index; void *entry; bool mark; } *v;
	size_t nr, room;
};

#define DEFINE_XARRAY(name)	struct xarray name
#define XA_FLAGS_ACCOUNT	0
#define XA_FLAGS_ALLOC		0
#define XA_PRESENT		0
#define XA_MARK_1		1
#define xa_limit_31b		0x7fffffffU
#define xa_mk_value(v)		((void *)((uintptr_t)(v) << 1 | 1))
#define xa_to_value(entry)	((unsigned long)(uintptr_t)(entry) >> 1)
#define xa_err(old)		(IS_ERR(old) ? (int)PTR_ERR(old) : 0)

static inline void xa_init_flags(struct xarray *xa, int flags)
{
	(void)flags;
	memset(xa, 0, sizeof(*xa));
}

#define xa_empty(xa)	(!(xa)->nr)
void *xa_load(struct xarray *xa, unsigned long index);
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
int xa_alloc(struct xarray *xa, u32 *id, void *entry, u32 limit, gfp_t gfp);
void *xa_erase(struct xarray *xa, unsigned long index);
void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, int mark);
void xa_set_mark(struct xarray *xa, unsigned long index, int mark);
void xa_clear_mark(struct xarray *xa, unsigned long index, int mark);
void xa_destroy(struct xarray *xa);

#define xa_for_each(xa, at, value)							\
	for ((at) = 0, (value) = xa_find(xa, &(at), ULONG_MAX, XA_PRESENT); (value);	\
	     (at)++, (value) = xa_find(xa, &(at), ULONG_MAX, XA_PRESENT))

/* Files: a table of fds, which is the process's. release() runs when the last reference goes. */

struct inode;
struct file;
struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	void *compat_ioctl;
	ssize_t (*read)(struct file *file, char *buf, size_t count, loff_t *ppos);
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
};

struct file {
	refcount_t refs;
	void *private_data;
	const struct file_operations *fops;
	unsigned int f_mode;
};

#define THIS_MODULE		NULL
#define FMODE_PREAD		1
#define compat_ptr_ioctl	NULL
#define no_seek_end_llseek(file, offset, whence)	((void)(file), (void)(whence), offset)
#define __module_get(module)	__atomic_fetch_add(&test_modules, 1, __ATOMIC_RELAXED)
#define module_put(module)	__atomic_fetch_sub(&test_modules, 1, __ATOMIC_RELAXED)

int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(unsigned int fd);
struct file *anon_inode_getfile(const char *name, const struct file_operations *fops, void *priv, int flags);
void fd_install(unsigned int fd, struct file *file);
void fput(struct file *file);

/* What a process does. */
int test_open_dev(void);
long test_ioctl(int fd, unsigned int cmd, void *arg);
ssize_t test_pread(int fd, void *buf, size_t len, loff_t at);
int test_close(int fd);
int test_open_fds(void);

/* The module and its device */

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	unsigned int mode;
};

#define MISC_DYNAMIC_MINOR	255
int misc_register(struct miscdevice *dev);
void misc_deregister(struct miscdevice *dev);

#define KBUILD_MODNAME		"vmbeam"
#define module_init(fn)		int test_insmod(void) { return fn(); } struct test_nothing
#define module_exit(fn)		void test_rmmod(void) { fn(); } struct test_nothing
#define MODULE_DESCRIPTION(text)	struct test_nothing
#define MODULE_LICENSE(text)		struct test_nothing
#define MODULE_VERSION(text)		struct test_nothing
#define MODULE_PARM_DESC(name, text)	struct test_nothing
#define module_param(name, type, mode)	struct test_nothing
int test_insmod(void);
void test_rmmod(void);

/*
 * Which events of @id there were, if a test has set it: each name once in a row, with a space behind it. All events
 * begin with an id.
 */
extern __thread struct test_trace { u64 id; char names[400]; } test_trace;
void test_traced(const char *name, u64 id);
#define TP_PROTO(...)		__VA_ARGS__
#define TRACE_EVENT(name, proto, ...)							\
	static inline void trace_##name(proto) { test_traced(#name, id); } struct test_nothing

/* Xen */

#define xen_initial_domain()	(!test_no_dom0)
#define xen_pv_domain()		true
long HYPERVISOR_memory_op(unsigned int cmd, void *arg);

/* Page tables, and what a PV guest asks of them. A vmap area is its PTEs and nothing else. */
struct page;
typedef struct { u64 pte; } pte_t;
typedef struct { u64 pgprot; } pgprot_t;
struct test_maddr { u64 maddr; };
struct mmu_update { u64 ptr, val; };
struct mmuext_op { unsigned int cmd; };

#define pgprot_val(p)		((p).pgprot)
#define PAGE_KERNEL_RO		((pgprot_t){ 0x161 })
#define _PAGE_GLOBAL		0x100
#define XEN_PTE_MFN_MASK	0x000ffffffffff000ULL
#define pte_present(entry)	((entry).pte & 1)
#define PG_LEVEL_4K		1
#define VM_IOREMAP		1
#define MMU_NORMAL_PT_UPDATE	0
#define MMUEXT_TLB_FLUSH_ALL	1
#define ZERO_PAGE(addr)		((struct page *)0x1000)
#define page_to_pfn(page)	((u64)(uintptr_t)(page) >> PAGE_SHIFT)
#define pfn_to_mfn(pfn)		((pfn) + 6)
#define arbitrary_virt_to_machine(ptr)	((struct test_maddr){ (uintptr_t)(ptr) })

extern unsigned long machine_to_phys_nr;
u64 mfn_to_pfn_no_overrides(u64 mfn);
void *vmap(struct page **pages, unsigned int nr, unsigned long flags, pgprot_t prot);
void vunmap(const void *addr);
pte_t *lookup_address(unsigned long addr, unsigned int *level);
int HYPERVISOR_mmu_update(struct mmu_update *updates, int nr, int *done, domid_t domid);
#define HVMOP_get_param		1
#define HVM_PARAM_STORE_PFN	1
struct xen_hvm_param { domid_t domid; u32 index; u64 value; };
int HYPERVISOR_hvm_op(int op, void *arg);
int HYPERVISOR_mmuext_op(struct mmuext_op *op, int nr, int *done, domid_t domid);
#define DOMID_SELF		0x7ff0
#define DOMID_FIRST_RESERVED	0x7ff0
#define DOMID_INVALID		0x7ff4

#endif /* _TEST_KERNEL_H */
