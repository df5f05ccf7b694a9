/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of Xen 4.20 as the files of p2m-swap/ need, in userspace. The Makefile makes a header of each name that they
 * include, which includes this one.
 *
 * What costs something for each frame is as in Xen: struct page_info, the lists, the M2P, frames and domains named by
 * 32 bits, a frame's validity asked for in a function behind a barrier against speculation. Xen's frame table, M2P and
 * direct map lie at fixed addresses; here, too, at others. What is done once in a pause (locks, flushes, pausing) is
 * counted, and its order is checked, but it costs nothing: machine.c.
 */
#ifndef _TEST_XEN_H
#define _TEST_XEN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* entry.c has an index() of its own. */
#define index libc_index
#include <string.h>
#undef index

/* Xen's own numbers of errors are Linux's; this one is not in libc. */
#define ERESTART_XEN	85
#undef ERESTART
#define ERESTART	ERESTART_XEN

#ifndef NDEBUG
#include <assert.h>
#define ASSERT(what)	assert(what)
#else
#define ASSERT(what)	((void)sizeof(what))
#endif

#define always_inline		inline __attribute__((always_inline))
#ifndef noinline
#define noinline		__attribute__((noinline))
#endif
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define cf_check
#define __read_mostly
#define BUILD_BUG_ON(wrong)	((void)sizeof(char[1 - 2 * !!(wrong)]))
#define BUILD_BUG_ON_ZERO(wrong)	(sizeof(char[1 - 2 * !!(wrong)]) - 1)
#define ACCESS_ONCE(x)		(*(volatile typeof(x) *)&(x))
#define read_atomic(p)		ACCESS_ONCE(*(p))
#define write_atomic(p, x)	((void)(ACCESS_ONCE(*(p)) = (x)))
#define min(a, b)		({ typeof(a) a__ = (a); typeof(b) b__ = (b); a__ < b__ ? a__ : b__; })
#define max(a, b)		({ typeof(a) a__ = (a); typeof(b) b__ = (b); a__ > b__ ? a__ : b__; })
#define SWAP(a, b)		do { typeof(a) was__ = (a); (a) = (b); (b) = was__; } while (0)

/* As Xen's compilers have it: whether a flag can be an asm's output. */
#ifdef __GCC_ASM_FLAG_OUTPUTS__
#define ASM_FLAG_OUT(yes, no)	yes
#else
#define ASM_FLAG_OUT(yes, no)	no
#endif

/* CONFIG_X is 1, or not defined. */
#define PLACE_1			0,
#define SECOND(x, y, ...)	y
#define IS_1_(place)		SECOND(place 1, 0, 0)
#define IS_1(value)		IS_1_(PLACE_##value)
#define IS_ENABLED(CONFIG_name)	IS_1(CONFIG_name)

#define IS_ERR(ptr)		((uintptr_t)(ptr) >= -4095UL)
#define PTR_ERR(ptr)		((long)(ptr))
#define ERR_PTR(err)		((void *)(long)(err))

#define cmpxchg(ptr, old, new)	({						\
	typeof(*(ptr)) old__ = (old);						\
	asm volatile ("lock cmpxchg %[to], %[at]"				\
		      : [at] "+m" (*(ptr)), "+a" (old__)			\
		      : [to] "r" ((typeof(*(ptr)))(new)) : "memory");		\
	old__;									\
})
#define prefetch(p)		__builtin_prefetch(p)
#define prefetchw(p)		__builtin_prefetch(p, 1)

typedef uint64_t u64;
typedef int64_t s_time_t;
typedef uint64_t paddr_t;
typedef uint16_t domid_t;
s_time_t test_now(void);
#define NOW()			test_now()
#define flsl(x)			((x) ? 64 - __builtin_clzl(x) : 0)

static inline int set_param(unsigned int *param, unsigned int value)
{
	*param = value;
	return 0;
}

/* A parameter can be set by p2m_swap_set_pause(). */
#define integer_runtime_param(name, var)					\
	int p2m_swap_set_pause(unsigned int value);				\
	int p2m_swap_set_pause(unsigned int value) { return set_param(&(var), value); }	\
	extern int p2m_swap_set_pause(unsigned int value)

/* Bitmaps */

#define BITS_PER_LONG		64
#define DECLARE_BITMAP(name, bits)	unsigned long name[((bits) + 63) / 64]
#define bitmap_zero(map, bits)	memset(map, 0, ((bits) + 63) / 64 * 8)

static inline void __set_bit(unsigned int nr, unsigned long *map)
{
	map[nr / 64] |= 1UL << nr % 64;
}

static inline bool test_bit(unsigned int nr, const unsigned long *map)
{
	return map[nr / 64] >> nr % 64 & 1;
}

unsigned int find_next_bit(const unsigned long *map, unsigned int size, unsigned int from);

/* Numbers of frames: a type each where it can be checked, as in Xen. */

#ifndef NDEBUG
#define NUMBER_TYPE(name)							\
	typedef struct { unsigned long x; } name##_t;				\
	static inline name##_t _##name(unsigned long x) { name##_t n = { x }; return n; }	\
	static inline unsigned long name##_x(name##_t n) { return n.x; }
#else
#define NUMBER_TYPE(name)							\
	typedef unsigned long name##_t;						\
	static inline name##_t _##name(unsigned long x) { return x; }		\
	static inline unsigned long name##_x(name##_t n) { return n; }
#endif
NUMBER_TYPE(mfn)
NUMBER_TYPE(gfn)

#define INVALID_MFN		_mfn(~0UL)
#define mfn_eq(a, b)		(mfn_x(a) == mfn_x(b))

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1L << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PADDR_MASK		((1UL << 52) - 1)
#define PAGETABLE_ORDER		9
#define SUPERPAGE_PAGES		512U
#define PAGE_ORDER_4K		0
#define PAGE_ORDER_2M		9
#define PAGE_ORDER_1G		18
#define _PAGE_PRESENT		0x001U
#define _PAGE_RW		0x002U
#define _PAGE_USER		0x004U
#define _PAGE_ACCESSED		0x020U
#define _PAGE_DIRTY		0x040U
#define _PAGE_PSE		0x080U

/* struct page_info: arch/x86/include/asm/mm.h, with CONFIG_BIGMEM and CONFIG_SHADOW_PAGING off; see machine.c */

struct page_list_entry {
	uint32_t next, prev;
};

struct page_info {
	union {
		struct page_list_entry list;
		paddr_t up;
	};
	unsigned long count_info;
	union {
		struct {
			unsigned long type_info;
		} inuse;
	} u;
	union {
		struct {
			uint32_t _domain;
		} inuse;
	} v;
	uint32_t tlbflush_timestamp;
};

struct page_list_head {
	struct page_info *next, *tail;
};

#define PG_BITS(value, from_top)	((unsigned long)(value) << (64 - (from_top)))
#define PGC_allocated		PG_BITS(1, 1)
#define PGC_xen_heap		PG_BITS(1, 2)
#define PGC_extra		PG_BITS(1, 3)
#define PGC_broken		PG_BITS(1, 4)
#define PGC_state_offlining	PG_BITS(1, 6)
#define PGC_count_mask		((1UL << (64 - 6)) - 1)
#define PGT_type_mask		PG_BITS(7, 3)
#define PGT_writable_page	PG_BITS(7, 3)
#define PGT_pinned		PG_BITS(1, 5)
#define PGT_validated		PG_BITS(1, 6)
#define PGT_non_coherent	PG_BITS(1, 9)
#define PGT_count_mask		((1UL << (64 - 9)) - 1)

/*
 * Where Xen's layout has them is no place for a process, and ASan needs what is below. machine.c maps them. Frames are
 * numbered from 0, and pdx and mfn are the same, as in Xen 4.20 on x86.
 */
#define FRAMETABLE_VIRT_START	0x200000000000UL
#define RDWR_MPT_VIRT_START	0x280000000000UL
#define DIRECTMAP_VIRT_START	0x300000000000UL

#define frame_table		((struct page_info *)FRAMETABLE_VIRT_START)
#define machine_to_phys_mapping	((unsigned long *)RDWR_MPT_VIRT_START)

#define pdx_to_page(pdx)	(frame_table + (pdx))
#define page_to_pdx(pg)		((pg) - frame_table)
#define mfn_to_pdx(mfn)		mfn_x(mfn)
#define mfn_to_page(mfn)	pdx_to_page(mfn_x(mfn))
#define page_to_mfn(pg)		_mfn((unsigned long)page_to_pdx(pg))
#define maddr_to_mfn(maddr)	_mfn((maddr) >> PAGE_SHIFT)
#define virt_to_pdx(va)		(((unsigned long)(va) - DIRECTMAP_VIRT_START) >> PAGE_SHIFT)
#define pdx_to_virt(pdx)	((void *)(DIRECTMAP_VIRT_START + ((unsigned long)(pdx) << PAGE_SHIFT)))

bool __mfn_valid(unsigned long mfn);
#define mfn_valid(mfn)		__mfn_valid(mfn_x(mfn))
#define is_special_page(pg)	((pg)->count_info & (PGC_xen_heap | PGC_extra))
#define page_get_owner(pg)	((struct domain *)((pg)->v.inuse._domain ? pdx_to_virt((pg)->v.inuse._domain) : NULL))
#define page_set_owner(pg, d)	((pg)->v.inuse._domain = (d) ? virt_to_pdx(d) : 0)
#define get_gpfn_from_mfn(mfn)	(machine_to_phys_mapping[mfn])
void set_gpfn_from_mfn(unsigned long mfn, unsigned long gfn);

/* In Xen, too, a function of another file, and in a release build no more than this. */
void *map_domain_page(mfn_t mfn);
#define unmap_domain_page(va)	((void)(va))
#define __map_domain_page(pg)	map_domain_page(page_to_mfn(pg))

#define PAGE_LIST_NULL		((uint32_t)~0)
#define page_list_last(head)	((head)->tail)
#define page_list_next(pg, head)	((pg) != (head)->tail ? pdx_to_page((pg)->list.next) : NULL)
#define page_list_prev(pg, head)	((pg) != (head)->next ? pdx_to_page((pg)->list.prev) : NULL)

static inline void page_list_add_tail(struct page_info *pg, struct page_list_head *head)
{
	pg->list.next = PAGE_LIST_NULL;
	pg->list.prev = head->next ? page_to_pdx(head->tail) : PAGE_LIST_NULL;
	if (head->next)
		head->tail->list.next = page_to_pdx(pg);
	else
		head->next = pg;
	head->tail = pg;
}

static inline void page_list_del(struct page_info *pg, struct page_list_head *head)
{
	struct page_info *const next = page_list_next(pg, head), *const prev = page_list_prev(pg, head);

	if (prev)
		prev->list.next = pg->list.next;
	else
		head->next = next;
	if (next)
		next->list.prev = pg->list.prev;
	else
		head->tail = prev;
}

/* Domains and their P2M */

#define X86_MT_UCM		7
#define MTRR_NUM_TYPES		X86_MT_UCM

extern bool test_ept;	/* the tables are EPT's, or else NPT's */
#define using_vmx()		test_ept

/* arch/x86/include/asm/hvm/vmx/vmx.h */
typedef union {
	struct {
		u64 r : 1, w : 1, x : 1, emt : 3, ipat : 1, sp : 1, a : 1, d : 1, recalc : 1, snp : 1, mfn : 40,
		    sa_p2mt : 6, pw : 1, access : 4, suppress_ve : 1;
	};
	u64 epte;
} ept_entry_t;

typedef enum { p2m_ram_rw, p2m_invalid, p2m_ram_logdirty, p2m_ram_ro, p2m_mmio_dm, p2m_mmio_direct } p2m_type_t;
typedef enum { p2m_access_n, p2m_access_r, p2m_access_rw = 3, p2m_access_rwx = 7 } p2m_access_t;
typedef unsigned int p2m_query_t;
typedef struct { unsigned long pfn; } pagetable_t;

struct p2m_domain {
	struct domain *domain;
	bool locked;
	pagetable_t phys_table;
	int (*set_entry)(struct p2m_domain *p2m, gfn_t gfn, mfn_t mfn, unsigned int order, p2m_type_t t,
			 p2m_access_t a, int sve);
	mfn_t (*get_entry)(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t *t, p2m_access_t *a, p2m_query_t q,
			   unsigned int *order, bool *sve);
	int (*recalc)(struct p2m_domain *p2m, unsigned long gfn);
	unsigned long max_mapped_pfn;
	bool defer_nested_flush;
	bool synced;		/* ours: the flush that the unlock would do is done */
	unsigned int nested_flushes;
};

#define pagetable_get_mfn(t)	_mfn((t).pfn)
#define p2m_get_pagetable(p2m)	((p2m)->phys_table)
#define p2m_get_hostp2m(d)	((d)->arch.p2m)
#define p2m_locked_by_me(p2m)	((p2m)->locked)

/* What test_refused counts is why a domain is not dealt with; one bit for each question. */
enum {
	NOT_HVM = 1, NO_HAP = 2, IOMMU = 4, DEVICE = 8, ALTP2M = 16, LOG_DIRTY = 32, GLOBAL_LOG_DIRTY = 64, POD = 128,
	SHARING = 256, PAGING = 512,
};

struct vcpu {
	struct domain *domain;
	unsigned int asid_flushes, kicks;
};

struct domain {
	domid_t domain_id;
	bool is_dying;
	bool control, pv;
	unsigned int is;	/* what it is refused for */
	unsigned int paused;
	bool page_alloc_locked;
	bool page_alloc_lock;
	bool nested;
	bool invalidate;	/* device models were asked to drop what they keep */
	struct page_list_head page_list;
	unsigned int tot_pages;
	struct vcpu vcpu;
	struct {
		struct p2m_domain *p2m;
		unsigned int page_alloc_unlock_level;
	} arch;
};

#define is_hvm_domain(d)		(!((d)->is & NOT_HVM))
#define hap_enabled(d)			(!((d)->is & NO_HAP))
#define is_iommu_enabled(d)		((d)->is & IOMMU)
#define cache_flush_permitted(d)	((d)->is & DEVICE)
#define altp2m_active(d)		((d)->is & ALTP2M)
#define paging_mode_log_dirty(d)	((d)->is & LOG_DIRTY)
#define p2m_is_global_logdirty(d)	((d)->is & GLOBAL_LOG_DIRTY)
#define p2m_pod_active(d)		((d)->is & POD)
#define mem_sharing_enabled(d)		((d)->is & SHARING)
#define mem_paging_enabled(d)		((d)->is & PAGING)
#define is_pv_domain(d)			((d)->pv)
#define is_control_domain(d)		((d)->control)
#define nestedhvm_enabled(d)		((d)->nested)
#define p2m_flush_nestedp2m(d)		((void)(d)->arch.p2m->nested_flushes++)
#define for_each_vcpu(d, v)		for ((v) = &(d)->vcpu; (v); (v) = NULL)
#define vcpu_kick(v)			((void)(v)->kicks++)
#define hvm_asid_flush_vcpu(v)		((void)(v)->asid_flushes++)
#define ioreq_request_mapcache_invalidate(d)	((void)((d)->invalidate = true))

extern struct vcpu *current;
struct domain *rcu_lock_domain_by_any_id(domid_t domid);
#define rcu_unlock_domain(d)		((void)(d))
#define XSM_PRIV			0
int xsm_p2m_swap(int action, struct domain *a, struct domain *b);

void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
void p2m_lock(struct p2m_domain *p2m);
void p2m_unlock(struct p2m_domain *p2m);
void p2m_tlb_flush_sync(struct p2m_domain *p2m);
#define ept_sync_domain(p2m)		((void)(p2m))
void nrspin_lock(bool *lock);
void nrspin_unlock(bool *lock);
#define page_alloc_mm_pre_lock(d)	((void)(d))
#define page_alloc_mm_post_lock(d, l)	((void)(l))
#define page_alloc_mm_unlock(l)		((void)(l))
#define FLUSH_TLB			1
#define FLUSH_HVM_ASID_CORE		2
void flush_all(unsigned int flags);

/* The caller's memory is the process's own, but for what machine.c is told is bad. */

#define uint64_aligned_t		__attribute__((aligned(8))) uint64_t
typedef uint8_t uint8;
#define __DEFINE_XEN_GUEST_HANDLE(name, type)					\
	typedef struct { typeof(type) *p; } __guest_handle_##name;			\
	typedef struct { typeof(type) *p; } __guest_handle_64_##name
#define DEFINE_XEN_GUEST_HANDLE(name)	__DEFINE_XEN_GUEST_HANDLE(name, name)
#define XEN_GUEST_HANDLE_64(name)	__guest_handle_64_##name
#define XEN_GUEST_HANDLE_PARAM(name)	__guest_handle_##name
DEFINE_XEN_GUEST_HANDLE(uint8);

extern const void *test_bad_from, *test_bad_to;

static inline unsigned long test_copy(void *to, const void *from, size_t len, const void *guest)
{
	if (guest < test_bad_to && (const void *)((const char *)guest + len) > test_bad_from)
		return len;
	memcpy(to, from, len);
	return 0;
}

#define copy_from_guest_offset(ptr, hnd, off, nr)	({				\
	const typeof(*(ptr)) *from__ = (hnd).p + (off);					\
	test_copy(ptr, from__, sizeof(*(ptr)) * (nr), from__); })
#define copy_to_guest_offset(hnd, off, ptr, nr)		({				\
	typeof(*(ptr)) *to__ = (hnd).p + (off);						\
	test_copy(to__, ptr, sizeof(*(ptr)) * (nr), to__); })
#define copy_from_guest(ptr, hnd, nr)	copy_from_guest_offset(ptr, hnd, 0, nr)
#define __copy_to_guest(hnd, ptr, nr)	copy_to_guest_offset(hnd, 0, ptr, nr)

bool hypercall_preempt_check(void);
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#endif
#define __HYPERVISOR_memory_op		12
long test_continuation(unsigned long cmd, void *arg);
#define hypercall_create_continuation(op, format, cmd, arg)	test_continuation(cmd, (arg).p)

void *test_xmalloc(size_t size);
void test_xfree(void *p);
#define xmalloc_array(type, nr)		((type *)test_xmalloc(sizeof(type) * (nr)))
#define xmalloc(type)			xmalloc_array(type, 1)
#define xfree(p)			test_xfree(p)

#include "p2m_swap.h"

long p2m_swap_memop(__guest_handle_xen_p2m_swap_t arg);
int p2m_swap_set_pause(unsigned int value);

#endif /* _TEST_XEN_H */
