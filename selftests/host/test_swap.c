// SPDX-License-Identifier: GPL-2.0
/* Frames change places: contents, machine frames, there and back, whatever they are backed by. */
#include "host.h"

#define NR 2048

FIXTURE(swap)
{
	struct pair p;
	uint64_t mfn_a[NR], mfn_b[NR], now_a[NR], now_b[NR];
	uint8_t status[NR];
};

FIXTURE_VARIANT(swap)
{
	unsigned int order;
};

FIXTURE_VARIANT_ADD(swap, backed_4k) { .order = ORDER_4K };
FIXTURE_VARIANT_ADD(swap, backed_2m) { .order = ORDER_2M };

FIXTURE_SETUP(swap)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, variant->order));
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->mfn_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->mfn_b, NR));
	ASSERT_NE(self->mfn_a[0], self->mfn_b[0]);
}

FIXTURE_TEARDOWN(swap)
{
	pair_teardown(&self->p);
}

/* Are [gfn, gfn + nr) crosswise, and all others as they were? */
static void expect_swapped(struct __test_metadata *_metadata, FIXTURE_DATA(swap) *self, uint64_t gfn, uint64_t nr)
{
	uint64_t i;

	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->now_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->now_b, NR));
	for (i = 0; i < NR; i++) {
		bool in = i >= gfn && i < gfn + nr;

		ASSERT_EQ(in ? self->mfn_b[i] : self->mfn_a[i], self->now_a[i]);
		ASSERT_EQ(in ? self->mfn_a[i] : self->mfn_b[i], self->now_b[i]);
	}
	ASSERT_EQ(0, pair_wrong(&self->p, 0, gfn));
	ASSERT_EQ(0, pair_wrong_crosswise(&self->p, gfn, nr));
	ASSERT_EQ(0, pair_wrong(&self->p, gfn + nr, NR - gfn - nr));
}

static void there_and_back(struct __test_metadata *_metadata, FIXTURE_DATA(swap) *self, uint64_t gfn, uint32_t nr)
{
	struct vmbeam_txn_swap res;
	int txn, i;

	for (i = 0; i < 2; i++) {
		txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
		ASSERT_LE(0, txn);
		memset(self->status, 0xff, NR);
		ASSERT_EQ(0, txn_swap(txn, gfn, gfn, nr, 0, self->status, &res));
		EXPECT_EQ(nr, res.nr_done);
		EXPECT_EQ(nr, res.nr_swapped);
		EXPECT_EQ(0, res.nr_exchanged + res.nr_busy + res.nr_refused);
		EXPECT_EQ(nr, count_status(self->status, nr, VMBEAM_PAIR_SWAPPED));
		/* Nothing was written beyond the last status. */
		EXPECT_EQ(NR - nr, count_status(self->status + nr, NR - nr, 0xff));
		ASSERT_EQ(0, txn_end(txn, VMBEAM_TXN_COMMIT));
		close(txn);
		expect_swapped(_metadata, self, i ? 0 : gfn, i ? 0 : nr);
	}
}

TEST_F_TIMEOUT(swap, one_frame, TIMEOUT)
{
	there_and_back(_metadata, self, 5, 1);
}

TEST_F_TIMEOUT(swap, part_of_a_superpage, TIMEOUT)
{
	there_and_back(_metadata, self, 100, 300);
}

TEST_F_TIMEOUT(swap, across_superpages, TIMEOUT)
{
	there_and_back(_metadata, self, 500, 600);
}

TEST_F_TIMEOUT(swap, everything, TIMEOUT)
{
	there_and_back(_metadata, self, 0, NR);
}

/* The frames keep their number: what one domain gives it gets. */
TEST_F_TIMEOUT(swap, sizes_stay, TIMEOUT)
{
	xc_domaininfo_t before[2], after[2];
	struct vmbeam_txn_swap res;
	int txn, i;

	ASSERT_EQ(0, domain_info(self->p.a, &before[0]));
	ASSERT_EQ(0, domain_info(self->p.b, &before[1]));
	txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	ASSERT_LE(0, txn);
	ASSERT_EQ(0, txn_swap(txn, 0, 0, NR, 0, NULL, &res));
	ASSERT_EQ(0, txn_end(txn, VMBEAM_TXN_COMMIT));
	close(txn);
	ASSERT_EQ(0, domain_info(self->p.a, &after[0]));
	ASSERT_EQ(0, domain_info(self->p.b, &after[1]));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(before[i].tot_pages, after[i].tot_pages);
		EXPECT_EQ(before[i].outstanding_pages, after[i].outstanding_pages);
	}
}

/* Frames of different numbers, A's ascending with B's descending: one run for every frame. */
TEST_F_TIMEOUT(swap, backwards, TIMEOUT)
{
	struct vmbeam_extent_pair pairs[NR];
	struct vmbeam_txn_swap res;
	int txn, i;

	for (i = 0; i < NR; i++)
		pairs[i] = (struct vmbeam_extent_pair) { .gfn_a = i, .gfn_b = NR - 1 - i, .nr = 1 };
	txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	ASSERT_LE(0, txn);
	ASSERT_EQ(0, txn_swap_list(txn, pairs, NR, 0, NULL, &res));
	EXPECT_EQ(NR, res.nr_swapped);
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->now_a, NR));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(self->mfn_b[NR - 1 - i], self->now_a[i]);
	ASSERT_EQ(0, domain_wrong(self->p.a, 7, 1, SEED_B, NR - 1 - 7));
	/* And all the way back, by the transaction's own record. */
	ASSERT_EQ(0, txn_end(txn, VMBEAM_TXN_ROLLBACK));
	close(txn);
	expect_swapped(_metadata, self, 0, 0);
}

HOST_MAIN(1)
