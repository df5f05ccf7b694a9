/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of vmbeam_host.ko know of each other.
 *
 *   main.c       the device: query, dispatch
 *   txn.c        the transaction's fd: begin, reopen, commit, rollback, forget, release
 *   swap.c       the caller's list to the hypervisor, batch by batch
 *   rollback.c   what was swapped, swapped back
 *   record.c     what became of a batch, into an undo log
 *   touched.c    which frames a batch or a log has, roughly and fast
 *   undo.c       the undo log: what a transaction must swap back
 *   outcome.c    the table of what became of each transaction
 *   hold.c       a domid that stays its domain's
 *   batch.c      one batch of pairs, being filled
 *   hypercall.c  one batch of pairs to the hypervisor
 *
 * Each knows those below it, and none above.
 */
#ifndef _VMBEAM_HOST_H
#define _VMBEAM_HOST_H

#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../common/ioctl.h"
#include "hypercall.h"

/* Bound of the table of outcomes; part of the ABI (VMBEAM_TXN_BEGIN). */
#define VMBEAM_MAX_OUTCOMES	4096U

/* undo.c */

/*
 * A block of the log's own is just below 2 KiB: small, for the kernel zeroes what it allocates, which is most of what a
 * record costs; and it fits into a page together with what KASAN or a red zone adds, so memory that is in pieces does.
 */
#define VMBEAM_BLOCK_RUNS	84U

/**
 * struct vmbeam_run - pairs that follow each other on both sides
 * @gfn_a: domain A's first frame
 * @gfn_b: domain B's
 * @nr: pairs; in a log never more than a batch has, so that a whole one always fits into a hypercall
 * @kept: they were excluded: nothing is to be put back, but the superpage around them may be
 *
 * Laid out as the caller's extents are, and the hypervisor's: a list of these can be all three, and is not copied.
 * In the caller's, @kept is what must be 0.
 */
struct vmbeam_run {
	u64 gfn_a;
	u64 gfn_b;
	u32 nr;
	u32 kept;
};

/**
 * struct vmbeam_block - a part of a log: one of its own, or the list of a VMBEAM_TXN_SWAP
 * @link: in one of the log's lists
 * @size: how many of @run there is room for
 * @nr: of @run
 * @run: the oldest first
 */
struct vmbeam_block {
	struct list_head link;
	u32 size;
	u32 nr;
	struct vmbeam_run run[];
};

/**
 * struct vmbeam_undo - pairs that are swapped now, as runs, the oldest first
 * @blocks: of struct vmbeam_block; only the last one is appended to
 * @spare: empty ones, for vmbeam_undo_append()
 * @room: runs that fit into the last block and the spare ones
 * @nr_runs: in all blocks
 * @nr_pairs: pairs in all runs, but for those that were kept
 */
struct vmbeam_undo {
	struct list_head blocks;
	struct list_head spare;
	u32 room;
	u64 nr_runs;
	u64 nr_pairs;
};

/*
 * Bounds of one VMBEAM_TXN_SWAP, checked before anything is allocated: 1 MiB of extents, which may become a block of
 * the log, and 1 MiB of statuses.
 */
#define VMBEAM_MAX_EXTENTS	((u32)((SZ_1M - sizeof(struct vmbeam_block)) / sizeof(struct vmbeam_run)))
#define VMBEAM_MAX_FRAMES	(1U << 20)

void vmbeam_undo_init(struct vmbeam_undo *log);
void vmbeam_undo_free(struct vmbeam_undo *log);
int vmbeam_undo_reserve(struct vmbeam_undo *log, u32 nr_runs);
struct vmbeam_block *vmbeam_block_alloc(u32 size);
void vmbeam_undo_append(struct vmbeam_undo *log, const struct vmbeam_run *run);
bool vmbeam_undo_adopt(struct vmbeam_undo *log, struct vmbeam_block *block, u32 first, u32 nr_runs, u32 nr_pairs);
const struct vmbeam_run *vmbeam_undo_last(struct vmbeam_undo *log);
const struct vmbeam_run *vmbeam_undo_last_moved(const struct vmbeam_undo *log);
void vmbeam_undo_cut(struct vmbeam_undo *log, u32 nr);
bool vmbeam_undo_overlaps(const struct vmbeam_undo *log, const struct vmbeam_run *run);
void vmbeam_undo_append_reversed(struct vmbeam_undo *log, struct vmbeam_undo *from);
bool vmbeam_run_overlaps(u64 gfn_a, u64 gfn_b, u32 nr, const struct vmbeam_run *run);

/* hold.c */

/**
 * struct vmbeam_hold - a hold on a domain
 * @addr: of the vmap area that maps its page; NULL: there is no hold
 * @pte_maddr: of the page table entry
 */
struct vmbeam_hold {
	void *addr;
	u64 pte_maddr;
};

int vmbeam_hold_get(struct vmbeam_hold *hold, u32 domid);
void vmbeam_hold_put(struct vmbeam_hold *hold);

/* outcome.c */

struct vmbeam_txn;

/**
 * struct vmbeam_outcome - what is told of a transaction by its id
 * @lock: for @told, which changes while it is asked for
 * @told: as the ioctl gives it
 * @node: on the list of those that are open or stuck, or of those that ended; the table's mutex is for it
 * @stuck: the transaction, while it is stuck and the module's own; the table's mutex is for it
 *
 * Lives from the transaction's begin until it has ended and the table needs the room, or the module goes.
 */
struct vmbeam_outcome {
	spinlock_t lock;
	struct vmbeam_txn_outcome told;
	struct list_head node;
	struct vmbeam_txn *stuck;
};

void vmbeam_outcome_init(void);
struct vmbeam_outcome *vmbeam_outcome_begin(u32 domid_a, u32 domid_b);
void vmbeam_outcome_pauses(struct vmbeam_txn_outcome *told, const struct vmbeam_batch *batch);
void vmbeam_outcome_stuck(struct vmbeam_outcome *outcome, struct vmbeam_txn *txn);
struct vmbeam_txn *vmbeam_outcome_get_stuck(u64 id);
void vmbeam_outcome_end(struct vmbeam_outcome *outcome, u32 state);
void vmbeam_outcome_forget(struct vmbeam_outcome *outcome);
long vmbeam_txn_outcome(struct vmbeam_call *call, void *arg);
long vmbeam_txn_list(struct vmbeam_call *call, void *arg);
void vmbeam_outcome_free_all(void);

/* Stuck runs from which on a rollback stops: with so many, more tries are of no use to anybody. */
#define VMBEAM_MAX_STUCK_RUNS	512U

/*
 * The frames of the runs in a batch or a log, on both sides: which bit is a frame's depends on its number alone, and
 * frames that are 2^16 apart share one. If a run's bits are all clear, then it has no frame in common with any of them,
 * and it need not be compared with each.
 */
#define VMBEAM_TOUCHED_BITS	(1U << 16)

struct vmbeam_touched {
	DECLARE_BITMAP(a, VMBEAM_TOUCHED_BITS);
	DECLARE_BITMAP(b, VMBEAM_TOUCHED_BITS);
};

/* touched.c */
void vmbeam_touched_set(struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr);
void vmbeam_touched_clear(struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr);
bool vmbeam_touched_any(const struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr);

/* A cut inside an extent falls on a 2 MiB boundary of domain A, or superpages would be torn by the batches. */
#define VMBEAM_SUPERPAGE_FRAMES	512U

/**
 * struct vmbeam_txn - a transaction
 * @refs: one for each file, and one of the module's own while it is stuck
 * @lock: one ioctl at a time; all that follows
 * @outcome: what is told of it; the table's alone once it has ended
 * @domid_a: domain A
 * @domid_b: domain B
 * @hold_a: from begin until it has ended, so that domain A is the same one
 * @hold_b: likewise
 * @gone: one of the two was not there at begin: nothing is ever swapped
 * @state: VMBEAM_TXN_*; only an open one swaps
 * @published: the caller was told of it
 * @owned: it is stuck, and the module has a reference to it, and it one to the module
 * @log: what is swapped now
 * @stuck: during a rollback, what did not go back, in the order of the tries; empty otherwise
 * @in_batch: during a rollback, the frames of the batch; empty otherwise
 * @in_stuck: likewise, those of @stuck
 * @last_error: of the hypercall, in the last rollback; 0 if only single pairs were refused
 * @last_status: of the last pair that did not go back
 * @batch: for all hypercalls
 */
struct vmbeam_txn {
	struct kref refs;
	struct mutex lock;
	struct vmbeam_outcome *outcome;
	u32 domid_a;
	u32 domid_b;
	struct vmbeam_hold hold_a;
	struct vmbeam_hold hold_b;
	bool gone;
	u32 state;
	bool published;
	bool owned;
	struct vmbeam_undo log;
	struct vmbeam_undo stuck;
	struct vmbeam_touched in_batch;
	struct vmbeam_touched in_stuck;
	int last_error;
	u8 last_status;
	struct vmbeam_batch batch;
};

/* record.c */
bool vmbeam_pair_moved(u8 status);
bool vmbeam_pair_kept(u8 status);
void vmbeam_record_batch(struct vmbeam_undo *log, const struct vmbeam_batch *batch, bool dealt_with,
			 u32 by_status[VMBEAM_PAIR_MASK + 1]);

/* swap.c */
long vmbeam_txn_swap(struct vmbeam_call *call, void *arg);

/* rollback.c */
int vmbeam_rollback_reserve(struct vmbeam_txn *txn);
bool vmbeam_rollback(struct vmbeam_txn *txn);

/* txn.c */
long vmbeam_txn_begin(struct vmbeam_call *call, void *arg);
long vmbeam_txn_reopen(struct vmbeam_call *call, void *arg);

#endif /* _VMBEAM_HOST_H */
