// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into a libxl-save-helper in place of libxencall and libxenforeignmemory: answers just the hypercalls that
 * saving and restoring a PV domain makes, from the file named by FAKE_XEN. Anything else is an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake-xen.h"

static struct fake *f;
static int fd = -1;

static int handle;

void *xencall_open(void *logger, unsigned int flags)
{
	(void)logger, (void)flags;
	fd = open(getenv("FAKE_XEN"), O_RDWR | O_CLOEXEC);
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || f == MAP_FAILED) {
		perror("FAKE_XEN");
		exit(99);
	}
	return &handle;
}

int xencall_close(void *h) { (void)h; return 0; }
void *xenforeignmemory_open(void *l, unsigned int fl) { (void)l, (void)fl; return &handle; }
int xenforeignmemory_close(void *h) { (void)h; return 0; }
void *xendevicemodel_open(void *l, unsigned int fl) { (void)l, (void)fl; return &handle; }
int xendevicemodel_close(void *h) { (void)h; return 0; }
int xencall_buffers_never_fault(void *h) { (void)h; return 1; }

void *xencall_alloc_buffer_pages(void *h, size_t n)
{
	(void)h;
	return aligned_alloc(4096, n * 4096);
}

void xencall_free_buffer_pages(void *h, void *p, size_t n) { (void)h, (void)n; free(p); }
void *xencall_alloc_buffer(void *h, size_t n) { (void)h; return malloc(n ? n : 1); }
void xencall_free_buffer(void *h, void *p) { (void)h; free(p); }

static int owned(uint64_t mfn)
{
	return mfn < FRAMES && f->type[mfn] != XEN_DOMCTL_PFINFO_XTAB;
}

void *xenforeignmemory_map(void *h, uint32_t dom, int prot, size_t n, const xen_pfn_t *mfns, int *err)
{
	uint8_t *va = mmap(NULL, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)h;
	for (size_t i = 0; i < n; i++) {
		int ok = mfns[i] < FRAMES && (dom == DOMID_XEN || owned(mfns[i]) || mfns[i] == f->shinfo);

		/* As Xen: no writable mapping of what is a page table. */
		if (ok && (prot & PROT_WRITE) && f->type[mfns[i]] & XEN_DOMCTL_PFINFO_LTAB_MASK && mfns[i] != f->shinfo)
			ok = 0;
		if (err)
			err[i] = ok ? 0 : -EINVAL;
		if (!ok && !err) {
			munmap(va, n * 4096);
			errno = EINVAL;
			return NULL;
		}
		if (ok)
			mmap(va + i * 4096, 4096, prot, MAP_SHARED | MAP_FIXED, fd,
			     offsetof(struct fake, ram) + mfns[i] * 4096);
	}
	return va;
}

int xenforeignmemory_unmap(void *h, void *p, size_t n) { (void)h; return munmap(p, n * 4096); }

void *xenforeignmemory_map_resource(void *h, domid_t d, unsigned int type, unsigned int id, unsigned long frame,
				    unsigned long n, void **addr, int prot, int flags)
{
	static uint8_t grants[4096];

	(void)h, (void)d, (void)type, (void)id, (void)frame, (void)n, (void)prot, (void)flags;
	f->grant_seeded++;
	*addr = grants;
	return grants;
}

int xenforeignmemory_unmap_resource(void *h, void *r) { (void)h, (void)r; return 0; }

static int fail(const char *what, uint64_t n)
{
	fprintf(stderr, "fake-xen: %s %llu is not known here\n", what, (unsigned long long)n);
	errno = ENOSYS;
	return -1;
}

static int domctl(struct xen_domctl *c)
{
	struct xen_domctl_getdomaininfo *info = &c->u.getdomaininfo;
	uint32_t vcpu = c->u.vcpucontext.vcpu;
	uint64_t *types = c->u.getpageframeinfo3.array.p;

	switch (c->cmd) {
	case XEN_DOMCTL_getdomaininfo:
		memset(info, 0, sizeof(*info));
		info->domain = c->domain;
		info->flags = f->hvm ? XEN_DOMINF_hvm_guest : 0;
		if (f->suspended)
			info->flags |= XEN_DOMINF_shutdown | SHUTDOWN_suspend << XEN_DOMINF_shutdownshift;
		info->shared_info_frame = f->shinfo;
		info->max_vcpu_id = 1;
		return 0;
	case XEN_DOMCTL_get_address_size:
		c->u.address_size.size = 64;
		return 0;
	case XEN_DOMCTL_getpageframeinfo3:
		if (c->u.getpageframeinfo3.num > 1024) {
			errno = E2BIG;
			return -1;
		}
		for (uint64_t i = 0; i < c->u.getpageframeinfo3.num; i++)
			types[i] = types[i] < FRAMES ? f->type[types[i]] : XEN_DOMCTL_PFINFO_XTAB;
		return 0;
	case XEN_DOMCTL_getvcpuinfo:
		c->u.getvcpuinfo.online = 1;
		return 0;
	case XEN_DOMCTL_getvcpucontext:
		memcpy(c->u.vcpucontext.ctxt.p, &f->vcpu[vcpu], sizeof(f->vcpu[0]));
		return 0;
	case XEN_DOMCTL_setvcpucontext:
		memcpy(&f->vcpu[vcpu], c->u.vcpucontext.ctxt.p, sizeof(f->vcpu[0]));
		f->vcpu_set[vcpu]++;
		return 0;
	case XEN_DOMCTL_get_ext_vcpucontext:
		c->u.ext_vcpucontext.size = 0;
		return 0;
	case XEN_DOMCTL_getvcpuextstate:
		c->u.vcpuextstate.xfeature_mask = 0;
		return 0;
	case XEN_DOMCTL_get_vcpu_msrs:
		c->u.vcpu_msrs.msr_count = 0;
		return 0;
	case XEN_DOMCTL_get_cpu_policy:
		c->u.cpu_policy.nr_leaves = c->u.cpu_policy.nr_msrs = 0;
		return 0;
	case XEN_DOMCTL_gettscinfo:
		memset(&c->u.tsc_info, 0, sizeof(c->u.tsc_info));
		return 0;
	case XEN_DOMCTL_set_cpu_policy:
	case XEN_DOMCTL_settscinfo:
	case XEN_DOMCTL_shadow_op:
		return 0;
	}
	return fail("domctl", c->cmd);
}

static long memory(unsigned int cmd, void *arg)
{
	struct xen_memory_reservation *r = arg;
	struct xen_machphys_mfn_list *list = arg;
	xen_pfn_t *at;

	switch (cmd) {
	case XENMEM_maximum_ram_page:
		return FRAMES - 1;
	case XENMEM_maximum_gpfn:
		return 0;
	case XENMEM_machphys_mfn_list:
		at = list->extent_start.p;
		at[0] = M2P_FRAME;
		list->nr_extents = 1;
		return 0;
	case XENMEM_populate_physmap:
		at = r->extent_start.p;
		for (xen_ulong_t i = 0; i < r->nr_extents; i++) {
			uint64_t pfn = at[i], nr = 1UL << r->extent_order;

			/* As Xen: a piece is aligned to its size. */
			at[i] = (f->next_free + nr - 1) & ~(nr - 1);
			if (at[i] + nr > FRAMES || (nr > 1 && !f->large_left))
				return i;
			f->large_left -= nr > 1;
			f->next_free = at[i] + nr;
			for (uint64_t j = 0; j < nr; j++) {
				f->type[at[i] + j] = XEN_DOMCTL_PFINFO_NOTAB;
				fake_m2p(f)[at[i] + j] = pfn + j;
			}
		}
		return r->nr_extents;
	}
	return fail("memory_op", cmd);
}

int xencall1(void *h, unsigned int op, uint64_t a)
{
	struct xen_sysctl *s = (void *)a;

	(void)h;
	if (op == __HYPERVISOR_domctl)
		return domctl((void *)a);
	if (op == __HYPERVISOR_sysctl && s->cmd == XEN_SYSCTL_get_cpu_policy) {
		s->u.cpu_policy.nr_leaves = 512;
		s->u.cpu_policy.nr_msrs = 64;
		return 0;
	}
	return fail("hypercall", op);
}

int xencall2(void *h, unsigned int op, uint64_t a, uint64_t b)
{
	struct multicall_entry *calls = (void *)a;

	(void)h;
	if (op == __HYPERVISOR_xen_version && a == XENVER_version)
		return 4 << 16 | 20;
	if (op != __HYPERVISOR_multicall)
		return fail("hypercall", op);
	/* How libxenctrl gets the whole of a long result. */
	for (uint64_t i = 0; i < b; i++) {
		if (calls[i].op != __HYPERVISOR_memory_op)
			return fail("multicall", calls[i].op);
		calls[i].result = memory(calls[i].args[0], (void *)calls[i].args[1]);
	}
	return 0;
}

long xencall2L(void *h, unsigned int op, uint64_t a, uint64_t b)
{
	(void)h;
	return op == __HYPERVISOR_memory_op ? memory(a, (void *)b) : fail("hypercall", op);
}

int xencall3(void *h, unsigned int op, uint64_t a, uint64_t b, uint64_t c)
{
	(void)h, (void)a, (void)b, (void)c;
	return fail("hypercall", op);
}

int xencall4(void *h, unsigned int op, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct mmuext_op *ops = (void *)a;

	(void)h, (void)c, (void)d;
	if (op != __HYPERVISOR_mmuext_op)
		return fail("hypercall", op);
	for (uint64_t i = 0; i < b; i++) {
		uint64_t mfn = ops[i].arg1.mfn;

		if (ops[i].cmd > MMUEXT_PIN_L4_TABLE || !owned(mfn)) {
			errno = EINVAL;
			return -1;
		}
		f->type[mfn] = XEN_DOMCTL_PFINFO_LPINTAB | (ops[i].cmd + 1) << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
		f->pins++;
	}
	return 0;
}
