// SPDX-License-Identifier: GPL-2.0
/* Makes an export what its domain has: what has gone is taken out of it, and what has come is pinned. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "frames.h"
#include "hold.h"
#include "vmbeam.h"
#include "work.h"

#define ADD_BATCH	4096

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
	rc = rc ?: frames_read(r, fill->domid, fill->m2p, &now);
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

int export_fill(struct request *r, struct export *e, uint32_t domid, bool m2p)
{
	const struct fill fill = { .r = r, .e = e, .domid = domid, .m2p = m2p };
	char key[40];

	snprintf(key, sizeof(key), "export-fill %llu", (unsigned long long)e->id);
	if (!e->filled)
		e->filled = work_share(r, sizeof(*e->filled));
	if (!e->filled)
		return -ENOMEM;
	return work_run(r, key, fill_work, &fill, e->fd);
}
