/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvmbeam: thin wrappers over /dev/vmbeam of both modules, and arithmetic on extents.
 *
 * Functions that can fail return a negative errno; what each errno means is said in <linux/vmbeam.h>. Nothing here
 * keeps state, takes a lock or prints. File descriptors are the caller's, and close-on-exec.
 */
#ifndef VMBEAM_H
#define VMBEAM_H

#include <stddef.h>
#include <stdint.h>
#include <linux/vmbeam.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- the device ------------------------------------------------------------------------------------------------ */

#define VMBEAM_DEVICE "/dev/vmbeam"

/* A fd of the device, or -errno: ENOENT when no module is loaded. */
int vmbeam_open(void);
int vmbeam_query(int dev, struct vmbeam_query *query);

/* The host module. A transaction's fd; closing it without commit swaps everything back. */
int vmbeam_txn_begin(int dev, uint32_t domid_a, uint32_t domid_b, uint64_t *id);
/*
 * One VMBEAM_TXN_SWAP. @excluded: those of the pairs, in the same order, whose frames keep their contents; may be NULL.
 * @status, which may be NULL, has one byte per pair of frames. @result, which may be NULL, gets the counts, also after
 * an error.
 */
int vmbeam_txn_swap(int txn, uint32_t flags, const struct vmbeam_extent_pair *pairs, uint32_t nr_pairs,
		    const struct vmbeam_extent_pair *excluded, uint32_t nr_excluded, uint8_t *status,
		    struct vmbeam_txn_swap *result);
int vmbeam_txn_commit(int txn);
int vmbeam_txn_rollback(int txn);
int vmbeam_txn_outcome(int dev, uint64_t id, struct vmbeam_txn_outcome *outcome);
/* Those that are open or stuck: up to @room entries (at most 4096). Returns how many there are, which can be more. */
int vmbeam_txn_list(int dev, struct vmbeam_txn_outcome *txns, uint32_t room);
/* A further fd of a stuck transaction: to roll it back, or to forget it. */
int vmbeam_txn_reopen(int dev, uint64_t id);
int vmbeam_txn_forget(int txn);
/*
 * Tries a stuck transaction's rollback once more. 0: all is back. -EBUSY: it is still stuck, and its outcome says why.
 * -EBADFD: it is not stuck (any more). -ENOENT: the module does not know it.
 */
int vmbeam_txn_retry(int dev, uint64_t id);

/* The guest module. An export's fd; closing it before it is armed releases it. */
int vmbeam_export_create(int dev, uint32_t domid, uint64_t *id);
/* Writes up to @room entries (at most 4096) and returns how many exports there are, which can be more. */
int vmbeam_export_list(int dev, struct vmbeam_export_info *exports, uint32_t room);
/* A further fd of an armed export. */
int vmbeam_export_open(int dev, uint64_t id);
/* @status and @nr_pinned may be NULL. */
int vmbeam_export_add(int export_fd, const struct vmbeam_frame *frames, uint32_t nr, uint8_t *status,
		      uint32_t *nr_pinned);
int vmbeam_export_remove(int export_fd, const uint64_t *pfns, uint32_t nr, uint32_t *nr_removed);
int vmbeam_export_arm(int export_fd);
int vmbeam_export_release(int export_fd);
int vmbeam_export_info(int export_fd, struct vmbeam_export_info *info);
/* Reads up to @room extents from extent number @first on; returns how many, 0 at the end. */
int vmbeam_export_read(int export_fd, uint64_t first, struct vmbeam_extent *extents, size_t room);

/* "busy", "not plain RAM", ... for a VMBEAM_PAIR_* or VMBEAM_FRAME_* code; never NULL. */
const char *vmbeam_pair_status(uint8_t status);
const char *vmbeam_frame_status(uint8_t status);

/* --- extents ---------------------------------------------------------------------------------------------------- */

/* Lists that grow. All-zero is an empty one; v is malloc'ed. */
struct vmbeam_extents {
	struct vmbeam_extent *v;
	size_t nr, room;
};

struct vmbeam_pairs {
	struct vmbeam_extent_pair *v;
	size_t nr, room;
};

void vmbeam_extents_free(struct vmbeam_extents *list);
void vmbeam_pairs_free(struct vmbeam_pairs *list);

/*
 * Appends [pfn, pfn + nr) -> [gfn, gfn + nr), as part of the last extent where it continues that.
 * 0, -ENOMEM, -EINVAL: nr is 0 or a sum overflows.
 */
int vmbeam_extents_add(struct vmbeam_extents *list, uint64_t pfn, uint64_t gfn, uint64_t nr);
/* Sorts by pfn and merges. -EEXIST: a pfn is there twice; the list is then sorted, not merged. */
int vmbeam_extents_merge(struct vmbeam_extents *list);
/*
 * Is it what every list below must be: merged or at least ascending in pfn, nothing twice, no nr of 0, no overflow?
 * For lists that came from a peer. 0 or -EINVAL.
 */
int vmbeam_extents_check(const struct vmbeam_extents *list);
uint64_t vmbeam_extents_frames(const struct vmbeam_extents *list);

/*
 * @out += the part of @list whose pfns are not in @without (whose gfns do not matter). Both ascending.
 */
int vmbeam_extents_subtract(const struct vmbeam_extents *list, const struct vmbeam_extents *without,
			    struct vmbeam_extents *out);
/*
 * @out += for each pfn in both, the pair (gfn in @a, gfn in @b). Both ascending. A pair's nr fits its 32 bits:
 * longer runs are cut.
 */
int vmbeam_extents_join(const struct vmbeam_extents *a, const struct vmbeam_extents *b, struct vmbeam_pairs *out);

/* Appends a run of pairs, cut where nr exceeds 32 bits, as part of the last one where it continues that. */
int vmbeam_pairs_add(struct vmbeam_pairs *list, uint64_t gfn_a, uint64_t gfn_b, uint64_t nr);
uint64_t vmbeam_pairs_frames(const struct vmbeam_pairs *list);

#ifdef __cplusplus
}
#endif

#endif
