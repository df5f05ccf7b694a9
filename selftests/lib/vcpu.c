// SPDX-License-Identifier: GPL-2.0
/* A vCPU for a bare domain. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "domain.h"
#include "vcpu.h"

#include <xen/hvm/save.h>	/* wants xenctrl.h first */

#define CR0_PE 1u
#define CR0_ET 0x10u
/* Attributes of segments: present, 4 GiB, 32 bits; code, data; a busy task, for the processor insists on one. */
#define SEG_CODE 0xc9b
#define SEG_DATA 0xc93
#define SEG_TASK 0x8b
#define TASK_LIMIT 0x67

/* What xc_domain_hvm_setcontext() takes: records, each behind its descriptor. */
struct context {
	struct hvm_save_descriptor header_d;
	HVM_SAVE_TYPE(HEADER) header;
	struct hvm_save_descriptor cpu_d;
	HVM_SAVE_TYPE(CPU) cpu;
	struct hvm_save_descriptor end_d;
	HVM_SAVE_TYPE(END) end;
} __attribute__((packed));

/* The header says which Xen it is for: the domain's own one is right. */
static int get_header(uint32_t domid, struct context *ctx)
{
	int size = xc_domain_hvm_getcontext(xch, domid, NULL, 0);
	uint8_t *full;
	int rc = -1;

	if (size < 0)
		return -1;
	full = malloc(size);
	if (full && xc_domain_hvm_getcontext(xch, domid, full, size) > 0) {
		memcpy(ctx, full, sizeof(ctx->header_d) + sizeof(ctx->header));
		rc = 0;
	}
	free(full);
	return rc;
}

static int set_affinity(uint32_t domid)
{
	int i, rc, nr = xc_get_max_cpus(xch);
	xc_cpumap_t map;

	if (nr < 2)
		return nr < 0 ? -1 : 0;
	map = xc_cpumap_alloc(xch);
	if (!map)
		return -1;
	for (i = 1; i < nr; i++)
		xc_cpumap_setcpu(i, map);
	rc = xc_vcpu_setaffinity(xch, domid, 0, map, NULL, XEN_VCPUAFFINITY_HARD);
	free(map);
	return rc;
}

int vcpu_start(uint32_t domid, uint64_t gfn, const void *code, size_t size, uint32_t arg)
{
	struct context ctx = { 0 };
	void *page;

	if (size > XC_PAGE_SIZE) {
		errno = E2BIG;
		return -1;
	}
	page = domain_map(domid, gfn, 1, PROT_READ | PROT_WRITE);
	if (!page)
		return -1;
	memcpy(page, code, size);
	if (domain_unmap(page, 1))
		return -1;

	if (xc_domain_max_vcpus(xch, domid, 1) || set_affinity(domid) || get_header(domid, &ctx))
		return -1;
	ctx.cpu_d.typecode = HVM_SAVE_CODE(CPU);
	ctx.cpu_d.length = HVM_SAVE_LENGTH(CPU);
	ctx.cpu.cs_limit = ~0u;
	ctx.cpu.ds_limit = ~0u;
	ctx.cpu.es_limit = ~0u;
	ctx.cpu.ss_limit = ~0u;
	ctx.cpu.cs_arbytes = SEG_CODE;
	ctx.cpu.ds_arbytes = SEG_DATA;
	ctx.cpu.es_arbytes = SEG_DATA;
	ctx.cpu.ss_arbytes = SEG_DATA;
	ctx.cpu.tr_limit = TASK_LIMIT;
	ctx.cpu.tr_arbytes = SEG_TASK;
	ctx.cpu.cr0 = CR0_PE | CR0_ET;
	ctx.cpu.rflags = 2;
	ctx.cpu.rip = gfn * XC_PAGE_SIZE;
	ctx.cpu.rsi = arg;
	ctx.end_d.typecode = HVM_SAVE_CODE(END);
	ctx.end_d.length = HVM_SAVE_LENGTH(END);
	if (xc_domain_hvm_setcontext(xch, domid, (uint8_t *)&ctx, sizeof(ctx)))
		return -1;
	return xc_domain_unpause(xch, domid);
}
