// SPDX-License-Identifier: GPL-2.0
/* Bare HVM domains for tests. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "domain.h"
#include "../mfn/vmbeam_mfn.h"

#define WORDS (XC_PAGE_SIZE / sizeof(uint64_t))
/* Frames mapped at a time. */
#define CHUNK 512

/* The handle (UUID) of every domain that a test makes: so a later test finds what a killed one has left. */
static const uint8_t test_handle[16] = "vmbeam-selftest";

xc_interface *xch;
static xenforeignmemory_handle *fmem;

static void destroy_leftovers(void)
{
	xc_domaininfo_t info[16];
	uint32_t first = 1;
	int i, nr;

	while ((nr = xc_domain_getinfolist(xch, first, 16, info)) > 0) {
		for (i = 0; i < nr; i++)
			if (!memcmp(info[i].handle, test_handle, sizeof(test_handle)))
				xc_domain_destroy(xch, info[i].domain);
		first = info[nr - 1].domain + 1;
	}
}

int domain_info(uint32_t domid, xc_domaininfo_t *info)
{
	return xc_domain_getinfolist(xch, domid, 1, info) == 1 && info->domain == domid ? 0 : -1;
}

int domain_setup(void)
{
	xch = xc_interface_open(NULL, NULL, 0);
	fmem = xenforeignmemory_open(NULL, 0);
	if (!xch || !fmem)
		return -1;
	destroy_leftovers();
	return 0;
}

void domain_teardown(void)
{
	if (xch) {
		destroy_leftovers();
		xc_interface_close(xch);
	}
	if (fmem)
		xenforeignmemory_close(fmem);
	xch = NULL;
	fmem = NULL;
}

int domain_create_flags(uint32_t *domid, uint32_t flags, uint64_t max_frames)
{
	struct xen_domctl_createdomain config = {
		.flags = flags,
		.max_vcpus = 1,
		.max_evtchn_port = -1,
		.max_grant_frames = 1,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
		.arch.emulation_flags = flags & XEN_DOMCTL_CDF_hvm ? XEN_X86_EMU_LAPIC : 0,
	};

	memcpy(config.handle, test_handle, sizeof(test_handle));
	*domid = 0;
	if (xc_domain_create(xch, domid, &config))
		return -1;
	/* Some frames more than asked for: the shared info and the like do not count, but cost little either. */
	if (xc_domain_setmaxmem(xch, *domid, (max_frames + 16) * (XC_PAGE_SIZE / 1024)))
		return -1;
	/* For the P2M: every frame at 4 KiB, and every superpage torn. */
	if (flags & XEN_DOMCTL_CDF_hap &&
	    xc_set_paging_mempool_size(xch, *domid, (512 + max_frames / 128) * XC_PAGE_SIZE))
		return -1;
	return 0;
}

int domain_create(uint32_t *domid, uint64_t max_frames)
{
	return domain_create_flags(domid, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, max_frames);
}

uint64_t domain_heap_free(void)
{
	xc_physinfo_t info = { 0 };
	uint64_t last;

	do {
		last = info.free_pages;
		usleep(200000);
		if (xc_physinfo(xch, &info))
			return -1;
	} while (info.free_pages != last);
	return last;
}

int domain_destroy(uint32_t domid)
{
	return xc_domain_destroy(xch, domid);
}

/* What domain_populate() gives, or domain_depopulate() takes, @give or not. */
static int change_memory(uint32_t domid, uint64_t gfn, uint64_t nr, unsigned int order, bool give)
{
	xen_pfn_t first[CHUNK];
	uint64_t done = 0;

	while (done < nr) {
		unsigned int n = 0;

		for (; n < CHUNK && done < nr; done += 1UL << order)
			first[n++] = gfn + done;
		if (give ? xc_domain_populate_physmap_exact(xch, domid, n, order, 0, first) :
			   xc_domain_decrease_reservation_exact(xch, domid, n, order, first))
			return -1;
	}
	return 0;
}

int domain_populate(uint32_t domid, uint64_t gfn, uint64_t nr, unsigned int order)
{
	return change_memory(domid, gfn, nr, order, true);
}

int domain_depopulate(uint32_t domid, uint64_t gfn, uint64_t nr, unsigned int order)
{
	return change_memory(domid, gfn, nr, order, false);
}

int domain_punch(uint32_t domid, uint64_t gfn)
{
	xen_pfn_t frame = gfn;

	return xc_domain_decrease_reservation_exact(xch, domid, 1, 0, &frame);
}

int domain_grant(uint32_t domid, uint32_t ref, uint32_t to, uint64_t gfn)
{
	xenforeignmemory_resource_handle *res;
	void *addr = NULL;

	res = xenforeignmemory_map_resource(fmem, domid, XENMEM_resource_grant_table,
					    XENMEM_resource_grant_table_id_shared, 0, 1, &addr,
					    PROT_READ | PROT_WRITE, 0);
	if (!res)
		return -1;
	((grant_entry_v1_t *)addr)[ref] = (grant_entry_v1_t) {
		.flags = GTF_permit_access,
		.domid = to,
		.frame = gfn,
	};
	return xenforeignmemory_unmap_resource(fmem, res);
}

void *domain_map(uint32_t domid, uint64_t gfn, uint64_t nr, int prot)
{
	xen_pfn_t *frames = calloc(nr, sizeof(*frames));
	void *addr = NULL;
	uint64_t i;

	if (frames) {
		for (i = 0; i < nr; i++)
			frames[i] = gfn + i;
		addr = xenforeignmemory_map(fmem, domid, prot, nr, frames, NULL);
	}
	free(frames);
	return addr;
}

int domain_unmap(void *addr, uint64_t nr)
{
	return xenforeignmemory_unmap(fmem, addr, nr);
}

static uint64_t pattern(uint64_t seed, uint64_t gfn, unsigned int word)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + gfn * WORDS + word + 1;

	x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9;
	return x ^ x >> 29;
}

int domain_fill(uint32_t domid, uint64_t gfn, uint64_t nr, uint64_t seed)
{
	uint64_t done, i, n, *page;
	unsigned int word;

	for (done = 0; done < nr; done += n) {
		n = nr - done < CHUNK ? nr - done : CHUNK;
		page = domain_map(domid, gfn + done, n, PROT_READ | PROT_WRITE);
		if (!page)
			return -1;
		for (i = 0; i < n; i++)
			for (word = 0; word < WORDS; word++)
				page[i * WORDS + word] = pattern(seed, gfn + done + i, word);
		if (domain_unmap(page, n))
			return -1;
	}
	return 0;
}

static bool frame_right(const uint64_t *page, uint64_t seed, uint64_t gfn)
{
	unsigned int word;

	for (word = 0; word < WORDS; word++)
		if (page[word] != pattern(seed, gfn, word))
			return false;
	return true;
}

int64_t domain_wrong(uint32_t domid, uint64_t gfn, uint64_t nr, uint64_t seed, uint64_t origin)
{
	uint64_t done, i, n, *page;
	int64_t wrong = 0;

	for (done = 0; done < nr; done += n) {
		n = nr - done < CHUNK ? nr - done : CHUNK;
		page = domain_map(domid, gfn + done, n, PROT_READ);
		if (!page)
			return -1;
		for (i = 0; i < n; i++)
			wrong += !frame_right(page + i * WORDS, seed, origin + done + i);
		if (domain_unmap(page, n))
			return -1;
	}
	return wrong;
}

int domain_mfns(uint32_t domid, uint64_t gfn, uint64_t *mfns, uint32_t nr)
{
	struct vmbeam_mfn_query query = {
		.size = sizeof(query),
		.domid = domid,
		.nr = nr,
		.mfns = (uintptr_t)mfns,
	};
	uint64_t *gfns = calloc(nr, sizeof(*gfns));
	int fd, rc = -1;
	uint32_t i;

	if (!gfns)
		return -1;
	for (i = 0; i < nr; i++)
		gfns[i] = gfn + i;
	query.gfns = (uintptr_t)gfns;

	fd = open("/dev/vmbeam_mfn", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		rc = ioctl(fd, VMBEAM_MFN_QUERY, &query);
		close(fd);
	}
	free(gfns);
	return rc;
}
