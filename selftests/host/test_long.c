// SPDX-License-Identifier: GPL-2.0
/* Lists that are long enough for many hypercalls, and for continuations inside them. */
#include "host.h"

#define NR 20000

FIXTURE(long_list)
{
	struct pair p;
	struct vmbeam_extent_pair pairs[NR];
	uint8_t status[NR];
	uint64_t before[NR], after[NR];
};

FIXTURE_SETUP(long_list)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->before, NR));
}

FIXTURE_TEARDOWN(long_list)
{
	pair_teardown(&self->p);
}

static void swap_and_close(struct __test_metadata *_metadata, FIXTURE_DATA(long_list) *self, uint32_t nr_pairs)
{
	struct vmbeam_txn_outcome outcome;
	struct vmbeam_txn_swap res;
	uint64_t id = 0;
	int txn, i;

	txn = txn_begin(self->p.dev, self->p.a, self->p.b, &id);
	ASSERT_LE(0, txn);
	ASSERT_EQ(0, txn_swap_list(txn, self->pairs, nr_pairs, 0, self->status, &res));
	ASSERT_EQ(NR, res.nr_done);
	ASSERT_EQ(NR, res.nr_swapped);
	ASSERT_EQ(NR, count_status(self->status, NR, VMBEAM_PAIR_SWAPPED));
	ASSERT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	close(txn);

	ASSERT_EQ(0, txn_outcome(self->p.dev, id, &outcome));
	EXPECT_EQ(VMBEAM_TXN_ROLLED_BACK, outcome.state);
	EXPECT_EQ(NR, outcome.nr_rolled_back);
	EXPECT_LT(0, outcome.swap_ns);
	EXPECT_LT(0, outcome.rollback_ns);
	ASSERT_EQ(0, pair_wrong(&self->p, 0, NR));
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->after, NR));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(self->before[i], self->after[i]);
	TH_LOG("%u extents: %llu ns per frame there, %llu back", nr_pairs,
	       outcome.swap_ns / NR, outcome.rollback_ns / NR);
}

TEST_F_TIMEOUT(long_list, one_extent, 2 * TIMEOUT)
{
	self->pairs[0] = (struct vmbeam_extent_pair) { .nr = NR };
	swap_and_close(_metadata, self, 1);
}

/* Same numbers, listed downwards: no two make a run. */
TEST_F_TIMEOUT(long_list, single_frames, 2 * TIMEOUT)
{
	int i;

	for (i = 0; i < NR; i++)
		self->pairs[i] = (struct vmbeam_extent_pair) { .gfn_a = NR - 1 - i, .gfn_b = NR - 1 - i, .nr = 1 };
	swap_and_close(_metadata, self, NR);
}

HOST_MAIN(1)
