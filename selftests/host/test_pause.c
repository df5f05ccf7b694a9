// SPDX-License-Identifier: GPL-2.0
/*
 * The hypervisor's parameter p2m-swap-pause bounds what is done in one pause. A pause in which pairs went has one
 * flush, so the flushes tell how many pauses there were.
 */
#include <xenhypfs.h>

#include "host.h"

#define NR 4096		/* what the hypervisor looks at in one go */
#define PER_EXTENT 16
#define NR_EXTENTS (NR / PER_EXTENT)
#define DEFAULT 1024	/* Xen's documentation of the parameter; also the most that it does */

FIXTURE(pause)
{
	struct pair p;
	struct vmbeam_extent_pair pairs[NR_EXTENTS];
};

static int set_parameter(unsigned int units)
{
	xenhypfs_handle *hypfs = xenhypfs_open(NULL, 0);
	char value[16];
	int rc;

	if (!hypfs)
		return -1;
	snprintf(value, sizeof(value), "%u", units);
	rc = xenhypfs_write(hypfs, "/params/p2m-swap-pause", value);
	xenhypfs_close(hypfs);
	return rc;
}

FIXTURE_SETUP(pause)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	for (unsigned int i = 0; i < NR_EXTENTS; i++) {
		uint64_t gfn = i * PER_EXTENT;

		self->pairs[i] = (struct vmbeam_extent_pair){ .gfn_a = gfn, .gfn_b = gfn, .nr = PER_EXTENT };
	}
}

FIXTURE_TEARDOWN(pause)
{
	EXPECT_EQ(0, set_parameter(DEFAULT));
	pair_teardown(&self->p);
}

/* The pauses that the swap of all pairs took; they are swapped back. */
static uint64_t pauses(struct __test_metadata *_metadata, FIXTURE_DATA(pause) *self, unsigned int units,
		       uint32_t nr_extents)
{
	struct vmbeam_txn_outcome outcome;
	struct vmbeam_txn_swap res;
	uint64_t id = 0;
	int txn;

	EXPECT_EQ(0, set_parameter(units));
	txn = txn_begin(self->p.dev, self->p.a, self->p.b, &id);
	EXPECT_LE(0, txn);
	EXPECT_EQ(0, txn_swap_list(txn, self->pairs, nr_extents, 0, NULL, &res));
	EXPECT_EQ(NR, res.nr_swapped);
	EXPECT_EQ(0, txn_outcome(self->p.dev, id, &outcome));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	close(txn);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
	return outcome.nr_flushes;
}

TEST_F_TIMEOUT(pause, as_much_as_asked_for, TIMEOUT)
{
	EXPECT_EQ(NR / 64, pauses(_metadata, self, 64, NR_EXTENTS));
	EXPECT_EQ(NR / 256, pauses(_metadata, self, 256, NR_EXTENTS));
}

/* A run in one table on each side is not taken apart for it. */
TEST_F_TIMEOUT(pause, one_run_at_least, TIMEOUT)
{
	EXPECT_EQ(NR_EXTENTS, pauses(_metadata, self, 0, NR_EXTENTS));
	self->pairs[0].nr = NR;
	EXPECT_EQ(NR / 512, pauses(_metadata, self, 1, 1));
}

TEST_F_TIMEOUT(pause, never_more_than_there_is_room_for, TIMEOUT)
{
	self->pairs[0].nr = NR;
	EXPECT_EQ(NR / DEFAULT, pauses(_metadata, self, DEFAULT, 1));
	EXPECT_EQ(NR / DEFAULT, pauses(_metadata, self, 1000000, 1));
}

HOST_MAIN(0)
