// SPDX-License-Identifier: GPL-2.0
/* All that is known here of kmod/host: the log's functions. */
#include "kernel.h"
#include "host.h"

#include "undo.h"

static struct vmbeam_undo undo_log;

/* For cond_resched(). */
_Atomic unsigned int test_rescheds;
bool test_threads;

void *test_alloc(size_t size, gfp_t gfp)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	(void)gfp;
	return p;
}

void test_free(const void *p)
{
	free((void *)p);
}

void undo_begin(void)
{
	vmbeam_undo_init(&undo_log);
}

void undo_end(void)
{
	vmbeam_undo_free(&undo_log);
}

void undo_reserve(uint32_t nr_runs)
{
	if (vmbeam_undo_reserve(&undo_log, nr_runs))
		abort();
}

void undo_add(uint64_t gfn_a, uint64_t gfn_b, uint32_t nr, bool kept)
{
	const struct vmbeam_run run = { .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr, .kept = kept };

	vmbeam_undo_append(&undo_log, &run);
}

bool undo_take(uint64_t *gfn_a, uint64_t *gfn_b, uint32_t *nr, bool *kept)
{
	const struct vmbeam_run *run = vmbeam_undo_last(&undo_log);

	if (!run)
		return false;
	*gfn_a = run->gfn_a;
	*gfn_b = run->gfn_b;
	*nr = run->nr;
	*kept = run->kept;
	vmbeam_undo_cut(&undo_log, run->nr);
	return true;
}
