// SPDX-License-Identifier: GPL-2.0
/*
 * Which frames a guest VM has, and their exports. The only file that knows libxenctrl. An export is its fd until it is
 * armed; an armed one is the module's and is opened again by its id.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "agent.h"
#include "hold.h"
#include "vmbeam.h"

#define MAX_EXPORTS	16
#define MAX_FRAMES	(16ULL << 20)	/* as the module: 64 GiB */
#define TYPE_BATCH	1024		/* XEN_DOMCTL_getpageframeinfo3 takes no more */
#define ADD_BATCH	4096

/* libxenctrl exports it, as libxenguest needs it, and keeps its prototype to itself. @arr: frames in, types out. */
int xc_get_pfn_type_batch(xc_interface *xch, uint32_t domid, unsigned int num, xen_pfn_t *arr);

struct frames {
	struct vmbeam_frame *v;
	size_t nr, room;
};

struct export {
	uint64_t id;
	int fd;			/* -1: the slot is free */
	uint32_t domid;
	char migration[MAX_MIGRATION + 1];
	struct filled *filled;
};

/* What the child that fills an export has to say; in memory that it shares with the agent. */
struct filled {
	uint64_t added, removed, refused;
};

static struct export exports[MAX_EXPORTS];
static bool ready;

static void exports_init(void)
{
	if (ready)
		return;
	for (int i = 0; i < MAX_EXPORTS; i++)
		exports[i].fd = -1;
	ready = true;
}

/* Memory that a child shares with the agent, zeroed; NULL with the error in @r. */
static void *share(struct request *r, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	fail(r, -ENOMEM, "out of memory");
	return NULL;
}

/* --- reading frames ---------------------------------------------------------------------------------------------- */

static int frames_add(struct frames *f, uint64_t pfn, uint64_t gfn)
{
	if (f->nr == f->room) {
		size_t room = f->room ? f->room * 2 : 65536;
		struct vmbeam_frame *v = realloc(f->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->v = v;
		f->room = room;
	}
	if (f->nr == MAX_FRAMES)
		return -E2BIG;
	f->v[f->nr++] = (struct vmbeam_frame){ .pfn = pfn, .gfn = gfn };
	return 0;
}

static void frames_free(struct frames *f)
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

/*
 * The guest VM's own table, which it may write while it runs: the module's pin and its check of the M2P decide what
 * is true. Ascending in pfn.
 */
static int read_p2m(xc_interface *xch, uint32_t domid, uint64_t shared_info, struct frames *f)
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
			rc = frames_add(f, pfn, mfn);
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

static int read_frames(struct request *r, uint32_t domid, bool m2p, struct frames *f)
{
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
		rc = read_m2p(xch, domid, info.shared_info_frame, pfns, f);
	else
		rc = read_p2m(xch, domid, info.shared_info_frame, f);
	xc_interface_close(xch);
	if (rc && !*r->error)
		fail(r, rc, "the frames of domain %u cannot be read from its %s: %s", domid, m2p ? "M2P" : "P2M",
		     strerror(-rc));
	if (!rc && !f->nr)
		rc = fail(r, -ENODATA, "domain %u has no frames", domid);
	return rc;
}

/* --- how they lie ------------------------------------------------------------------------------------------------ */

#define SUPERPAGE_FRAMES	512

/* What the child that counts has to say; in memory that it shares with the agent. */
struct shape {
	uint32_t domid;
	uint64_t frames, large;
};

struct shape_job {
	struct request *r;
	struct shape *shape;
	uint32_t domid;
};

/* Are the first of these, at least a superpage's, one that is aligned on both sides? Only such go in one piece. */
static bool is_superpage(const struct vmbeam_frame *f)
{
	if (f->pfn % SUPERPAGE_FRAMES || f->gfn % SUPERPAGE_FRAMES)
		return false;
	for (unsigned int i = 1; i < SUPERPAGE_FRAMES; i++)
		if (f[i].pfn != f->pfn + i || f[i].gfn != f->gfn + i)
			return false;
	return true;
}

static int shape_work(const void *arg)
{
	const struct shape_job *job = arg;
	struct shape *s = job->shape;
	struct frames f = {};
	int rc = read_frames(job->r, job->domid, false, &f);

	if (rc) {
		fprintf(stderr, "%s\n", job->r->error);
		return rc;
	}
	*s = (struct shape){ .domid = job->domid, .frames = f.nr };
	for (size_t i = 0; i + SUPERPAGE_FRAMES <= f.nr; i++)
		if (is_superpage(f.v + i)) {
			s->large += SUPERPAGE_FRAMES;
			i += SUPERPAGE_FRAMES - 1;
		}
	frames_free(&f);
	return 0;
}

int op_guest_frames(struct request *r)
{
	static struct shape *shape;
	struct shape_job job = { .r = r };
	char key[40];
	int rc = get_domid(r, &job.domid);

	if (rc)
		return rc;
	if (!shape)
		shape = share(r, sizeof(*shape));
	if (!shape)
		return -ENOMEM;
	job.shape = shape;
	snprintf(key, sizeof(key), "guest-frames %u", job.domid);
	rc = work_run(r, key, shape_work, &job, -1);
	if (rc || r->again)
		return rc;
	if (shape->domid != job.domid)
		return fail(r, -EAGAIN, "the frames of another domain were counted meanwhile: ask again");
	put_number(r, "frames", shape->frames);
	put_number(r, "large", shape->large);
	return 0;
}

/* --- exports ----------------------------------------------------------------------------------------------------- */

static void export_close(struct export *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->filled)
		munmap(e->filled, sizeof(*e->filled));
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}

static struct export *export_slot(void)
{
	exports_init();
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd < 0)
			return &exports[i];
	return NULL;
}

/* 0, -ENOENT, or -errno. Told as an error in @r. */
static int export_get(struct request *r, struct export **out)
{
	struct export *e;
	uint64_t id;
	int dev, fd, rc;

	rc = get_number(r, "export", INT64_MAX, &id);
	if (rc)
		return rc;
	exports_init();
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd >= 0 && exports[i].id == id) {
			*out = &exports[i];
			return 0;
		}

	e = export_slot();
	if (!e)
		return fail(r, -EMFILE, "more than %d exports are open: release some", MAX_EXPORTS);
	dev = vmbeam_open();
	if (dev < 0)
		return fail(r, dev, "/dev/vmbeam does not open: %s", strerror(-dev));
	fd = vmbeam_export_open(dev, id);
	close(dev);
	if (fd < 0)
		return fail(r, fd, "there is no export %llu here, or it was never armed: %s", (unsigned long long)id,
			    strerror(-fd));
	e->fd = fd;
	e->id = id;
	*out = e;
	return 0;
}

static int put_export(struct request *r, struct export *e)
{
	struct vmbeam_export_info info;
	int rc = vmbeam_export_info(e->fd, &info);

	if (rc < 0)
		return fail(r, rc, "export %llu cannot be looked at: %s", (unsigned long long)e->id, strerror(-rc));
	put_number(r, "export", e->id);
	put_number(r, "frames", info.nr_frames);
	put_number(r, "extents", info.nr_extents);
	put_number(r, "refused", e->filled->refused);
	return 0;
}

static int export_create(struct request *r, uint32_t domid, const char *migration, struct export **out)
{
	struct export *e = export_slot();
	int dev, fd;

	if (!e)
		return fail(r, -EMFILE, "more than %d exports are open: release some", MAX_EXPORTS);
	dev = vmbeam_open();
	if (dev < 0)
		return fail(r, dev, "/dev/vmbeam does not open: %s; load vmbeam_guest.ko in this host VM",
			    strerror(-dev));
	fd = vmbeam_export_create(dev, domid, &e->id);
	close(dev);
	if (fd < 0)
		return fail(r, fd, "no export of domain %u can be made: %s", domid, strerror(-fd));
	e->fd = fd;
	e->domid = domid;
	snprintf(e->migration, sizeof(e->migration), "%s", migration);
	*out = e;
	return 0;
}

static int get_how(struct request *r, bool *m2p)
{
	const char *how;
	int rc = get_string(r, "how", 3, false, &how);

	if (rc)
		return rc;
	*m2p = !strcmp(how, "m2p");
	if (!*m2p && strcmp(how, "p2m"))
		return fail(r, -EINVAL, "\"how\" is p2m or m2p, not %s", how);
	return 0;
}

/* What the export has now, as single frames ascending in pfn. */
static int export_frames(struct request *r, struct export *e, struct frames *f)
{
	struct vmbeam_extent extents[1024];
	uint64_t first = 0;
	int n;

	while ((n = vmbeam_export_read(e->fd, first, extents, 1024)) > 0) {
		for (int i = 0; i < n; i++)
			for (uint64_t k = 0; k < extents[i].nr; k++) {
				int rc = frames_add(f, extents[i].pfn + k, extents[i].gfn + k);

				if (rc)
					return fail(r, rc, "export %llu is too large: %s", (unsigned long long)e->id,
						    strerror(-rc));
			}
		first += n;
	}
	return n < 0 ? fail(r, n, "export %llu cannot be read: %s", (unsigned long long)e->id, strerror(-n)) : 0;
}

/* Merges the two ascending lists: @gone gets the pfns that are only in @old or have another gfn now, @came likewise. */
static int compare(const struct frames *old, const struct frames *now, uint64_t **gone, size_t *nr_gone,
		   struct frames *came)
{
	size_t i = 0, k = 0;
	int rc = 0;

	*nr_gone = 0;
	*gone = malloc((old->nr ?: 1) * sizeof(**gone));
	if (!*gone)
		return -ENOMEM;
	while (!rc && (i < old->nr || k < now->nr)) {
		bool has_old = i < old->nr && (k == now->nr || old->v[i].pfn <= now->v[k].pfn);
		bool has_now = k < now->nr && (i == old->nr || now->v[k].pfn <= old->v[i].pfn);

		if (!(has_old && has_now && old->v[i].gfn == now->v[k].gfn)) {
			if (has_old)
				(*gone)[(*nr_gone)++] = old->v[i].pfn;
			if (has_now)
				rc = frames_add(came, now->v[k].pfn, now->v[k].gfn);
		}
		i += has_old;
		k += has_now;
	}
	return rc;
}

static int export_apply(struct request *r, struct export *e, const uint64_t *gone, size_t nr_gone,
			const struct frames *came)
{
	uint8_t status[ADD_BATCH];
	uint32_t nr, done;
	int rc;

	/* Out first: a frame may have moved to another pfn. */
	for (size_t i = 0; i < nr_gone; i += nr) {
		nr = nr_gone - i < ADD_BATCH ? nr_gone - i : ADD_BATCH;
		rc = vmbeam_export_remove(e->fd, gone + i, nr, &done);
		if (rc < 0)
			return fail(r, rc, "frames of domain %u from pfn %llu on cannot be taken out of the export: %s",
				    e->domid, (unsigned long long)gone[i], strerror(-rc));
		e->filled->removed += done;
	}
	for (size_t i = 0; i < came->nr; i += nr) {
		nr = came->nr - i < ADD_BATCH ? came->nr - i : ADD_BATCH;
		rc = vmbeam_export_add(e->fd, came->v + i, nr, status, &done);
		if (rc < 0)
			return fail(r, rc, "the frames of domain %u from pfn %llu on cannot be pinned: %s", e->domid,
				    (unsigned long long)came->v[i].pfn, strerror(-rc));
		/* Those that were refused before are among the new ones, and counted again. */
		for (uint32_t k = 0; k < nr; k++)
			e->filled->refused += status[k] != VMBEAM_FRAME_PINNED;
		e->filled->added += done;
		hold_point("agent:export-half");
	}
	return 0;
}

struct fill {
	struct request *r;
	struct export *e;
	uint32_t domid;
	bool m2p;
};

/* In a child: a large guest VM has more frames than can be looked at or pinned before the daemon must hear something. */
static int fill_work(const void *arg)
{
	const struct fill *fill = arg;
	struct frames old = {}, now = {}, came = {};
	struct request *r = fill->r;
	struct export *e = fill->e;
	uint64_t *gone = NULL;
	size_t nr_gone = 0;
	int rc;

	e->fd = WORK_FD;
	memset(e->filled, 0, sizeof(*e->filled));
	rc = export_frames(r, e, &old);
	rc = rc ?: read_frames(r, fill->domid, fill->m2p, &now);
	if (!rc) {
		rc = compare(&old, &now, &gone, &nr_gone, &came);
		if (rc)
			fail(r, rc, "out of memory");
	}
	rc = rc ?: export_apply(r, e, gone, nr_gone, &came);
	if (rc)
		fprintf(stderr, "%s\n", r->error);
	free(gone);
	frames_free(&old);
	frames_free(&now);
	frames_free(&came);
	return rc;
}

/* Makes the export what the domain has now. Done once more, it finds nothing to do. */
static int export_fill(struct request *r, struct export *e, uint32_t domid, bool m2p)
{
	const struct fill fill = { .r = r, .e = e, .domid = domid, .m2p = m2p };
	char key[40];
	int rc;

	snprintf(key, sizeof(key), "export-fill %llu", (unsigned long long)e->id);
	if (!e->filled)
		e->filled = share(r, sizeof(*e->filled));
	if (!e->filled)
		return -ENOMEM;
	rc = work_run(r, key, fill_work, &fill, e->fd);
	return rc || r->again ? rc : put_export(r, e);
}

int op_export_begin(struct request *r)
{
	const char *migration;
	struct export *e = NULL;
	uint32_t domid;
	bool m2p;
	int rc;

	rc = get_migration(r, &migration);
	rc = rc ?: get_domid(r, &domid);
	rc = rc ?: get_how(r, &m2p);
	if (rc)
		return rc;

	/* The same export, asked for again: to go on with it, or because the answer was lost. */
	exports_init();
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd >= 0 && exports[i].domid == domid && !strcmp(exports[i].migration, migration))
			e = &exports[i];
	if (!e)
		rc = export_create(r, domid, migration, &e);
	/* One that could not be filled is released as any other: that, too, can take long. */
	return rc ?: export_fill(r, e, domid, m2p);
}

int op_export_sync(struct request *r)
{
	struct export *e;
	uint32_t domid;
	bool m2p = false;
	int rc;

	rc = get_domid(r, &domid);
	if (!rc && has_key(r, "how"))
		rc = get_how(r, &m2p);
	rc = rc ?: export_get(r, &e);
	if (rc)
		return rc;
	if (e->domid && e->domid != domid)
		return fail(r, -EINVAL, "export %llu is of domain %u, not %u", (unsigned long long)e->id, e->domid,
			    domid);
	rc = export_fill(r, e, domid, m2p);
	if (!rc && !r->again) {
		put_number(r, "added", e->filled->added);
		put_number(r, "removed", e->filled->removed);
	}
	return rc;
}

/* The module makes its list of extents at a read of the first one, and keeps it for the others. */
static int read_work(const void *arg)
{
	const struct export *e = arg;
	struct vmbeam_extent first;
	int rc = vmbeam_export_read(WORK_FD, 0, &first, 1);

	if (rc < 0)
		fprintf(stderr, "export %llu cannot be read: %s\n", (unsigned long long)e->id, strerror(-rc));
	return rc < 0;
}

static int release_work(const void *arg)
{
	const struct export *e = arg;
	int rc = vmbeam_export_release(WORK_FD);

	/* EBADFD: by a request whose answer was lost. */
	if (rc >= 0 || rc == -EBADFD)
		return 0;
	fprintf(stderr, "export %llu cannot be released: %s\n", (unsigned long long)e->id, strerror(-rc));
	return 1;
}

static int export_work(struct request *r, const char *op, struct export *e, int (*fn)(const void *arg))
{
	char key[40];

	snprintf(key, sizeof(key), "%s %llu", op, (unsigned long long)e->id);
	return work_run(r, key, fn, e, e->fd);
}

int op_export_read(struct request *r)
{
	const size_t room = MAX_BLOB_OUT / sizeof(struct vmbeam_extent);
	struct export *e;
	uint64_t offset;
	int rc;

	rc = get_number(r, "offset", INT64_MAX, &offset);
	rc = rc ?: export_get(r, &e);
	if (rc)
		return rc;
	if (offset % sizeof(struct vmbeam_extent))
		return fail(r, -EINVAL, "\"offset\" is not a multiple of %zu", sizeof(struct vmbeam_extent));
	if (!offset) {
		rc = export_work(r, "export-read", e, read_work);
		if (rc || r->again)
			return rc;
	}
	r->out_blob = malloc(room * sizeof(struct vmbeam_extent));
	if (!r->out_blob)
		return fail(r, -ENOMEM, "out of memory");
	rc = vmbeam_export_read(e->fd, offset / sizeof(struct vmbeam_extent), (struct vmbeam_extent *)r->out_blob, room);
	if (rc < 0)
		return fail(r, rc, "export %llu cannot be read: %s", (unsigned long long)e->id, strerror(-rc));
	r->out_len = rc * sizeof(struct vmbeam_extent);
	put_bool(r, "eof", !rc);
	return 0;
}

int op_export_arm(struct request *r)
{
	struct vmbeam_export_info info;
	struct export *e;
	int rc = export_get(r, &e);

	if (rc)
		return rc;
	rc = vmbeam_export_info(e->fd, &info);
	if (!rc && info.state == VMBEAM_EXPORT_ARMED)
		return 0;
	rc = rc ?: vmbeam_export_arm(e->fd);
	return rc < 0 ? fail(r, rc, "export %llu cannot be armed: %s", (unsigned long long)e->id, strerror(-rc)) : 0;
}

int op_export_release(struct request *r)
{
	struct export *e;
	int rc = export_get(r, &e);

	if (rc == -ENOENT || rc == -EBADFD) {
		/* Released before, or its fd went with an earlier agent and took it along. */
		*r->error = 0;
		return 0;
	}
	if (rc)
		return rc;
	rc = export_work(r, "export-release", e, release_work);
	if (!rc && !r->again)
		export_close(e);
	return rc;
}

bool exports_available(void)
{
	struct vmbeam_query query = {};
	int dev = vmbeam_open();
	bool is;

	if (dev < 0)
		return false;
	is = !vmbeam_query(dev, &query) && (query.features & VMBEAM_FEATURE_EXPORT);
	close(dev);
	return is;
}
