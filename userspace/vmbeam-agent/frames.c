// SPDX-License-Identifier: GPL-2.0
/* The only file that knows libxenctrl. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "frames.h"

#define TYPE_BATCH	1024		/* XEN_DOMCTL_getpageframeinfo3 takes no more */

/* libxenctrl exports it, as libxenguest needs it, and keeps its prototype to itself. @arr: frames in, types out. */
int xc_get_pfn_type_batch(xc_interface *xch, uint32_t domid, unsigned int num, xen_pfn_t *arr);

int frames_add(struct frames *f, uint64_t pfn, uint64_t gfn)
{
	if (f->nr == f->room) {
		size_t room = f->room ? f->room * 2 : 65536;
		struct vmbeam_frame *v = realloc(f->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->v = v;
		f->room = room;
	}
	if (f->nr == VMBEAM_EXPORT_MAX_FRAMES)
		return -E2BIG;
	f->v[f->nr++] = (struct vmbeam_frame){ .pfn = pfn, .gfn = gfn };
	return 0;
}

void frames_free(struct frames *f)
{
	free(f->v);
	memset(f, 0, sizeof(*f));
}

/* Is there a frame behind this answer of getpageframeinfo3? XTAB: none that the domain owns, or one of Xen's own. */
static bool is_frame(xen_pfn_t type)
{
	type &= XEN_DOMCTL_PFINFO_LTAB_MASK;
	return type != XEN_DOMCTL_PFINFO_XTAB && type != XEN_DOMCTL_PFINFO_BROKEN && type != XEN_DOMCTL_PFINFO_XALLOC;
}

struct walk {
	frames_visit *visit;
	void *data;
	uint64_t nr;		/* frames so far */
};

static int walk_on(struct walk *w, uint64_t pfn, uint64_t gfn)
{
	w->nr++;
	return w->visit(w->data, pfn, gfn);
}

/*
 * The guest VM's own table, which it may write while it runs: the module's pin and its check of the M2P decide what
 * is true. Ascending in pfn.
 */
static int walk_p2m(xc_interface *xch, uint32_t domid, uint64_t shared_info, struct walk *w)
{
	struct xc_domain_meminfo info = {};
	int rc = 0;

	if (xc_map_domain_meminfo(xch, domid, &info))
		return errno ? -errno : -EIO;
	for (unsigned long pfn = 0; !rc && pfn < info.p2m_size; pfn++) {
		uint64_t mfn;

		if (!is_frame(info.pfn_type[pfn]))
			continue;
		mfn = info.guest_width == 4 ? ((uint32_t *)info.p2m_table)[pfn] : ((uint64_t *)info.p2m_table)[pfn];
		if (mfn != shared_info)
			rc = walk_on(w, pfn, mfn);
	}
	xc_unmap_domain_meminfo(xch, &info);
	return rc;
}

/* Takes those of @batch that are the domain's own. */
static int add_owned(xc_interface *xch, uint32_t domid, const struct vmbeam_frame *batch, unsigned int nr,
		     struct frames *f)
{
	xen_pfn_t types[TYPE_BATCH];
	int rc = 0;

	for (unsigned int i = 0; i < nr; i++)
		types[i] = batch[i].gfn;
	if (nr && xc_get_pfn_type_batch(xch, domid, nr, types))
		return -errno;
	for (unsigned int i = 0; !rc && i < nr; i++)
		if (is_frame(types[i]))
			rc = frames_add(f, batch[i].pfn, batch[i].gfn);
	return rc;
}

static int by_pfn(const void *a, const void *b)
{
	const struct vmbeam_frame *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

/*
 * A domain that was restored and has not run has no P2M that can be walked: what the toolstack left of it is the
 * source's. But Xen's M2P has every frame, and tells whose it is when asked. The guest VM cannot have written to it
 * yet. While the restore is under way Xen does not know the domain's largest pfn either: @max_pfn is that, or 0.
 */
static int read_m2p(xc_interface *xch, uint32_t domid, uint64_t shared_info, xen_pfn_t max_pfn, struct frames *f)
{
	struct vmbeam_frame batch[TYPE_BATCH];
	unsigned long max_mfn;
	unsigned int nr = 0;
	xen_pfn_t *m2p;
	int rc = 0;

	if (xc_maximum_ram_page(xch, &max_mfn) || (!max_pfn && xc_domain_nr_gpfns(xch, domid, &max_pfn)))
		return -errno;
	m2p = xc_map_m2p(xch, max_mfn, PROT_READ, NULL);
	if (!m2p)
		return errno ? -errno : -EIO;
	for (unsigned long mfn = 0; !rc && mfn < max_mfn; mfn++) {
		uint64_t pfn = m2p[mfn];

		/* Beyond the domain's largest pfn are also the marks for "no pfn" and "shared". */
		if (pfn >= max_pfn || mfn == shared_info)
			continue;
		batch[nr++] = (struct vmbeam_frame){ .pfn = pfn, .gfn = mfn };
		if (nr == TYPE_BATCH) {
			rc = add_owned(xch, domid, batch, nr, f);
			nr = 0;
		}
	}
	rc = rc ?: add_owned(xch, domid, batch, nr, f);
	/* As libxenguest sizes it: whole 2 MiB pages of the M2P. */
	munmap(m2p, ((max_mfn * sizeof(*m2p)) + (2UL << 20) - 1) & ~((2UL << 20) - 1));
	if (f->nr)
		qsort(f->v, f->nr, sizeof(*f->v), by_pfn);
	return rc;
}

/* The M2P is ordered by mfn. */
static int walk_m2p(xc_interface *xch, uint32_t domid, uint64_t shared_info, xen_pfn_t max_pfn, struct walk *w)
{
	struct frames f = {};
	int rc = read_m2p(xch, domid, shared_info, max_pfn, &f);

	for (size_t i = 0; !rc && i < f.nr; i++)
		rc = walk_on(w, f.v[i].pfn, f.v[i].gfn);
	frames_free(&f);
	return rc;
}

int frames_walk(struct request *r, uint32_t domid, bool m2p, frames_visit *visit, void *data)
{
	struct walk w = { .visit = visit, .data = data };
	xc_interface *xch;
	xc_domaininfo_t info;
	uint64_t pfns = 0;
	int rc = 0;

	if (has_key(r, "pfns"))
		rc = get_number(r, "pfns", 1ULL << 40, &pfns);
	if (rc)
		return rc;
	xch = xc_interface_open(NULL, NULL, 0);
	if (!xch)
		return fail(r, -errno, "libxenctrl does not open: %s", strerror(errno));
	if (xc_domain_getinfo_single(xch, domid, &info) || (info.flags & XEN_DOMINF_dying))
		rc = fail(r, -ESRCH, "domain %u is gone", domid);
	else if (info.flags & XEN_DOMINF_hvm_guest)
		rc = fail(r, -EINVAL, "domain %u is not PV", domid);
	else if (m2p)
		rc = walk_m2p(xch, domid, info.shared_info_frame, pfns, &w);
	else
		rc = walk_p2m(xch, domid, info.shared_info_frame, &w);
	xc_interface_close(xch);
	if (rc && !*r->error)
		fail(r, rc, "the frames of domain %u cannot be read from its %s: %s", domid, m2p ? "M2P" : "P2M",
		     strerror(-rc));
	if (!rc && !w.nr)
		rc = fail(r, -ENODATA, "domain %u has no frames", domid);
	return rc;
}

static int add(void *data, uint64_t pfn, uint64_t gfn)
{
	return frames_add(data, pfn, gfn);
}

int frames_read(struct request *r, uint32_t domid, bool m2p, struct frames *f)
{
	return frames_walk(r, domid, m2p, add, f);
}
