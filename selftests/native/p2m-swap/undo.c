// SPDX-License-Identifier: GPL-2.0
/* All that is known here of kmod/host: the log's functions. */
#include "kernel.h"
#include "host.h"

#include "undo.h"

static struct vmbeam_log undo_log;

void *test_alloc(size_t size, gfp_t gfp)
{
	void *p = malloc(size);

	if (!p)
		abort();
	(void)gfp;
	return p;
}

void undo_begin(void)
{
	vmbeam_log_init(&undo_log);
}

void undo_end(void)
{
	vmbeam_log_free(&undo_log);
}

void undo_reserve(uint32_t nr_runs)
{
	if (vmbeam_log_reserve(&undo_log, nr_runs, GFP_KERNEL))
		abort();
}

void undo_add(uint64_t gfn_a, uint64_t gfn_b, uint32_t nr, bool kept)
{
	const struct vmbeam_run run = { .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr, .kept = kept };

	vmbeam_log_append(&undo_log, &run);
}

bool undo_take(uint64_t *gfn_a, uint64_t *gfn_b, uint32_t *nr, bool *kept)
{
	const struct vmbeam_run *run = vmbeam_log_last(&undo_log);

	if (!run)
		return false;
	*gfn_a = run->gfn_a;
	*gfn_b = run->gfn_b;
	*nr = run->nr;
	*kept = run->kept;
	vmbeam_log_cut(&undo_log, run->nr);
	return true;
}
