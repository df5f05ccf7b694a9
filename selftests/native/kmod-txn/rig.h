/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of kmod/host begin with: the module, loaded over hv.h; a transaction between its two domains. */
#ifndef _TEST_RIG_H
#define _TEST_RIG_H

#include "hv.h"
#include "tap.h"

static int dev = -1;		/* of the device */
static int txn = -1;		/* of the transaction */
static u64 id;

static inline void load(void)
{
	if (test_insmod())
		abort();
	dev = test_open_dev();
}

static inline void unload(void)
{
	test_close(dev);
	test_rmmod();
}

/* What holds after each test: nothing is left. */
static inline bool nothing_left(void)
{
	CHECK(test_modules == 0 && !hv_held[1] && !hv_held[2]);
	unload();
	CHECK(test_allocated == 0 && test_open_fds() == 0);
	load();
	return true;
}

/* What the module says of it. */
static inline struct vmbeam_txn_outcome told_of(u64 which)
{
	struct vmbeam_txn_outcome told = { .size = sizeof(told), .id = which };

	if (test_ioctl(dev, VMBEAM_TXN_OUTCOME, &told) || told.id != which || told.size != sizeof(told))
		abort();
	return told;
}

static inline struct vmbeam_txn_outcome told(void)
{
	return told_of(id);
}

static inline bool is_known(u64 which)
{
	struct vmbeam_txn_outcome told = { .size = sizeof(told), .id = which };
	long rc = test_ioctl(dev, VMBEAM_TXN_OUTCOME, &told);

	if (rc && rc != -ENOENT)
		abort();
	return !rc;
}

/* Another transaction, of these two domains: its fd, or an error. */
static inline long begin_another(u32 domid_a, u32 domid_b)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = domid_a, .domid_b = domid_b };
	long rc = test_ioctl(dev, VMBEAM_TXN_BEGIN, &arg);

	return rc ?: arg.out_fd;
}

static inline long try_begin(void)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = 1, .domid_b = 2 };
	long rc = test_ioctl(dev, VMBEAM_TXN_BEGIN, &arg);

	txn = rc ? -1 : arg.out_fd;
	id = rc ? 0 : arg.id;
	return rc;
}

static inline bool begin(void)
{
	srand(seed);
	hv_fill();
	hv_batch = rand() % 2 ? 256 : 2048;
	hv_busy = rand() % 2;
	CHECK(try_begin() == 0 && id);
	return true;
}

static inline long end_of(int fd, unsigned int cmd)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return test_ioctl(fd, cmd, &arg);
}

static inline long end(unsigned int cmd)
{
	return end_of(txn, cmd);
}

static inline long swap_list(u32 flags, const struct vmbeam_extent_pair *pairs, u32 nr,
			     const struct vmbeam_extent_pair *excluded, u32 nr_excluded)
{
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg), .flags = flags, .pairs = (uintptr_t)pairs, .nr_pairs = nr,
		.excluded = (uintptr_t)excluded, .nr_excluded = nr_excluded,
	};

	return test_ioctl(txn, VMBEAM_TXN_SWAP, &arg);
}

static inline void release(void)
{
	test_close(txn);
	txn = -1;
}

#define PAIR(a, b, n)	{ .gfn_a = (a), .gfn_b = (b), .nr = (n) }

/* Extents of @len pairs, none of which continues another. */
static inline u32 scattered(struct vmbeam_extent_pair *pairs, u32 len)
{
	u32 nr = FRAMES / len & ~1U;

	for (u64 i = 0; i < nr; i++)
		pairs[i] = (struct vmbeam_extent_pair)PAIR(len * i, len * (i ^ 1), len);
	return nr;
}

#endif /* _TEST_RIG_H */
