// SPDX-License-Identifier: GPL-2.0
/* The contents of busy pairs change places; the frames do not. */
#include "host.h"

#define NR 64
#define BUSY 10
#define NR_BUSY 3

FIXTURE(exchange)
{
	struct pair p;
	struct vmbeam_txn_swap res;
	uint64_t id, before_a[NR], before_b[NR], now_a[NR], now_b[NR];
	uint8_t status[NR];
	int txn;
};

FIXTURE_SETUP(exchange)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->before_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->before_b, NR));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(exchange)
{
	close(self->txn);
	pair_teardown(&self->p);
}

/* All but the busy ones change hands; those keep their frame and get the other's contents. */
static void swap_with_busy(struct __test_metadata *_metadata, FIXTURE_DATA(exchange) *self, uint32_t busy_domid)
{
	void *addr = domain_map(busy_domid, BUSY, NR_BUSY, PROT_READ);
	uint32_t i;

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, VMBEAM_SWAP_EXCHANGE, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_done);
	EXPECT_EQ(NR - NR_BUSY, self->res.nr_swapped);
	EXPECT_EQ(NR_BUSY, self->res.nr_exchanged);
	EXPECT_EQ(0, self->res.nr_busy + self->res.nr_refused);
	EXPECT_EQ(NR_BUSY, count_status(self->status + BUSY, NR_BUSY, VMBEAM_PAIR_EXCHANGED));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	ASSERT_EQ(0, domain_unmap(addr, NR_BUSY));

	ASSERT_EQ(0, domain_mfns(self->p.a, 0, self->now_a, NR));
	ASSERT_EQ(0, domain_mfns(self->p.b, 0, self->now_b, NR));
	for (i = 0; i < NR; i++) {
		bool busy = i >= BUSY && i < BUSY + NR_BUSY;

		EXPECT_EQ(busy ? self->before_a[i] : self->before_b[i], self->now_a[i]);
		EXPECT_EQ(busy ? self->before_b[i] : self->before_a[i], self->now_b[i]);
	}
}

TEST_F_TIMEOUT(exchange, busy_a, TIMEOUT)
{
	swap_with_busy(_metadata, self, self->p.a);
}

TEST_F_TIMEOUT(exchange, busy_b, TIMEOUT)
{
	swap_with_busy(_metadata, self, self->p.b);
}

/* Who has the busy frame mapped sees the new contents: it is the same frame. */
TEST_F_TIMEOUT(exchange, the_mapping_sees_it, TIMEOUT)
{
	uint64_t *of_a = domain_map(self->p.a, BUSY, 1, PROT_READ), *of_b, old_a;

	ASSERT_NE(NULL, of_a);
	of_b = domain_map(self->p.b, BUSY, 1, PROT_READ);
	ASSERT_NE(NULL, of_b);
	old_a = *of_a;
	ASSERT_NE(old_a, *of_b);
	ASSERT_EQ(0, txn_swap(self->txn, BUSY, BUSY, 1, VMBEAM_SWAP_EXCHANGE, self->status, &self->res));
	EXPECT_EQ(VMBEAM_PAIR_EXCHANGED, self->status[0]);
	EXPECT_EQ(old_a, *of_b);
	EXPECT_NE(old_a, *of_a);
	domain_unmap(of_a, 1);
	domain_unmap(of_b, 1);
}

/* An exchanged pair is put back by a rollback, whether it is still busy then or not. */
TEST_F_TIMEOUT(exchange, rollback_still_busy, TIMEOUT)
{
	void *addr = domain_map(self->p.a, BUSY, NR_BUSY, PROT_READ);

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, VMBEAM_SWAP_EXCHANGE, self->status, &self->res));
	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	ASSERT_EQ(0, domain_unmap(addr, NR_BUSY));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(exchange, rollback_no_longer_busy, TIMEOUT)
{
	swap_with_busy(_metadata, self, self->p.a);
	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* The flag is for busy pairs: it lets nothing else through. */
TEST_F_TIMEOUT(exchange, a_hole_is_still_refused, TIMEOUT)
{
	ASSERT_EQ(0, domain_punch(self->p.a, 5));
	ASSERT_EQ(0, txn_swap(self->txn, 5, 5, 1, VMBEAM_SWAP_EXCHANGE, self->status, &self->res));
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_A, self->status[0]);
	EXPECT_EQ(1, self->res.nr_refused);
	EXPECT_EQ(0, domain_wrong(self->p.b, 0, NR, SEED_B, 0));
}

HOST_MAIN(1)
