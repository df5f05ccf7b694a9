// SPDX-License-Identifier: GPL-2.0
/* Makes an export what its domain has: what has gone is taken out of it, and what has come is pinned. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "frames.h"
#include "hold.h"
#include "saved_frames.h"
#include "vmbeam.h"
#include "work.h"

#define ADD_BATCH	4096

/* What the export has now. */
static int export_extents(struct request *r, const struct export *e, struct vmbeam_extents *list)
{
	struct vmbeam_extent extents[1024];
	uint64_t first = 0;
	int n;

	while ((n = vmbeam_export_read(e->fd, first, extents, 1024)) > 0) {
		for (int i = 0; i < n; i++) {
			int rc = vmbeam_extents_add(list, extents[i].pfn, extents[i].gfn, extents[i].nr);

			if (rc)
				return fail(r, rc, "export %llu cannot be read: %s", (unsigned long long)e->id, strerror(-rc));
		}
		first += n;
	}
	return n < 0 ? fail(r, n, "export %llu cannot be read: %s", (unsigned long long)e->id, strerror(-n)) : 0;
}

/*
 * A walk over what the domain has, beside what the export has: @gone gets the pfns that are only in the export or have another
 * gfn now, @came the frames likewise. Most are the same, and the guest VM stands still meanwhile: of these nothing is written down.
 */
struct changes {
	const struct vmbeam_extents *old;
	size_t at;		/* the extent that the walk has come to */
	uint64_t through;	/* frames of it */
	uint64_t *gone;
	size_t nr_gone, room_gone;
	struct frames came;
};

static int add_gone(struct changes *c, uint64_t pfn)
{
	if (c->nr_gone == c->room_gone) {
		size_t room = c->room_gone ? c->room_gone * 2 : 1024;
		uint64_t *gone = realloc(c->gone, room * sizeof(*gone));

		if (!gone)
			return -ENOMEM;
		c->gone = gone;
		c->room_gone = room;
	}
	c->gone[c->nr_gone++] = pfn;
	return 0;
}

/* Past the next frame of the export. */
static void step(struct changes *c)
{
	if (++c->through == c->old->v[c->at].nr) {
		c->at++;
		c->through = 0;
	}
}

static int compare(void *data, uint64_t pfn, uint64_t gfn)
{
	struct changes *c = data;

	while (c->at < c->old->nr) {
		const struct vmbeam_extent *x = &c->old->v[c->at];
		uint64_t old_pfn = x->pfn + c->through, old_gfn = x->gfn + c->through;

		if (old_pfn > pfn)
			break;
		step(c);
		if (old_pfn == pfn && old_gfn == gfn)
			return 0;
		if (add_gone(c, old_pfn))
			return -ENOMEM;
	}
	return frames_add(&c->came, pfn, gfn);
}

/* Behind the last frame that the domain has. */
static int compare_rest(struct request *r, struct changes *c)
{
	for (; c->at < c->old->nr; step(c))
		if (add_gone(c, c->old->v[c->at].pfn + c->through))
			return fail(r, -ENOMEM, "out of memory");
	return 0;
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
	const uint64_t *saved;	/* what a save left, of so many pfns; NULL: nothing */
	size_t nr_saved;
};

static int walk_saved(const struct fill *fill, struct changes *c)
{
	int rc = 0;

	for (size_t pfn = 0; !rc && pfn < fill->nr_saved; pfn++)
		if (fill->saved[pfn] != NO_FRAME)
			rc = compare(c, pfn, fill->saved[pfn]);
	return rc ? fail(fill->r, rc, "the frames of domain %u cannot be listed: %s", fill->domid, strerror(-rc)) : 0;
}

static int walk(const struct fill *fill, struct changes *c)
{
	return fill->saved ? walk_saved(fill, c) : frames_walk(fill->r, fill->domid, fill->m2p, compare, c);
}

/* In a child: a large guest VM has more frames than can be looked at or pinned before the daemon must hear something. */
static int fill_work(const void *arg)
{
	const struct fill *fill = arg;
	struct vmbeam_extents old = {};
	struct changes changes = { .old = &old };
	struct request *r = fill->r;
	struct export *e = fill->e;
	int rc;

	e->fd = WORK_FD;
	memset(e->filled, 0, sizeof(*e->filled));
	rc = export_extents(r, e, &old);
	rc = rc ?: walk(fill, &changes);
	rc = rc ?: compare_rest(r, &changes);
	rc = rc ?: export_apply(r, e, changes.gone, changes.nr_gone, &changes.came);
	if (rc)
		fprintf(stderr, "%s\n", r->error);
	free(changes.gone);
	frames_free(&changes.came);
	vmbeam_extents_free(&old);
	return rc;
}

int export_fill(struct request *r, struct export *e, uint32_t domid, bool m2p)
{
	struct fill fill = { .r = r, .e = e, .domid = domid, .m2p = m2p };
	char key[40];

	snprintf(key, sizeof(key), "export-fill %llu", (unsigned long long)e->id);
	if (!e->filled)
		e->filled = work_share(r, sizeof(*e->filled));
	if (!e->filled)
		return -ENOMEM;
	fill.saved = m2p ? NULL : saved_frames_get(domid, &fill.nr_saved);
	return work_run(r, key, fill_work, &fill, e->fd);
}
