// SPDX-License-Identifier: GPL-2.0
/*
 * Domains in a state in which something besides the P2M depends on which frames they have: they are refused as a whole,
 * on either side, and nothing is touched. When the state ends, so does the refusal.
 */
#include "host.h"

#define NR 64
#define VGA_MFN 0xa0	/* what it holds does not matter: nobody looks */
#define POST_PORT 0x80

FIXTURE(states)
{
	struct pair p;
	struct vmbeam_txn_swap res;
	int txn;
};

FIXTURE_SETUP(states)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	/* For log-dirty there must be one; it never runs. */
	ASSERT_EQ(0, xc_domain_max_vcpus(xch, self->p.a, 1));
	ASSERT_EQ(0, xc_domain_max_vcpus(xch, self->p.b, 1));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(states)
{
	close(self->txn);
	pair_teardown(&self->p);
}

static void refused(struct __test_metadata *_metadata, FIXTURE_DATA(states) *self)
{
	EXPECT_EQ(-EOPNOTSUPP, txn_swap_list(self->txn, NULL, 0, 0, NULL, &self->res));
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(self->txn, 0, 0, NR, VMBEAM_SWAP_EXCHANGE, NULL, &self->res));
	EXPECT_EQ(0, self->res.nr_done);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

static void swapped(struct __test_metadata *_metadata, FIXTURE_DATA(states) *self)
{
	EXPECT_EQ(0, txn_swap_list(self->txn, NULL, 0, 0, NULL, &self->res));
	EXPECT_EQ(0, self->res.nr_done);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
	EXPECT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
	EXPECT_EQ(NR, self->res.nr_swapped);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	EXPECT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
}

TEST_F_TIMEOUT(states, log_dirty, TIMEOUT)
{
	const uint32_t domids[] = { self->p.a, self->p.b };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, xc_shadow_control(xch, domids[i], XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, 0));
		refused(_metadata, self);
		ASSERT_EQ(0, xc_shadow_control(xch, domids[i], XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0));
		swapped(_metadata, self);
	}
}

TEST_F_TIMEOUT(states, device_memory, TIMEOUT)
{
	const uint32_t domids[] = { self->p.a, self->p.b };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, xc_domain_iomem_permission(xch, domids[i], VGA_MFN, 1, 1));
		refused(_metadata, self);
		ASSERT_EQ(0, xc_domain_iomem_permission(xch, domids[i], VGA_MFN, 1, 0));
		swapped(_metadata, self);
	}
}

TEST_F_TIMEOUT(states, device_ports, TIMEOUT)
{
	const uint32_t domids[] = { self->p.a, self->p.b };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, xc_domain_ioport_permission(xch, domids[i], POST_PORT, 1, 1));
		refused(_metadata, self);
		ASSERT_EQ(0, xc_domain_ioport_permission(xch, domids[i], POST_PORT, 1, 0));
		swapped(_metadata, self);
	}
}

/* Frames that are there only when they are touched. They do not end: the last one would have to be touched. */
TEST_F_TIMEOUT(states, populate_on_demand, TIMEOUT)
{
	uint32_t pod;
	xen_pfn_t first = 0;
	int txn;

	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	ASSERT_EQ(0, domain_create(&pod, 1024));
	ASSERT_EQ(0, xc_domain_populate_physmap_exact(xch, pod, 1, ORDER_2M, XENMEMF_populate_on_demand, &first));
	ASSERT_EQ(0, xc_domain_set_pod_target(xch, pod, 256, NULL, NULL, NULL));
	txn = txn_begin(self->p.dev, self->p.a, pod, NULL);
	ASSERT_LE(0, txn);
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(txn, 0, 0, NR, 0, NULL, &self->res));
	close(txn);
	txn = txn_begin(self->p.dev, pod, self->p.a, NULL);
	ASSERT_LE(0, txn);
	EXPECT_EQ(-EOPNOTSUPP, txn_swap(txn, 0, 0, NR, 0, NULL, &self->res));
	close(txn);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* Another view of the same memory: not with every processor. */
TEST_F_TIMEOUT(states, altp2m, TIMEOUT)
{
	if (xc_hvm_param_set(xch, self->p.a, HVM_PARAM_ALTP2M, XEN_ALTP2M_mixed) ||
	    xc_altp2m_set_domain_state(xch, self->p.a, 1))
		SKIP(return, "no altp2m here: %s", strerror(errno));
	refused(_metadata, self);
	ASSERT_EQ(0, xc_altp2m_set_domain_state(xch, self->p.a, 0));
	swapped(_metadata, self);
}

HOST_MAIN(0)
