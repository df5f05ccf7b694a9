// SPDX-License-Identifier: GPL-2.0
/*
 * The record of what a transaction must swap back.
 *
 * Recording must not fail: what is swapped and not recorded is lost. So room for the worst that a batch can need
 * is made before the hypercall (vmbeam_undo_reserve()), and vmbeam_undo_append() only fills it. vmbeam_undo_adopt()
 * takes the caller's list itself, as far as it was swapped without exception; all of its memory then stays until the
 * end of the transaction. No block on the list is empty.
 */
#include <linux/build_bug.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "host.h"

static_assert(struct_size_t(struct vmbeam_block, run, VMBEAM_BLOCK_RUNS) <= SZ_2K);

void vmbeam_undo_init(struct vmbeam_undo *log)
{
	INIT_LIST_HEAD(&log->blocks);
	INIT_LIST_HEAD(&log->spare);
	log->room = 0;
	log->nr_runs = 0;
	log->nr_pairs = 0;
}

void vmbeam_undo_free(struct vmbeam_undo *log)
{
	struct vmbeam_block *block, *next;

	list_splice(&log->spare, &log->blocks);
	list_for_each_entry_safe(block, next, &log->blocks, link) {
		kvfree(block);
		cond_resched();
	}
	vmbeam_undo_init(log);
}

static struct vmbeam_block *last_block(const struct vmbeam_undo *log)
{
	return list_empty(&log->blocks) ? NULL : list_last_entry(&log->blocks, struct vmbeam_block, link);
}

/* Runs that still fit into the last block. */
static u32 room_in_last(const struct vmbeam_undo *log)
{
	const struct vmbeam_block *block = last_block(log);

	return block ? block->size - block->nr : 0;
}

/* Nothing is appended to the last block any more. */
static void seal_last(struct vmbeam_undo *log)
{
	struct vmbeam_block *block = last_block(log);

	log->room -= room_in_last(log);
	if (block)
		block->size = block->nr;
}

/* Makes memory an empty block; passes NULL on. */
static struct vmbeam_block *block_init(struct vmbeam_block *block, u32 size)
{
	if (block) {
		block->size = size;
		block->nr = 0;
	}
	return block;
}

/* An empty block that is in no log yet, and freed by kvfree(); or NULL. */
struct vmbeam_block *vmbeam_block_alloc(u32 size)
{
	struct vmbeam_block *block = kvmalloc(struct_size(block, run, size), GFP_KERNEL_ACCOUNT);

	return block_init(block, size);
}

/**
 * vmbeam_undo_reserve - make room
 * @log: the log
 * @nr_runs: that can be appended afterwards; of a batch as many as it has pairs, whatever becomes of it
 *
 * Return: 0, or -ENOMEM: then there may be room for some
 */
int vmbeam_undo_reserve(struct vmbeam_undo *log, u32 nr_runs)
{
	while (log->room < nr_runs) {
		/* Not the other allocation, which may come to be pages of its own. */
		struct vmbeam_block *block = kmalloc(struct_size(block, run, VMBEAM_BLOCK_RUNS), GFP_KERNEL_ACCOUNT);

		if (!block_init(block, VMBEAM_BLOCK_RUNS))
			return -ENOMEM;
		list_add_tail(&block->link, &log->spare);
		log->room += VMBEAM_BLOCK_RUNS;
	}
	return 0;
}

static u64 moved_pairs(const struct vmbeam_run *run)
{
	return run->kept ? 0 : run->nr;
}

/* Into the room that was reserved. A run that continues the last one is joined to it. */
void vmbeam_undo_append(struct vmbeam_undo *log, const struct vmbeam_run *run)
{
	struct vmbeam_block *block = last_block(log);
	struct vmbeam_run *last;

	log->nr_pairs += moved_pairs(run);
	if (block) {
		last = &block->run[block->nr - 1];
		if (last->gfn_a + last->nr == run->gfn_a && last->gfn_b + last->nr == run->gfn_b &&
		    last->kept == run->kept && last->nr + run->nr <= VMBEAM_BATCH_PAIRS) {
			last->nr += run->nr;
			return;
		}
	}
	if (!block || block->nr == block->size) {
		block = list_first_entry(&log->spare, struct vmbeam_block, link);
		list_move_tail(&block->link, &log->blocks);
	}
	block->run[block->nr++] = *run;
	log->nr_runs++;
	log->room--;
}

/**
 * vmbeam_undo_adopt - append runs that are in a block already, without a copy
 * @log: the log
 * @block: of all runs that may come to be appended; the log's after the first success
 * @first: of these, the first
 * @nr_runs: how many
 * @nr_pairs: pairs in them
 *
 * Return: false when something else came between these and those of the block that were appended before: then they
 * are to be copied
 */
bool vmbeam_undo_adopt(struct vmbeam_undo *log, struct vmbeam_block *block, u32 first, u32 nr_runs, u32 nr_pairs)
{
	if (block->nr != first || (first && block != last_block(log)))
		return false;
	if (!first) {
		seal_last(log);
		list_add_tail(&block->link, &log->blocks);
	}
	/* There is no room behind them: what is there is the caller's list. */
	block->nr += nr_runs;
	block->size = block->nr;
	log->nr_runs += nr_runs;
	log->nr_pairs += nr_pairs;
	return true;
}

/* The newest run, or NULL. */
const struct vmbeam_run *vmbeam_undo_last(struct vmbeam_undo *log)
{
	struct vmbeam_block *block = last_block(log);

	return block ? &block->run[block->nr - 1] : NULL;
}

/* The newest run of pairs that are swapped, or NULL: behind it are only those that were kept. */
const struct vmbeam_run *vmbeam_undo_last_moved(const struct vmbeam_undo *log)
{
	const struct vmbeam_block *block;
	u32 i;

	list_for_each_entry_reverse(block, &log->blocks, link)
		for (i = block->nr; i--; )
			if (!block->run[i].kept)
				return &block->run[i];
	return NULL;
}

/* Drop the last @nr pairs of the newest run: the one that vmbeam_undo_last() gave. A block that became empty goes. */
void vmbeam_undo_cut(struct vmbeam_undo *log, u32 nr)
{
	struct vmbeam_block *block = last_block(log);
	struct vmbeam_run *run = &block->run[block->nr - 1];

	log->nr_pairs -= run->kept ? 0 : nr;
	run->nr -= nr;
	if (run->nr)
		return;
	log->nr_runs--;
	log->room++;
	if (--block->nr)
		return;
	log->room -= block->size;
	list_del(&block->link);
	kvfree(block);
}

static bool ranges_overlap(u64 x, u32 nr_x, u64 y, u32 nr_y)
{
	return x < y + nr_y && y < x + nr_x;
}

/* Do the two runs have a frame in common, on either side? If not, their order does not matter. */
bool vmbeam_run_overlaps(u64 gfn_a, u64 gfn_b, u32 nr, const struct vmbeam_run *run)
{
	return ranges_overlap(gfn_a, nr, run->gfn_a, run->nr) || ranges_overlap(gfn_b, nr, run->gfn_b, run->nr);
}

bool vmbeam_undo_overlaps(const struct vmbeam_undo *log, const struct vmbeam_run *run)
{
	const struct vmbeam_block *block;
	u32 i;

	list_for_each_entry(block, &log->blocks, link)
		for (i = 0; i < block->nr; i++)
			if (vmbeam_run_overlaps(block->run[i].gfn_a, block->run[i].gfn_b, block->run[i].nr, run))
				return true;
	return false;
}

/**
 * vmbeam_undo_append_reversed - move all runs to another log's end, the last one first
 * @log: where to
 * @from: empty afterwards
 *
 * In place: it cannot fail.
 */
void vmbeam_undo_append_reversed(struct vmbeam_undo *log, struct vmbeam_undo *from)
{
	struct vmbeam_block *block;
	u32 i;

	seal_last(log);
	seal_last(from);
	while ((block = last_block(from))) {
		for (i = 0; i < block->nr / 2; i++)
			swap(block->run[i], block->run[block->nr - 1 - i]);
		list_move_tail(&block->link, &log->blocks);
	}
	log->nr_runs += from->nr_runs;
	log->nr_pairs += from->nr_pairs;
	from->nr_runs = 0;
	from->nr_pairs = 0;
}
