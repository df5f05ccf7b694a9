// SPDX-License-Identifier: GPL-2.0
/* What is refused, frame by frame and domain by domain; and that nothing else is touched by it. */
#include "host.h"

#include <xendevicemodel.h>	/* wants xenctrl.h first */

#define NR 64
/* Nothing is there: between the domain's memory and its last frame. */
#define HOLE (NR + 1)
#define SPECIAL (NR + 2)
#define LAST (NR + 3)

FIXTURE(refuse)
{
	struct pair p;
	struct vmbeam_txn_swap res;
	uint64_t id;
	int txn;
	uint8_t status[NR];
};

FIXTURE_SETUP(refuse)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	ASSERT_EQ(0, domain_populate(self->p.a, LAST, 1, ORDER_4K));
	ASSERT_EQ(0, domain_populate(self->p.b, LAST, 1, ORDER_4K));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(refuse)
{
	close(self->txn);
	pair_teardown(&self->p);
}

static uint8_t one_status(FIXTURE_DATA(refuse) *self, uint64_t gfn_a, uint64_t gfn_b)
{
	uint8_t status = 0xff;
	int rc = txn_swap(self->txn, gfn_a, gfn_b, 1, 0, &status, &self->res);

	return rc ? 0xfe : status;
}

/* A busy frame stays; its neighbours are swapped all the same. */
static void busy_while_mapped(struct __test_metadata *_metadata, FIXTURE_DATA(refuse) *self, uint32_t domid,
			      int prot, uint8_t side)
{
	void *addr = domain_map(domid, 10, 2, prot);
	uint8_t status;

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR, self->res.nr_done);
	EXPECT_EQ(NR - 2, self->res.nr_swapped);
	EXPECT_EQ(2, self->res.nr_busy);
	EXPECT_EQ(0, self->res.nr_refused);
	EXPECT_EQ(VMBEAM_PAIR_BUSY | side, self->status[10]);
	EXPECT_EQ(VMBEAM_PAIR_BUSY | side, self->status[11]);
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, self->status[9]);
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, self->status[12]);
	ASSERT_EQ(0, domain_unmap(addr, 2));
	EXPECT_EQ(0, pair_wrong(&self->p, 10, 2));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, 10));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 12, NR - 12));
	/* No longer mapped: no longer busy. */
	status = one_status(self, 10, 10);
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, status);
}

TEST_F_TIMEOUT(refuse, busy_a_writable, TIMEOUT)
{
	busy_while_mapped(_metadata, self, self->p.a, PROT_READ | PROT_WRITE, VMBEAM_PAIR_SIDE_A);
}

TEST_F_TIMEOUT(refuse, busy_a_readonly, TIMEOUT)
{
	busy_while_mapped(_metadata, self, self->p.a, PROT_READ, VMBEAM_PAIR_SIDE_A);
}

TEST_F_TIMEOUT(refuse, busy_b_writable, TIMEOUT)
{
	busy_while_mapped(_metadata, self, self->p.b, PROT_READ | PROT_WRITE, VMBEAM_PAIR_SIDE_B);
}

TEST_F_TIMEOUT(refuse, hole, TIMEOUT)
{
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_A, one_status(self, HOLE, 0));
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_B, one_status(self, 0, HOLE));
	EXPECT_EQ(1, self->res.nr_done);
	EXPECT_EQ(1, self->res.nr_refused);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* Memory that the domain itself may not write. */
TEST_F_TIMEOUT(refuse, read_only, TIMEOUT)
{
	xendevicemodel_handle *dm = xendevicemodel_open(NULL, 0);

	ASSERT_NE(NULL, dm);
	ASSERT_EQ(0, xendevicemodel_set_mem_type(dm, self->p.a, HVMMEM_ram_ro, 5, 1));
	ASSERT_EQ(0, xendevicemodel_set_mem_type(dm, self->p.b, HVMMEM_ram_ro, 6, 1));
	xendevicemodel_close(dm);
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR - 2, self->res.nr_swapped);
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_A, self->status[5]);
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_B, self->status[6]);
	EXPECT_EQ(0, pair_wrong(&self->p, 5, 2));
}

/* A device model wants to know which frames of its screen are written. */
TEST_F_TIMEOUT(refuse, video_memory, TIMEOUT)
{
	xendevicemodel_handle *dm = xendevicemodel_open(NULL, 0);
	unsigned long written[1];
	int i;

	ASSERT_NE(NULL, dm);
	ASSERT_EQ(0, xc_domain_max_vcpus(xch, self->p.b, 1));
	ASSERT_EQ(0, xendevicemodel_track_dirty_vram(dm, self->p.b, 16, 8, written));
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(NR - 8, self->res.nr_swapped);
	for (i = 16; i < 24; i++)
		EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_B, self->status[i]);
	EXPECT_EQ(0, pair_wrong(&self->p, 16, 8));
	xendevicemodel_close(dm);
}

TEST_F_TIMEOUT(refuse, shared_info, TIMEOUT)
{
	ASSERT_EQ(0, xc_domain_add_to_physmap(xch, self->p.a, XENMAPSPACE_shared_info, 0, SPECIAL));
	EXPECT_EQ(VMBEAM_PAIR_SPECIAL | VMBEAM_PAIR_SIDE_A, one_status(self, SPECIAL, 0));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(refuse, grant_table, TIMEOUT)
{
	ASSERT_EQ(0, xc_domain_add_to_physmap(xch, self->p.b, XENMAPSPACE_grant_table, 0, SPECIAL));
	EXPECT_EQ(VMBEAM_PAIR_SPECIAL | VMBEAM_PAIR_SIDE_B, one_status(self, 0, SPECIAL));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(refuse, beyond_the_last, TIMEOUT)
{
	EXPECT_EQ(VMBEAM_PAIR_RANGE | VMBEAM_PAIR_SIDE_A, one_status(self, LAST + 1, 0));
	EXPECT_EQ(VMBEAM_PAIR_RANGE | VMBEAM_PAIR_SIDE_B, one_status(self, 0, LAST + 1));
	EXPECT_EQ(VMBEAM_PAIR_RANGE | VMBEAM_PAIR_SIDE_A, one_status(self, 1ULL << 40, 0));
	EXPECT_EQ(VMBEAM_PAIR_RANGE | VMBEAM_PAIR_SIDE_A, one_status(self, ~0ULL - 1, 0));
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, one_status(self, LAST, LAST));
}

/* Of a list in which a frame occurs twice, the first occurrence counts. */
TEST_F_TIMEOUT(refuse, duplicates, TIMEOUT)
{
	const struct vmbeam_extent_pair pairs[] = {
		{ .gfn_a = 0, .gfn_b = 0, .nr = 4 },
		{ .gfn_a = 2, .gfn_b = 20, .nr = 1 },
		{ .gfn_a = 30, .gfn_b = 3, .nr = 1 },
		{ .gfn_a = 40, .gfn_b = 40, .nr = 1 },
	};

	ASSERT_EQ(0, txn_swap_list(self->txn, pairs, 4, 0, self->status, &self->res));
	EXPECT_EQ(7, self->res.nr_done);
	EXPECT_EQ(5, self->res.nr_swapped);
	EXPECT_EQ(2, self->res.nr_refused);
	EXPECT_EQ(VMBEAM_PAIR_DUPLICATE | VMBEAM_PAIR_SIDE_A, self->status[4]);
	EXPECT_EQ(VMBEAM_PAIR_DUPLICATE | VMBEAM_PAIR_SIDE_B, self->status[5]);
	EXPECT_EQ(VMBEAM_PAIR_SWAPPED, self->status[6]);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, 4));
	EXPECT_EQ(0, pair_wrong(&self->p, 4, 36));
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 40, 1));
}

TEST_F_TIMEOUT(refuse, no_such_domain, TIMEOUT)
{
	int txn;

	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	txn = txn_begin(self->p.dev, self->p.a, 32000, NULL);
	ASSERT_LE(0, txn);
	EXPECT_EQ(-ESRCH, txn_swap(txn, 0, 0, NR, 0, self->status, &self->res));
	EXPECT_EQ(0, self->res.nr_done);
	EXPECT_EQ(NR, count_status(self->status, NR, VMBEAM_PAIR_SKIPPED));
	close(txn);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* A mapping keeps a destroyed domain from going: it is dying, and what it holds is about to be freed. */
TEST_F_TIMEOUT(refuse, dying_domain, TIMEOUT)
{
	void *addr = domain_map(self->p.b, 1, 1, PROT_READ);

	ASSERT_NE(NULL, addr);
	ASSERT_EQ(0, domain_destroy(self->p.b));
	EXPECT_EQ(-ESRCH, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
	EXPECT_EQ(0, self->res.nr_done);
	EXPECT_EQ(0, domain_wrong(self->p.a, 0, NR, SEED_A, 0));
	domain_unmap(addr, 1);
}

TEST_F_TIMEOUT(refuse, pv_domain, TIMEOUT)
{
	uint32_t pv;
	int txn;

	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	if (domain_create_flags(&pv, 0, NR))
		SKIP(return, "no PV domains here: %s", strerror(errno));
	txn = txn_begin(self->p.dev, self->p.a, pv, NULL);
	ASSERT_LE(0, txn);
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(txn, 0, 0, 1, 0, NULL, &self->res));
	close(txn);
	txn = txn_begin(self->p.dev, pv, self->p.a, NULL);
	ASSERT_LE(0, txn);
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(txn, 0, 0, 1, 0, NULL, &self->res));
	close(txn);
}

HOST_MAIN(0)
