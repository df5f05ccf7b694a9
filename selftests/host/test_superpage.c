// SPDX-License-Identifier: GPL-2.0
/* Superpages change places whole, also with frames in them that are excluded; and are split only where they must be. */
#include "host.h"

#define SUPER 512
#define NR (4 * SUPER)
#define NR_KEPT 8

FIXTURE(superpage)
{
	struct pair p;
	struct vmbeam_txn_swap res;
	uint64_t mfn_a[NR], mfn_b[NR], now_a[NR], now_b[NR], id;
	uint8_t status[NR];
	int txn;
};

FIXTURE_SETUP(superpage)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_2M));
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->mfn_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->mfn_b, NR));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(superpage)
{
	close(self->txn);
	pair_teardown(&self->p);
}

static void read_mfns(struct __test_metadata *_metadata, FIXTURE_DATA(superpage) *self)
{
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->now_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->now_b, NR));
}

/* Frames are where they were in the beginning, and so are the contents. */
static void expect_back(struct __test_metadata *_metadata, FIXTURE_DATA(superpage) *self)
{
	read_mfns(_metadata, self);
	EXPECT_EQ(0, memcmp(self->mfn_a, self->now_a, sizeof(self->mfn_a)));
	EXPECT_EQ(0, memcmp(self->mfn_b, self->now_b, sizeof(self->mfn_b)));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* How many frames a swap there and back finds in superpages: what the P2Ms have now. */
static uint64_t large_now(FIXTURE_DATA(superpage) *self)
{
	struct vmbeam_txn_swap res;

	if (txn_swap(self->txn, 0, 0, NR, 0, NULL, &res) || res.nr_swapped != NR ||
	    txn_swap(self->txn, 0, 0, NR, 0, NULL, &res))
		return -1;
	return res.nr_large;
}

TEST_F_TIMEOUT(superpage, whole, TIMEOUT)
{
	struct vmbeam_txn_outcome outcome;
	unsigned int i, pauses = 0;

	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_swapped);
	EXPECT_EQ(NR, self->res.nr_large);
	EXPECT_EQ(NR, count_status(self->status, NR, VMBEAM_PAIR_SWAPPED));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	read_mfns(_metadata, self);
	EXPECT_EQ(0, memcmp(self->mfn_a, self->now_b, sizeof(self->mfn_a)));
	EXPECT_EQ(0, memcmp(self->mfn_b, self->now_a, sizeof(self->mfn_b)));

	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &outcome));
	EXPECT_EQ(NR, outcome.nr_large);
	for (i = 0; i < VMBEAM_PAUSES; i++)
		pauses += outcome.pauses[i];
	EXPECT_LT(0, pauses);
	EXPECT_LT(0, outcome.nr_flushes);
	EXPECT_LE(outcome.nr_flushes, pauses);
	EXPECT_LT(0, outcome.max_pause_ns);
	EXPECT_LT(outcome.max_pause_ns, outcome.swap_ns);

	/* They are superpages still: on the way back, too. */
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_large);
	expect_back(_metadata, self);
}

/* Not of the same gfns; what begins and ends in the middle of one goes frame by frame. */
TEST_F_TIMEOUT(superpage, elsewhere, TIMEOUT)
{
	const struct vmbeam_extent_pair pair = { .gfn_a = SUPER - 10, .gfn_b = 2 * SUPER - 10, .nr = SUPER + 20 };

	ASSERT_EQ(0, txn_swap_list(self->txn, &pair, 1, 0, self->status, &self->res));
	EXPECT_EQ(SUPER + 20, self->res.nr_swapped);
	EXPECT_EQ(SUPER, self->res.nr_large);
	EXPECT_EQ(0, domain_wrong(self->p.a, SUPER - 10, SUPER + 20, SEED_B, 2 * SUPER - 10));
	EXPECT_EQ(0, domain_wrong(self->p.b, 2 * SUPER - 10, SUPER + 20, SEED_A, SUPER - 10));
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

TEST_F_TIMEOUT(superpage, not_aligned, TIMEOUT)
{
	ASSERT_EQ(0, txn_swap(self->txn, 0, 1, NR - 1, 0, self->status, &self->res));
	EXPECT_EQ(NR - 1, self->res.nr_swapped);
	EXPECT_EQ(0, self->res.nr_large);
	EXPECT_EQ(0, domain_wrong(self->p.a, 0, NR - 1, SEED_B, 1));
	EXPECT_EQ(0, domain_wrong(self->p.b, 1, NR - 1, SEED_A, 0));
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

/* Beyond what a P2M's tables reach: no entry, and not that of the gfn whose lower bits are the same. */
TEST_F_TIMEOUT(superpage, beyond_the_tables, TIMEOUT)
{
	const struct vmbeam_extent_pair pair = { .gfn_a = 1ULL << 36, .gfn_b = SUPER, .nr = SUPER };

	ASSERT_EQ(0, txn_swap_list(self->txn, &pair, 1, 0, self->status, &self->res));
	EXPECT_EQ(SUPER, count_status(self->status, SUPER, VMBEAM_PAIR_RANGE | VMBEAM_PAIR_SIDE_A));
	/* Nothing was split to find that out. */
	EXPECT_EQ(NR, large_now(self));
	expect_back(_metadata, self);
}

/* Each excluded extent belongs to the first that it fits into behind the one before it: here one to each. */
TEST_F_TIMEOUT(superpage, excluded_of_overlapping_extents, TIMEOUT)
{
	const struct vmbeam_extent_pair pairs[] = { { .nr = 4 }, { .nr = 4 } };
	const struct vmbeam_extent_pair excluded[] = { { 1, 1, 1, 0 }, { 1, 1, 1, 0 } };

	ASSERT_EQ(0, txn_swap_but(self->txn, pairs, 2, excluded, 2, 0, self->status, &self->res));
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, self->status[0]);
	EXPECT_EQ(VMBEAM_PAIR_KEPT, self->status[1]);
	EXPECT_EQ(VMBEAM_PAIR_DUPLICATE, self->status[4] & VMBEAM_PAIR_MASK);
	EXPECT_EQ(VMBEAM_PAIR_KEPT, self->status[5]);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

/* A part of one is enough to split it, on both sides; the others stay whole. */
TEST_F_TIMEOUT(superpage, split_by_a_part, TIMEOUT)
{
	ASSERT_EQ(0, txn_swap(self->txn, 5, 5, 1, 0, self->status, &self->res));
	EXPECT_EQ(0, self->res.nr_large);
	ASSERT_EQ(0, txn_swap(self->txn, 5, 5, 1, 0, self->status, &self->res));
	EXPECT_EQ(NR - SUPER, large_now(self));
	expect_back(_metadata, self);
}

/* A busy frame stays, and takes the superpage around it down: its neighbours are swapped all the same. */
static void one_is_busy(struct __test_metadata *_metadata, FIXTURE_DATA(superpage) *self, uint32_t domid,
			uint8_t side, uint32_t flags)
{
	void *addr = domain_map(domid, SUPER + 7, 1, PROT_READ);

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, flags, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_done);
	EXPECT_EQ(NR - 1, self->res.nr_swapped);
	EXPECT_EQ(NR - SUPER, self->res.nr_large);
	EXPECT_EQ(flags ? VMBEAM_PAIR_EXCHANGED : VMBEAM_PAIR_BUSY | side, self->status[SUPER + 7]);
	read_mfns(_metadata, self);
	EXPECT_EQ(self->mfn_a[SUPER + 7], self->now_a[SUPER + 7]);
	EXPECT_EQ(self->mfn_b[SUPER + 7], self->now_b[SUPER + 7]);
	EXPECT_EQ(self->mfn_a[SUPER + 8], self->now_b[SUPER + 8]);
	ASSERT_EQ(0, domain_unmap(addr, 1));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, SUPER + 7));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, SUPER + 8, NR - SUPER - 8));
	EXPECT_EQ(0, flags ? pair_wrong_crosswise(&self->p, SUPER + 7, 1) : pair_wrong(&self->p, SUPER + 7, 1));
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(superpage, one_busy_a, TIMEOUT)
{
	one_is_busy(_metadata, self, self->p.a, VMBEAM_PAIR_SIDE_A, 0);
}

TEST_F_TIMEOUT(superpage, one_busy_b, TIMEOUT)
{
	one_is_busy(_metadata, self, self->p.b, VMBEAM_PAIR_SIDE_B, 0);
}

TEST_F_TIMEOUT(superpage, one_exchanged, TIMEOUT)
{
	one_is_busy(_metadata, self, self->p.b, 0, VMBEAM_SWAP_EXCHANGE);
}

/* A hole in one side: that frame is refused, the rest goes. */
TEST_F_TIMEOUT(superpage, one_hole, TIMEOUT)
{
	ASSERT_EQ(0, domain_punch(self->p.b, 2 * SUPER + 100));
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR - 1, self->res.nr_swapped);
	EXPECT_EQ(NR - SUPER, self->res.nr_large);
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_B, self->status[2 * SUPER + 100]);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(0, domain_wrong(self->p.a, 0, NR, SEED_A, 0));
}

static const struct vmbeam_extent_pair kept[] = {
	{ .gfn_a = 0, .gfn_b = 0, .nr = 1 }, { .gfn_a = 3, .gfn_b = 3, .nr = 2 },
	{ .gfn_a = SUPER - 1, .gfn_b = SUPER - 1, .nr = 2 }, { .gfn_a = SUPER + 1, .gfn_b = SUPER + 1, .nr = 1 },
	{ .gfn_a = 2 * SUPER, .gfn_b = 2 * SUPER, .nr = 1 }, { .gfn_a = NR - 1, .gfn_b = NR - 1, .nr = 1 },
};

#define NR_KEPT_RUNS ARRAY_SIZE(kept)

static bool is_kept(uint64_t gfn)
{
	unsigned int i;

	for (i = 0; i < NR_KEPT_RUNS; i++)
		if (gfn >= kept[i].gfn_a && gfn < kept[i].gfn_a + kept[i].nr)
			return true;
	return false;
}

/* At an excluded gfn each side has what it had; whether the frame behind it went depends on how its neighbours went. */
static void expect_kept(struct __test_metadata *_metadata, FIXTURE_DATA(superpage) *self, bool frames_went)
{
	uint64_t i;

	read_mfns(_metadata, self);
	for (i = 0; i < NR; i++) {
		bool went = !is_kept(i) || frames_went;

		ASSERT_EQ(is_kept(i) ? VMBEAM_PAIR_KEPT : VMBEAM_PAIR_SWAPPED, self->status[i]);
		ASSERT_EQ(went ? self->mfn_b[i] : self->mfn_a[i], self->now_a[i]);
		ASSERT_EQ(went ? self->mfn_a[i] : self->mfn_b[i], self->now_b[i]);
		if (is_kept(i))
			ASSERT_EQ(0, pair_wrong(&self->p, i, 1));
	}
	EXPECT_EQ(NR_KEPT, pair_wrong_crosswise(&self->p, 0, NR) / 2);
}

TEST_F_TIMEOUT(superpage, excluded, TIMEOUT)
{
	const struct vmbeam_extent_pair all = { .nr = NR };

	ASSERT_EQ(0, txn_swap_but(self->txn, &all, 1, kept, NR_KEPT_RUNS, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_done);
	EXPECT_EQ(NR - NR_KEPT, self->res.nr_swapped);
	EXPECT_EQ(NR_KEPT, self->res.nr_kept);
	EXPECT_EQ(NR, self->res.nr_large);
	expect_kept(_metadata, self, true);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

/* By 4 KiB pairs the excluded ones are not touched at all. */
TEST_F_TIMEOUT(superpage, excluded_and_split, TIMEOUT)
{
	struct vmbeam_extent_pair halves[8];
	int i;

	for (i = 0; i < 8; i++)
		halves[i] = (struct vmbeam_extent_pair) { .gfn_a = i * 256, .gfn_b = i * 256, .nr = 256 };
	/* One excluded run crosses a border: an excluded extent is within one. */
	ASSERT_EQ(-EINVAL, txn_swap_but(self->txn, halves, 8, kept, NR_KEPT_RUNS, 0, self->status, &self->res));
	expect_back(_metadata, self);
	struct vmbeam_extent_pair split[NR_KEPT_RUNS + 1];

	memcpy(split, kept, 2 * sizeof(kept[0]));
	split[2] = (struct vmbeam_extent_pair) { .gfn_a = SUPER - 1, .gfn_b = SUPER - 1, .nr = 1 };
	split[3] = (struct vmbeam_extent_pair) { .gfn_a = SUPER, .gfn_b = SUPER, .nr = 1 };
	memcpy(split + 4, kept + 3, 3 * sizeof(kept[0]));
	ASSERT_EQ(0, txn_swap_but(self->txn, halves, 8, split, NR_KEPT_RUNS + 1, 0, self->status, &self->res));
	EXPECT_EQ(NR_KEPT, self->res.nr_kept);
	EXPECT_EQ(0, self->res.nr_large);
	expect_kept(_metadata, self, false);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

/* An excluded frame that is busy takes its superpage down, or a mapped frame would get another owner. */
TEST_F_TIMEOUT(superpage, excluded_and_busy, TIMEOUT)
{
	const struct vmbeam_extent_pair all = { .nr = NR };
	void *addr = domain_map(self->p.a, 3, 1, PROT_READ);

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, txn_swap_but(self->txn, &all, 1, kept, NR_KEPT_RUNS, 0, self->status, &self->res));
	EXPECT_EQ(NR_KEPT, self->res.nr_kept);
	EXPECT_EQ(NR - NR_KEPT, self->res.nr_swapped);
	EXPECT_EQ(NR - SUPER, self->res.nr_large);
	read_mfns(_metadata, self);
	EXPECT_EQ(self->mfn_a[3], self->now_a[3]);
	ASSERT_EQ(0, domain_unmap(addr, 1));
	EXPECT_EQ(0, pair_wrong(&self->p, 3, 2));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 5, SUPER - 6));
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* Everything excluded: nothing to see, whatever was done. */
TEST_F_TIMEOUT(superpage, all_excluded, TIMEOUT)
{
	const struct vmbeam_extent_pair all = { .nr = NR };

	ASSERT_EQ(0, txn_swap_but(self->txn, &all, 1, &all, 1, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_kept);
	EXPECT_EQ(0, self->res.nr_swapped);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_back(_metadata, self);
}

HOST_MAIN(1)
