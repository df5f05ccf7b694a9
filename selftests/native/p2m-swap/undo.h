/* SPDX-License-Identifier: GPL-2.0 */
/* vmbeam_host.ko's undo log, without the kernel's types. */
#ifndef _TEST_UNDO_H
#define _TEST_UNDO_H

#include <stdbool.h>
#include <stdint.h>

void undo_begin(void);
void undo_end(void);

/* Room for as many runs; then a run of pairs that were swapped, or, if @kept, excluded. */
void undo_reserve(uint32_t nr_runs);
void undo_add(uint64_t gfn_a, uint64_t gfn_b, uint32_t nr, bool kept);

/* The newest run, which is taken out. Returns false if there is none. */
bool undo_take(uint64_t *gfn_a, uint64_t *gfn_b, uint32_t *nr, bool *kept);

#endif /* _TEST_UNDO_H */
