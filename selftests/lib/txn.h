/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of vmbeam_host.ko for tests. Not libvmbeam's wrappers: a test of the module must not depend on the
 * library. All return 0 or a positive value, or -errno.
 */
#ifndef _SELFTESTS_TXN_H
#define _SELFTESTS_TXN_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vmbeam.h>

static inline int dev_open(void)
{
	int fd = open("/dev/vmbeam", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

/* The transaction's fd. */
static inline int txn_begin(int dev, uint32_t domid_a, uint32_t domid_b, uint64_t *id)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = domid_a, .domid_b = domid_b };
	int rc = call(dev, VMBEAM_TXN_BEGIN, &arg);

	if (rc)
		return rc;
	if (id)
		*id = arg.id;
	return arg.out_fd;
}

/* Swap a list but for what is excluded; *res has the counts, also after an error. */
static inline int txn_swap_but(int txn, const struct vmbeam_extent_pair *pairs, uint32_t nr_pairs,
			       const struct vmbeam_extent_pair *excluded, uint32_t nr_excluded,
			       uint32_t flags, uint8_t *status, struct vmbeam_txn_swap *res)
{
	*res = (struct vmbeam_txn_swap) {
		.size = sizeof(*res),
		.flags = flags,
		.pairs = (uintptr_t)pairs,
		.nr_pairs = nr_pairs,
		.excluded = (uintptr_t)excluded,
		.nr_excluded = nr_excluded,
		.status = (uintptr_t)status,
	};
	return call(txn, VMBEAM_TXN_SWAP, res);
}

static inline int txn_swap_list(int txn, const struct vmbeam_extent_pair *pairs, uint32_t nr_pairs,
				uint32_t flags, uint8_t *status, struct vmbeam_txn_swap *res)
{
	return txn_swap_but(txn, pairs, nr_pairs, NULL, 0, flags, status, res);
}

/* Swap one run. */
static inline int txn_swap(int txn, uint64_t gfn_a, uint64_t gfn_b, uint32_t nr, uint32_t flags,
			   uint8_t *status, struct vmbeam_txn_swap *res)
{
	struct vmbeam_extent_pair pair = { .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr };

	return txn_swap_list(txn, &pair, 1, flags, status, res);
}

static inline int txn_end(int txn, unsigned long cmd)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return call(txn, cmd, &arg);
}

static inline int txn_outcome(int dev, uint64_t id, struct vmbeam_txn_outcome *outcome)
{
	*outcome = (struct vmbeam_txn_outcome) { .size = sizeof(*outcome), .id = id };
	return call(dev, VMBEAM_TXN_OUTCOME, outcome);
}

/* Those that are open or stuck: how many there are; up to @room of them are written. */
static inline int txn_list(int dev, struct vmbeam_txn_outcome *list, uint32_t room)
{
	struct vmbeam_txn_list arg = {
		.size = sizeof(arg), .txns = (uintptr_t)list, .nr = room, .entry_size = sizeof(*list),
	};
	int rc = call(dev, VMBEAM_TXN_LIST, &arg);

	return rc ?: (int)arg.nr;
}

/* A further fd of a stuck one. */
static inline int txn_reopen(int dev, uint64_t id)
{
	struct vmbeam_txn_reopen arg = { .size = sizeof(arg), .id = id };
	int rc = call(dev, VMBEAM_TXN_REOPEN, &arg);

	return rc ?: arg.out_fd;
}

/* VMBEAM_TXN_ROLLBACK or VMBEAM_TXN_FORGET, by the id of a stuck one. */
static inline int txn_end_by_id(int dev, uint64_t id, unsigned long cmd)
{
	int rc, txn = txn_reopen(dev, id);

	if (txn < 0)
		return txn;
	rc = txn_end(txn, cmd);
	close(txn);
	return rc;
}

/* What tests got stuck must not be in the way of others. */
static inline void txn_forget_all(int dev)
{
	struct vmbeam_txn_outcome list[16];
	int nr = txn_list(dev, list, 16);

	for (int i = 0; i < nr && i < 16; i++)
		if (list[i].state == VMBEAM_TXN_STUCK)
			txn_end_by_id(dev, list[i].id, VMBEAM_TXN_FORGET);
}

#endif /* _SELFTESTS_TXN_H */
