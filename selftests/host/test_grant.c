// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that a domain grants to another one: a grant names a gfn, so it alone holds nothing; a mapping of it holds the
 * frame.
 */
#include "host.h"

#include <xengnttab.h>	/* wants xenctrl.h first */

#define NR 64
#define FRAME 10
#define REF 8	/* the first ones are reserved */

FIXTURE(grant)
{
	struct pair p;
	struct vmbeam_txn_swap res;
	xengnttab_handle *gnttab;
	int txn;
	uint8_t status[NR];
};

FIXTURE_SETUP(grant)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	self->gnttab = xengnttab_open(NULL, 0);
	ASSERT_NE(NULL, self->gnttab);
	ASSERT_EQ(0, domain_grant(self->p.a, REF, 0, FRAME));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(grant)
{
	close(self->txn);
	xengnttab_close(self->gnttab);
	pair_teardown(&self->p);
}

static void busy_while_granted(struct __test_metadata *_metadata, FIXTURE_DATA(grant) *self, int prot)
{
	uint64_t *page = xengnttab_map_grant_ref(self->gnttab, self->p.a, REF, prot);
	uint64_t word;

	ASSERT_NE(NULL, page);
	word = page[3];
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR - 1, self->res.nr_swapped);
	EXPECT_EQ(VMBEAM_PAIR_BUSY | VMBEAM_PAIR_SIDE_A, self->status[FRAME]);
	EXPECT_EQ(word, page[3]);
	ASSERT_EQ(0, xengnttab_unmap(self->gnttab, page, 1));
	EXPECT_EQ(0, pair_wrong(&self->p, FRAME, 1));
	/* No longer mapped: no longer busy. */
	ASSERT_EQ(0, txn_swap(self->txn, FRAME, FRAME, 1, 0, self->status, &self->res));
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, self->status[0]);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
}

TEST_F_TIMEOUT(grant, mapped_readonly, TIMEOUT)
{
	busy_while_granted(_metadata, self, PROT_READ);
}

TEST_F_TIMEOUT(grant, mapped_writable, TIMEOUT)
{
	busy_while_granted(_metadata, self, PROT_READ | PROT_WRITE);
}

/* Who maps it afterwards sees what the domain has there now, and nothing of what went. */
TEST_F_TIMEOUT(grant, mapped_afterwards, TIMEOUT)
{
	uint64_t *page, *now;

	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_swapped);
	page = xengnttab_map_grant_ref(self->gnttab, self->p.a, REF, PROT_READ);
	ASSERT_NE(NULL, page);
	now = domain_map(self->p.a, FRAME, 1, PROT_READ);
	ASSERT_NE(NULL, now);
	EXPECT_EQ(0, memcmp(page, now, XC_PAGE_SIZE));
	EXPECT_EQ(0, domain_unmap(now, 1));
	EXPECT_EQ(0, xengnttab_unmap(self->gnttab, page, 1));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
}

HOST_MAIN(0)
