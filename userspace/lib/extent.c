// SPDX-License-Identifier: GPL-2.0
/* Arithmetic on sorted lists of extents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbeam.h"

/* A pair's nr is 32 bits; runs are cut at a multiple of every page size. */
#define PAIR_MAX_NR (1U << 31)

static int grow(void **v, size_t *room, size_t nr, size_t size)
{
	size_t want = *room ? *room * 2 : 64;
	void *p;

	if (nr < *room)
		return 0;
	p = reallocarray(*v, want, size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*room = want;
	return 0;
}

static int bad_run(uint64_t first, uint64_t nr)
{
	return !nr || first + nr < first;
}

static int continues(const struct vmbeam_extent *e, uint64_t pfn, uint64_t gfn)
{
	return e->pfn + e->nr == pfn && e->gfn + e->nr == gfn;
}

void vmbeam_extents_free(struct vmbeam_extents *list)
{
	free(list->v);
	memset(list, 0, sizeof(*list));
}

void vmbeam_pairs_free(struct vmbeam_pairs *list)
{
	free(list->v);
	memset(list, 0, sizeof(*list));
}

int vmbeam_extents_add(struct vmbeam_extents *list, uint64_t pfn, uint64_t gfn, uint64_t nr)
{
	if (bad_run(pfn, nr) || bad_run(gfn, nr))
		return -EINVAL;
	if (list->nr && continues(&list->v[list->nr - 1], pfn, gfn)) {
		list->v[list->nr - 1].nr += nr;
		return 0;
	}
	if (grow((void **)&list->v, &list->room, list->nr, sizeof(*list->v)))
		return -ENOMEM;
	list->v[list->nr++] = (struct vmbeam_extent){ .pfn = pfn, .gfn = gfn, .nr = nr };
	return 0;
}

static int by_pfn(const void *a, const void *b)
{
	const struct vmbeam_extent *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

int vmbeam_extents_merge(struct vmbeam_extents *list)
{
	size_t to = 0;

	if (!list->nr)
		return 0;
	qsort(list->v, list->nr, sizeof(*list->v), by_pfn);
	for (size_t i = 1; i < list->nr; i++)
		if (list->v[i].pfn - list->v[i - 1].pfn < list->v[i - 1].nr)
			return -EEXIST;
	for (size_t i = 1; i < list->nr; i++) {
		if (continues(&list->v[to], list->v[i].pfn, list->v[i].gfn))
			list->v[to].nr += list->v[i].nr;
		else
			list->v[++to] = list->v[i];
	}
	list->nr = to + 1;
	return 0;
}

int vmbeam_extents_check(const struct vmbeam_extents *list)
{
	uint64_t next = 0;

	for (size_t i = 0; i < list->nr; i++) {
		const struct vmbeam_extent *e = &list->v[i];

		if (bad_run(e->pfn, e->nr) || bad_run(e->gfn, e->nr) || e->pfn < next)
			return -EINVAL;
		next = e->pfn + e->nr;
	}
	return 0;
}

uint64_t vmbeam_extents_frames(const struct vmbeam_extents *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->nr; i++)
		sum += list->v[i].nr;
	return sum;
}

int vmbeam_extents_subtract(const struct vmbeam_extents *list, const struct vmbeam_extents *without,
			    struct vmbeam_extents *out)
{
	size_t w = 0;

	for (size_t i = 0; i < list->nr; i++) {
		const struct vmbeam_extent *e = &list->v[i];
		uint64_t pfn = e->pfn, end = e->pfn + e->nr;

		while (w < without->nr && without->v[w].pfn + without->v[w].nr <= pfn)
			w++;
		/* A hole can reach into the next extent: it is looked at again there, so w stays. */
		for (size_t h = w; pfn < end; h++) {
			uint64_t to = end, hole_end = end;
			int rc;

			if (h < without->nr && without->v[h].pfn < end) {
				to = without->v[h].pfn;
				hole_end = without->v[h].pfn + without->v[h].nr;
			}
			if (to > pfn) {
				rc = vmbeam_extents_add(out, pfn, e->gfn + (pfn - e->pfn), to - pfn);
				if (rc)
					return rc;
			}
			pfn = hole_end;
		}
	}
	return 0;
}

int vmbeam_pairs_add(struct vmbeam_pairs *list, uint64_t gfn_a, uint64_t gfn_b, uint64_t nr)
{
	if (bad_run(gfn_a, nr) || bad_run(gfn_b, nr))
		return -EINVAL;
	while (nr) {
		struct vmbeam_extent_pair *last = list->nr ? &list->v[list->nr - 1] : NULL;
		uint64_t part;

		if (last && last->nr < PAIR_MAX_NR && last->gfn_a + last->nr == gfn_a &&
		    last->gfn_b + last->nr == gfn_b) {
			part = nr < PAIR_MAX_NR - last->nr ? nr : PAIR_MAX_NR - last->nr;
			last->nr += part;
		} else {
			part = nr < PAIR_MAX_NR ? nr : PAIR_MAX_NR;
			if (grow((void **)&list->v, &list->room, list->nr, sizeof(*list->v)))
				return -ENOMEM;
			list->v[list->nr++] = (struct vmbeam_extent_pair){
				.gfn_a = gfn_a, .gfn_b = gfn_b, .nr = part,
			};
		}
		gfn_a += part;
		gfn_b += part;
		nr -= part;
	}
	return 0;
}

uint64_t vmbeam_pairs_frames(const struct vmbeam_pairs *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->nr; i++)
		sum += list->v[i].nr;
	return sum;
}

int vmbeam_extents_join(const struct vmbeam_extents *a, const struct vmbeam_extents *b, struct vmbeam_pairs *out)
{
	size_t i = 0, j = 0;

	while (i < a->nr && j < b->nr) {
		const struct vmbeam_extent *x = &a->v[i], *y = &b->v[j];
		uint64_t from = x->pfn > y->pfn ? x->pfn : y->pfn;
		uint64_t x_end = x->pfn + x->nr, y_end = y->pfn + y->nr;
		uint64_t to = x_end < y_end ? x_end : y_end;

		if (from < to) {
			int rc = vmbeam_pairs_add(out, x->gfn + (from - x->pfn), y->gfn + (from - y->pfn), to - from);

			if (rc)
				return rc;
		}
		if (x_end <= y_end)
			i++;
		if (y_end <= x_end)
			j++;
	}
	return 0;
}
