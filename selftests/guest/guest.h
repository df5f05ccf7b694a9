/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the selftests of vmbeam_guest.ko share: thin calls, and a small PV domain of the test's own.
 *
 * The domain has memory and nothing else: no vCPU, no kernel, no toolstack state. That is enough for pinning, and it
 * can be destroyed at will.
 */
#ifndef _SELFTESTS_GUEST_H
#define _SELFTESTS_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>

#include <linux/vmbeam.h>

/* Not a contiguous range, so that the order and the ends of extents mean something. */
#define BARE_FRAMES	48
#define BARE_FIRST_PFN	0x100

struct bare {
	xc_interface *xch;
	xenforeignmemory_handle *fmem;
	uint32_t domid;
	xen_pfn_t mfn[BARE_FRAMES];	/* of pfn BARE_FIRST_PFN + i */
};

static inline int bare_gone(struct bare *d)
{
	xc_domaininfo_t info;

	return xc_domain_getinfo_single(d->xch, d->domid, &info) < 0;
}

static inline bool bare_dying(struct bare *d)
{
	xc_domaininfo_t info;

	return !xc_domain_getinfo_single(d->xch, d->domid, &info) && (info.flags & XEN_DOMINF_dying);
}

static inline bool bare_goes(struct bare *d)
{
	const struct timespec tick = { .tv_nsec = 50 * 1000 * 1000 };
	int i;

	for (i = 0; i < 400 && !bare_gone(d); i++)
		nanosleep(&tick, NULL);
	return bare_gone(d);
}

static inline int bare_open(struct bare *d)
{
	d->domid = 0;
	d->xch = xc_interface_open(NULL, NULL, 0);
	d->fmem = xenforeignmemory_open(NULL, 0);
	return d->xch && d->fmem ? 0 : -1;
}

static inline int bare_create(struct bare *d)
{
	struct xen_domctl_createdomain config = {
		.max_vcpus = 1,
		.max_evtchn_port = 1023,
		.max_grant_frames = -1,
		.max_maptrack_frames = -1,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
	};
	int i;

	if (bare_open(d) || xc_domain_create(d->xch, &d->domid, &config))
		return -1;
	for (i = 0; i < BARE_FRAMES; i++)
		d->mfn[i] = BARE_FIRST_PFN + i;
	if (xc_domain_setmaxmem(d->xch, d->domid, (BARE_FRAMES + 256) * 4) ||
	    xc_domain_populate_physmap_exact(d->xch, d->domid, BARE_FRAMES, 0, 0, d->mfn))
		return -1;
	return 0;
}

/* Fills, or checks, frame i with what only frame i has. Returns how many words differ, or -1. */
static inline int bare_pattern(struct bare *d, int i, bool fill)
{
	xen_pfn_t mfn = d->mfn[i];
	int err = 0, bad = 0;
	uint64_t *p;
	size_t w;

	p = xenforeignmemory_map(d->fmem, d->domid, fill ? PROT_READ | PROT_WRITE : PROT_READ, 1, &mfn, &err);
	if (!p)
		return -1;
	if (err) {
		xenforeignmemory_unmap(d->fmem, p, 1);
		errno = -err;
		return -1;
	}
	for (w = 0; w < XC_PAGE_SIZE / sizeof(*p); w++) {
		uint64_t want = 0x9e3779b97f4a7c15ULL * (i * 512 + w + 1) ^ mfn;

		if (fill)
			p[w] = want;
		else
			bad += p[w] != want;
	}
	xenforeignmemory_unmap(d->fmem, p, 1);
	return bad;
}

static inline int dev_open(void)
{
	return open("/dev/vmbeam", O_RDWR | O_CLOEXEC);
}

static inline int export_create(int dev, uint32_t domid, uint64_t *id)
{
	struct vmbeam_export_create c = { .size = sizeof(c), .domid = domid };

	if (ioctl(dev, VMBEAM_EXPORT_CREATE, &c))
		return -1;
	if (id)
		*id = c.id;
	return c.out_fd;
}

/* Returns how many were pinned, or -1. */
static inline int export_add(int fd, const struct vmbeam_frame *frames, uint32_t nr, uint8_t *status)
{
	struct vmbeam_export_add a = {
		.size = sizeof(a), .frames = (uintptr_t)frames, .nr = nr, .status = (uintptr_t)status,
	};

	return ioctl(fd, VMBEAM_EXPORT_ADD, &a) ? -1 : (int)a.nr_pinned;
}

static inline int export_remove(int fd, const __u64 *pfns, uint32_t nr)
{
	struct vmbeam_export_remove r = { .size = sizeof(r), .pfns = (uintptr_t)pfns, .nr = nr };

	return ioctl(fd, VMBEAM_EXPORT_REMOVE, &r) ? -1 : (int)r.nr_removed;
}

static inline int export_end(int fd, unsigned long cmd)
{
	struct vmbeam_export_end e = { .size = sizeof(e) };

	return ioctl(fd, cmd, &e);
}

static inline int export_info(int fd, struct vmbeam_export_info *info)
{
	*info = (struct vmbeam_export_info){ .size = sizeof(*info) };
	return ioctl(fd, VMBEAM_EXPORT_INFO, info);
}

static inline int export_open(int dev, uint64_t id)
{
	struct vmbeam_export_open o = { .size = sizeof(o), .id = id };

	return ioctl(dev, VMBEAM_EXPORT_OPEN, &o) ? -1 : o.out_fd;
}

/* How many exports there are, or -1; at most @nr are put in @infos. */
static inline int export_list(int dev, struct vmbeam_export_info *infos, uint32_t nr)
{
	struct vmbeam_export_list l = {
		.size = sizeof(l), .exports = (uintptr_t)infos, .nr = nr, .entry_size = sizeof(*infos),
	};

	return ioctl(dev, VMBEAM_EXPORT_LIST, &l) ? -1 : (int)l.nr;
}

/* Finds an export in the list: its state, or 0. */
static inline uint32_t export_listed(int dev, uint64_t id, struct vmbeam_export_info *out)
{
	static struct vmbeam_export_info infos[4096];
	int nr = export_list(dev, infos, 4096), i;

	for (i = 0; i < nr; i++) {
		if (infos[i].id != id)
			continue;
		if (out)
			*out = infos[i];
		return infos[i].state;
	}
	return 0;
}

/* A new export of the first @nr frames of the domain. */
static inline int export_of(int dev, struct bare *d, int nr, uint64_t *id)
{
	struct vmbeam_frame f[BARE_FRAMES];
	int fd = export_create(dev, d->domid, id), i;

	for (i = 0; i < nr; i++)
		f[i] = (struct vmbeam_frame){ .pfn = BARE_FIRST_PFN + i, .gfn = d->mfn[i] };
	if (fd >= 0 && nr && export_add(fd, f, nr, NULL) != nr) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Whatever a test left behind: its armed exports, its domain. */
static inline void bare_destroy(struct bare *d)
{
	static struct vmbeam_export_info infos[4096];
	int dev = dev_open(), nr = export_list(dev, infos, 4096), i;

	for (i = 0; i < nr && d->domid; i++) {
		int fd = infos[i].domid == d->domid ? export_open(dev, infos[i].id) : -1;

		if (fd >= 0) {
			export_end(fd, VMBEAM_EXPORT_RELEASE);
			close(fd);
		}
	}
	if (dev >= 0)
		close(dev);
	if (d->domid && d->xch && !bare_gone(d) && !bare_dying(d))
		xc_domain_destroy(d->xch, d->domid);
	if (d->fmem)
		xenforeignmemory_close(d->fmem);
	if (d->xch)
		xc_interface_close(d->xch);
}

/* Before any test: without the module there is nothing to test, and that is neither passed nor failed. */
static void __attribute__((constructor)) skip_without_module(void)
{
	struct vmbeam_query q = { .size = sizeof(q) };
	int dev = dev_open();

	if (dev < 0 || ioctl(dev, VMBEAM_QUERY, &q) || q.role != VMBEAM_ROLE_GUEST) {
		printf("TAP version 13\n1..0 # SKIP /dev/vmbeam of vmbeam_guest.ko is not there\n");
		exit(4);
	}
	close(dev);
}

#endif /* _SELFTESTS_GUEST_H */
