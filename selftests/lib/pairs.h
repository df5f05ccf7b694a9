/* SPDX-License-Identifier: GPL-2.0 */
/* Lists of pairs to measure swaps with. The caller frees them; NULL without memory. */
#ifndef _SELFTESTS_PAIRS_H
#define _SELFTESTS_PAIRS_H

#include <stdint.h>

#include <linux/vmbeam.h>

/* @nr runs of @per_run frames, each at the same gfn on both sides. */
struct vmbeam_extent_pair *pairs_in_runs(uint32_t nr, uint32_t per_run);
/* @nr single frames, in a random order of either side's gfns. */
struct vmbeam_extent_pair *pairs_scattered(uint32_t nr);

#endif /* _SELFTESTS_PAIRS_H */
