// SPDX-License-Identifier: GPL-2.0
/*
 * What the hypervisor's files call: NPT's and EPT's tables, as p2m-pt.c and p2m-ept.c write them, but for what these
 * files never meet; and locks, pauses and flushes, of which only the order is looked at.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "machine.h"

#define TOP_LEVEL	3
#define VALID_SHIFT	16	/* of frames whose validity is one bit */
#define MAX_FRAMES	(1UL << 24)

/* Xen 4.20 and 4.17: pahole -C page_info xen-syms. ../test_p2m_swap.py asks the hypervisor that was built. */
static_assert(sizeof(struct page_info) == 32, "pahole");
static_assert(offsetof(struct page_info, count_info) == 8, "pahole");
static_assert(offsetof(struct page_info, u) == 16, "pahole");
static_assert(offsetof(struct page_info, v) == 24, "pahole");

struct machine machine;
bool test_ept;
struct vcpu *current;
const void *test_bad_from, *test_bad_to;
static unsigned long valid[(MAX_FRAMES >> VALID_SHIFT) / 64 + 1];

/* Memory */

static void map(unsigned long at, size_t size)
{
	void *p = (void *)at;

	if (mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		 -1, 0) != p) {
		perror("mmap");
		exit(1);
	}
	/* Xen maps all of it by superpages. */
	madvise(p, size, MADV_HUGEPAGE);
}

bool __mfn_valid(unsigned long mfn)
{
	const bool invalid = mfn >= machine.nr_frames;

	/* CONFIG_SPECULATIVE_HARDEN_BRANCH, which Debian has on */
	asm volatile ("lfence" : : : "memory");
	if (invalid)
		return false;
	return test_bit(mfn >> VALID_SHIFT, valid);
}

void set_gpfn_from_mfn(unsigned long mfn, unsigned long gfn)
{
	machine_to_phys_mapping[mfn] = gfn;
}

void *map_domain_page(mfn_t mfn)
{
	return pdx_to_virt(mfn_x(mfn));
}

unsigned int find_next_bit(const unsigned long *map, unsigned int size, unsigned int from)
{
	for (; from < size; from++) {
		const unsigned long rest = map[from / 64] >> from % 64;

		if (rest)
			return min(from + __builtin_ctzl(rest), size);
		from |= 63;
	}
	return size;
}

void *test_xmalloc(size_t size)
{
	if (machine.no_memory_at >= 0 && machine.no_memory_at-- == 0)
		return NULL;
	machine.nr_allocated++;
	return malloc(size);
}

void test_xfree(void *p)
{
	machine.nr_allocated -= !!p;
	free(p);
}

unsigned long machine_alloc(unsigned int order)
{
	const unsigned long mask = (1UL << order) - 1, mfn = (machine.next + mask) & ~mask;

	if (mfn + mask >= machine.last)
		return 0;
	machine.next = mfn + mask + 1;
	return mfn;
}

static unsigned long alloc_table(void)
{
	if (machine.no_memory_at >= 0 && machine.no_memory_at-- == 0)
		return 0;
	if (machine.last == machine.next)
		return 0;
	machine.last--;
	memset(pdx_to_virt(machine.last), 0, PAGE_SIZE);
	return machine.last;
}

/* Entries */

#define NPT_TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)
#define EPT_TABLE	7UL
#define NPT_TYPE_SHIFT	52
#define NPT_NX		(1UL << 63)
#define EPT_WB		6

static bool is_present(uint64_t e)
{
	return e & (test_ept ? EPT_TABLE : _PAGE_PRESENT);
}

static bool is_table(uint64_t e, unsigned int level)
{
	return level && is_present(e) && !(e & _PAGE_PSE);
}

static p2m_type_t type_of(uint64_t e)
{
	const ept_entry_t ept = { .epte = e };

	if (!is_present(e))
		return p2m_mmio_dm;
	return test_ept ? ept.sa_p2mt : e >> NPT_TYPE_SHIFT & 0x7f;
}

static bool is_stale(uint64_t e)
{
	const ept_entry_t ept = { .epte = e };

	return is_present(e) && (test_ept ? ept.emt == MTRR_NUM_TYPES : !(e & _PAGE_USER));
}

static uint64_t leaf(unsigned long mfn, unsigned int level, p2m_type_t t, p2m_access_t a, int sve)
{
	uint64_t e = (mfn << PAGE_SHIFT) | (level ? _PAGE_PSE : 0);

	if (test_ept) {
		ept_entry_t ept = { .epte = e };

		ept.sa_p2mt = t;
		ept.access = a;
		ept.suppress_ve = !!sve;
		if (t != p2m_mmio_dm) {
			ept.r = 1;
			ept.w = t == p2m_ram_rw && a != p2m_access_r;
			ept.x = a == p2m_access_rwx;
			ept.a = ept.w;
			ept.d = ept.w;
			ept.emt = EPT_WB;
			ept.ipat = 1;
		}
		return ept.epte;
	}
	if (t == p2m_mmio_dm)
		return (uint64_t)t << NPT_TYPE_SHIFT | NPT_NX;
	return e | (uint64_t)t << NPT_TYPE_SHIFT | (NPT_TABLE & ~(t == p2m_ram_rw ? 0 : _PAGE_RW));
}

static uint64_t table_entry(unsigned long mfn)
{
	return mfn << PAGE_SHIFT | (test_ept ? EPT_TABLE : NPT_TABLE);
}

static uint64_t *entry_in(unsigned long table, unsigned long gfn, unsigned int level)
{
	return (uint64_t *)pdx_to_virt(table) + (gfn >> level * PAGETABLE_ORDER & (SUPERPAGE_PAGES - 1));
}

static uint64_t make_stale(uint64_t e)
{
	ept_entry_t ept = { .epte = e };

	if (!is_present(e))
		return e;
	if (!test_ept)
		return e & ~(uint64_t)_PAGE_USER;
	ept.emt = MTRR_NUM_TYPES;
	ept.recalc = 1;
	return ept.epte;
}

/* A leaf's entry that is up to date; log-dirty is off. */
uint64_t machine_fresh(uint64_t e)
{
	ept_entry_t ept = { .epte = e };

	if (!is_present(e))
		return e;
	if (!test_ept) {
		if (type_of(e) == p2m_ram_logdirty)
			e = (e & ~(0x7fUL << NPT_TYPE_SHIFT)) | _PAGE_RW;
		return e | _PAGE_USER;
	}
	if (ept.sa_p2mt == p2m_ram_logdirty) {
		ept.sa_p2mt = p2m_ram_rw;
		ept.w = 1;
	}
	ept.emt = EPT_WB;
	ept.ipat = 1;
	ept.recalc = 0;
	return ept.epte;
}

/* As do_recalc() and resolve_misconfig() do: what is above passes it on, the leaf is brought up to date. */
static int recalc(struct p2m_domain *p2m, unsigned long gfn)
{
	unsigned long table = p2m->phys_table.pfn;
	int done = 0;

	machine.now.recalcs++;
	for (unsigned int level = TOP_LEVEL; ; level--) {
		uint64_t *e = entry_in(table, gfn, level);

		if (!is_present(*e))
			return done;
		if (!is_table(*e, level)) {
			uint64_t *first = test_ept && !level ? entry_in(table, 0, 0) : e;

			if (!is_stale(*e))
				return done;
			for (unsigned int i = 0; i < (first == e ? 1 : SUPERPAGE_PAGES); i++)
				if (is_stale(first[i]))
					first[i] = machine_fresh(first[i]);
			return 1;
		}
		table = entry_frame(*e);
		if (is_stale(*e)) {
			for (unsigned int i = 0; i < SUPERPAGE_PAGES; i++) {
				uint64_t *below = (uint64_t *)pdx_to_virt(table) + i;

				*below = make_stale(*below);
			}
			*e = table_entry(table);
			done = 1;
		}
	}
}

static int split_entry(uint64_t *e, unsigned int level)
{
	const unsigned long table = alloc_table();

	if (!table)
		return -ENOMEM;
	for (unsigned int i = 0; i < SUPERPAGE_PAGES; i++) {
		uint64_t *below = (uint64_t *)pdx_to_virt(table) + i;

		*below = *e + ((uint64_t)i << ((level - 1) * PAGETABLE_ORDER + PAGE_SHIFT));
		if (level == 1)
			*below &= ~(uint64_t)_PAGE_PSE;
	}
	*e = table_entry(table);
	machine.now.splits++;
	return 0;
}

static int set_entry(struct p2m_domain *p2m, gfn_t gfn_, mfn_t mfn, unsigned int order, p2m_type_t t, p2m_access_t a,
		     int sve)
{
	const unsigned long gfn = gfn_x(gfn_), last = gfn + (1UL << order) - 1;
	unsigned long table = p2m->phys_table.pfn;
	unsigned int level;

	for (level = TOP_LEVEL; level > order / PAGETABLE_ORDER; level--) {
		uint64_t *e = entry_in(table, gfn, level);

		if (!is_present(*e)) {
			const unsigned long below = alloc_table();

			if (!below)
				return -ENOMEM;
			*e = table_entry(below);
		} else if (!is_table(*e, level)) {
			const int rc = split_entry(e, level);

			if (rc)
				return rc;
		}
		table = entry_frame(*e);
	}
	*entry_in(table, gfn, level) = leaf(mfn_x(mfn), level, t, a, sve);
	p2m->max_mapped_pfn = max(p2m->max_mapped_pfn, last);
	return 0;
}

uint64_t *machine_entry(struct domain *d, unsigned long gfn, unsigned int *order)
{
	unsigned long table = d->arch.p2m->phys_table.pfn;

	for (unsigned int level = TOP_LEVEL; ; level--) {
		uint64_t *e = entry_in(table, gfn, level);

		if (!is_present(*e) || !is_table(*e, level)) {
			*order = level * PAGETABLE_ORDER;
			return is_present(*e) || !level ? e : NULL;
		}
		table = entry_frame(*e);
	}
}

static mfn_t get_entry(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t *t, p2m_access_t *a, p2m_query_t q,
		       unsigned int *order, bool *sve)
{
	unsigned int own_order;
	const uint64_t *e = machine_entry(p2m->domain, gfn_x(gfn), &own_order);
	const ept_entry_t ept = { .epte = e ? *e : 0 };

	(void)q;
	if (order)
		*order = own_order;
	*a = test_ept ? ept.access : p2m_access_rwx;
	if (sve)
		*sve = test_ept ? ept.suppress_ve : true;
	*t = e ? type_of(*e) : p2m_mmio_dm;
	if (!e || !is_present(*e))
		return INVALID_MFN;
	if (is_stale(*e) && *t == p2m_ram_logdirty)
		*t = p2m_ram_rw;
	return _mfn(entry_frame(*e) + (gfn_x(gfn) & ((1UL << own_order) - 1)));
}

void machine_make_stale(struct domain *d, unsigned long gfn, unsigned int order)
{
	unsigned long table = d->arch.p2m->phys_table.pfn;
	uint64_t *e;

	for (unsigned int level = TOP_LEVEL; ; level--) {
		e = entry_in(table, gfn, level);
		if (!is_table(*e, level) || level * PAGETABLE_ORDER == order)
			break;
		table = entry_frame(*e);
	}
	*e = make_stale(*e);
}

void machine_populate(struct domain *d, unsigned long gfn, unsigned long mfn, unsigned int order, p2m_type_t type)
{
	if (set_entry(d->arch.p2m, _gfn(gfn), _mfn(mfn), order, type, p2m_access_rwx, true)) {
		fprintf(stderr, "the machine is too small\n");
		exit(1);
	}
	for (unsigned long i = 0; i < 1UL << order; i++) {
		struct page_info *pg = pdx_to_page(mfn + i);

		pg->count_info = PGC_allocated | 1;
		/* What a device model's mapping leaves behind */
		pg->u.inuse.type_info = PGT_writable_page | PGT_validated;
		page_set_owner(pg, d);
		machine_to_phys_mapping[mfn + i] = gfn + i;
		page_list_add_tail(pg, &d->page_list);
	}
	d->tot_pages += 1UL << order;
}

/* Order: pause, P2M locks, page_alloc locks, each with the lower domid first; and the flush within. */

static struct domain *other(const struct domain *d)
{
	return machine.d[d == machine.d[0]];
}

static bool may_lock(const struct domain *d, bool other_locked)
{
	return !other_locked || other(d)->domain_id < d->domain_id;
}

void domain_pause(struct domain *d)
{
	if (d->arch.p2m->locked || other(d)->arch.p2m->locked)
		BAD("a domain is paused with a lock held");
	d->paused++;
	if (other(d)->paused) {
		memset(&machine.now, 0, sizeof(machine.now));
		machine.pauses++;
	}
}

void domain_unpause(struct domain *d)
{
	if (d->arch.p2m->locked || other(d)->arch.p2m->locked)
		BAD("a domain runs with a lock held");
	if (!d->paused)
		BAD("a domain that is not paused is unpaused");
	d->paused--;
	if (other(d)->paused)
		return;
	machine.most.splits = max(machine.most.splits, machine.now.splits);
	machine.most.recalcs = max(machine.most.recalcs, machine.now.recalcs);
	if (machine.unpaused)
		machine.unpaused();
}

void p2m_lock(struct p2m_domain *p2m)
{
	if (!p2m->domain->paused || !other(p2m->domain)->paused)
		BAD("a P2M is locked before both domains are paused");
	if (p2m->locked || !may_lock(p2m->domain, other(p2m->domain)->arch.p2m->locked))
		BAD("the P2M locks are taken in the wrong order");
	p2m->locked = true;
	p2m->synced = false;
}

void p2m_tlb_flush_sync(struct p2m_domain *p2m)
{
	if (!p2m->locked)
		BAD("the P2M is synced without its lock");
	p2m->synced = true;
}

void p2m_unlock(struct p2m_domain *p2m)
{
	if (!p2m->locked || p2m->domain->page_alloc_lock)
		BAD("the P2M is unlocked too early");
	if (!p2m->synced || p2m->defer_nested_flush)
		BAD("the P2M is unlocked before it is synced");
	p2m->locked = false;
}

void nrspin_lock(bool *lock)
{
	struct domain *d = (struct domain *)((char *)lock - offsetof(struct domain, page_alloc_lock));

	if (!d->arch.p2m->locked || !other(d)->arch.p2m->locked)
		BAD("page_alloc_lock is taken before the P2M locks");
	if (*lock || !may_lock(d, other(d)->page_alloc_lock))
		BAD("the page_alloc locks are taken in the wrong order");
	*lock = true;
}

void nrspin_unlock(bool *lock)
{
	if (!*lock)
		BAD("page_alloc_lock is not held");
	*lock = false;
}

void flush_all(unsigned int flags)
{
	if (flags != (FLUSH_TLB | FLUSH_HVM_ASID_CORE))
		BAD("not all is flushed");
	if (!machine.d[0]->page_alloc_lock || !machine.d[1]->page_alloc_lock)
		BAD("the flush is not under the page_alloc locks");
	machine.flushes++;
	if (machine.at_flush)
		machine.at_flush();
}

/* The call */

s_time_t test_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

struct domain *rcu_lock_domain_by_any_id(domid_t domid)
{
	struct domain *all[] = { machine.d[0], machine.d[1], machine.dom0 };

	for (unsigned int i = 0; i < 3; i++)
		if (all[i]->domain_id == domid)
			return all[i];
	return NULL;
}

int xsm_p2m_swap(int action, struct domain *a, struct domain *b)
{
	(void)a;
	(void)b;
	return action == XSM_PRIV ? 0 : -EPERM;
}

bool hypercall_preempt_check(void)
{
	return machine.preempt;
}

long test_continuation(unsigned long cmd, void *arg)
{
	(void)arg;
	if (cmd != XENMEM_p2m_swap)
		BAD("another hypercall is to be continued");
	machine.continued = true;
	machine.continuations++;
	return 0;
}

long machine_swap(struct xen_p2m_swap *op)
{
	const __guest_handle_xen_p2m_swap_t arg = { .p = op };
	long rc;

	do {
		machine.continued = false;
		rc = p2m_swap_memop(arg);
	} while (machine.continued);
	if (machine.nr_allocated)
		BAD("memory is left behind");
	if (machine.d[0]->paused || machine.d[1]->paused)
		BAD("a domain is left paused");
	return rc;
}

static struct domain *make_domain(domid_t id)
{
	struct domain *d = pdx_to_virt(machine_alloc(0));
	struct p2m_domain *p2m = pdx_to_virt(machine_alloc(0));

	d->domain_id = id;
	d->vcpu.domain = d;
	d->arch.p2m = p2m;
	p2m->domain = d;
	p2m->phys_table.pfn = alloc_table();
	p2m->set_entry = set_entry;
	p2m->get_entry = get_entry;
	p2m->recalc = recalc;
	return d;
}

void machine_create(unsigned long nr_frames, bool ept)
{
	map(FRAMETABLE_VIRT_START, nr_frames * sizeof(struct page_info));
	map(RDWR_MPT_VIRT_START, nr_frames * sizeof(unsigned long));
	map(DIRECTMAP_VIRT_START, nr_frames * PAGE_SIZE);

	test_ept = ept;
	memset(&machine, 0, sizeof(machine));
	memset(valid, 0xff, sizeof(valid));
	machine.nr_frames = nr_frames;
	machine.next = 1;
	machine.last = nr_frames;
	machine.no_memory_at = -1;
	machine.dom0 = make_domain(0);
	machine.dom0->control = true;
	machine.dom0->pv = true;
	/* B's domid is the lower one: the order of locks is not that of the call. */
	machine.d[0] = make_domain(2);
	machine.d[1] = make_domain(1);
	current = &machine.dom0->vcpu;
	p2m_swap_set_pause(1024);
}

void machine_destroy(void)
{
	munmap(frame_table, machine.nr_frames * sizeof(struct page_info));
	munmap(machine_to_phys_mapping, machine.nr_frames * sizeof(unsigned long));
	munmap((void *)DIRECTMAP_VIRT_START, machine.nr_frames * PAGE_SIZE);
}
