// SPDX-License-Identifier: GPL-2.0
/* Lists of pairs to measure swaps with. */
#include <stdlib.h>

#include "pairs.h"

struct vmbeam_extent_pair *pairs_in_runs(uint32_t nr, uint32_t per_run)
{
	struct vmbeam_extent_pair *pairs = calloc(nr, sizeof(*pairs));
	uint64_t gfn = 0;

	for (uint32_t i = 0; pairs && i < nr; i++, gfn += per_run)
		pairs[i] = (struct vmbeam_extent_pair){ .gfn_a = gfn, .gfn_b = gfn, .nr = per_run };
	return pairs;
}

/* A random order of 0 .. n - 1. */
static uint32_t *shuffled(uint32_t n)
{
	uint32_t *v = malloc(n * sizeof(*v)), i, j, t;

	if (!v)
		return NULL;
	for (i = 0; i < n; i++)
		v[i] = i;
	for (i = n - 1; i; i--) {
		j = (((uint64_t)random() << 31) | random()) % (i + 1);
		t = v[i];
		v[i] = v[j];
		v[j] = t;
	}
	return v;
}

struct vmbeam_extent_pair *pairs_scattered(uint32_t nr)
{
	struct vmbeam_extent_pair *pairs = calloc(nr, sizeof(*pairs));
	uint32_t *a = shuffled(nr), *b = shuffled(nr);

	if (pairs && a && b) {
		for (uint32_t i = 0; i < nr; i++)
			pairs[i] = (struct vmbeam_extent_pair){ .gfn_a = a[i], .gfn_b = b[i], .nr = 1 };
	} else {
		free(pairs);
		pairs = NULL;
	}
	free(a);
	free(b);
	return pairs;
}
