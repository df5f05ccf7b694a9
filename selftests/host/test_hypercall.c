// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercall itself, without the module, which would not let such arguments through: what it refuses as a whole, and
 * that nothing was touched then.
 */
#include <string.h>

#include "host.h"

#include <xencall.h>

#include "p2m_swap.h"

#define NR 64
#define LIST_PAGES ((XEN_P2M_SWAP_MAX_EXTENTS + 1) * sizeof(xen_p2m_swap_extent_t) / 4096 + 1)
#define STATUS_PAGES (XEN_P2M_SWAP_MAX_PAIRS / 4096)

FIXTURE(hypercall)
{
	struct pair p;
	xencall_handle *xcall;
	xen_p2m_swap_t *op;
	xen_p2m_swap_extent_t *extents, *excluded;
	uint8_t *status;
};

FIXTURE_SETUP(hypercall)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	self->xcall = xencall_open(NULL, 0);
	ASSERT_NE(NULL, self->xcall);
	self->op = xencall_alloc_buffer_pages(self->xcall, 1);
	self->extents = xencall_alloc_buffer_pages(self->xcall, LIST_PAGES);
	self->excluded = xencall_alloc_buffer_pages(self->xcall, LIST_PAGES);
	self->status = xencall_alloc_buffer_pages(self->xcall, STATUS_PAGES);
	ASSERT_TRUE(self->op && self->extents && self->excluded && self->status);
	memset(self->op, 0, sizeof(*self->op));
	memset(self->extents, 0, LIST_PAGES * 4096);
	memset(self->excluded, 0, LIST_PAGES * 4096);
	memset(self->status, 0xff, STATUS_PAGES * 4096);
	self->op->domid_a = self->p.a;
	self->op->domid_b = self->p.b;
	self->op->nr_extents = 1;
	set_xen_guest_handle_raw(self->op->extents, self->extents);
	set_xen_guest_handle_raw(self->op->excluded, self->excluded);
	set_xen_guest_handle_raw(self->op->status, self->status);
	self->extents[0].nr = NR;
}

FIXTURE_TEARDOWN(hypercall)
{
	/* The buffers go with the handle's process: nothing else has them. */
	xencall_close(self->xcall);
	pair_teardown(&self->p);
}

static int issue(FIXTURE_DATA(hypercall) *self)
{
	return xencall2(self->xcall, __HYPERVISOR_memory_op, XENMEM_p2m_swap, (uintptr_t)self->op) < 0 ? errno : 0;
}

#define EXPECT_REFUSED(error)					\
do {								\
	EXPECT_EQ(error, issue(self));				\
	EXPECT_EQ(0, self->op->nr_done);			\
	EXPECT_EQ(0xff, self->status[0]);			\
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));		\
} while (0)

/* The rest of this file means something only if it can succeed. */
TEST_F_TIMEOUT(hypercall, succeeds, TIMEOUT)
{
	ASSERT_EQ(0, issue(self));
	EXPECT_EQ(NR, self->op->nr_done);
	EXPECT_EQ(NR, count_status(self->status, NR, XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(0xff, self->status[NR]);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
}

TEST_F_TIMEOUT(hypercall, unknown_flags, TIMEOUT)
{
	self->op->flags = 1U << 2;
	EXPECT_REFUSED(EINVAL);
	self->op->flags = 1U << 31;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, the_same_domain, TIMEOUT)
{
	self->op->domid_b = self->p.a;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, the_caller, TIMEOUT)
{
	self->op->domid_b = 0;
	EXPECT_REFUSED(EINVAL);
	self->op->domid_b = DOMID_SELF;
	EXPECT_REFUSED(EINVAL);
	self->op->domid_b = self->p.b;
	self->op->domid_a = 0;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, no_domain, TIMEOUT)
{
	self->op->domid_b = DOMID_INVALID;
	EXPECT_REFUSED(ESRCH);
	self->op->domid_b = self->p.b;
	self->op->domid_a = DOMID_IDLE;
	EXPECT_REFUSED(ESRCH);
}

TEST_F_TIMEOUT(hypercall, an_empty_extent, TIMEOUT)
{
	self->extents[0].nr = 0;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, padding, TIMEOUT)
{
	self->extents[0].pad = 1;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, overflow_a, TIMEOUT)
{
	self->extents[0].gfn_a = -(uint64_t)NR + 1;
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, overflow_b, TIMEOUT)
{
	self->extents[0].gfn_b = -(uint64_t)NR + 1;
	EXPECT_REFUSED(EINVAL);
}

/* A list that is refused for its second extent, or for what is excluded, is known to be bad before anything is done. */
static void all_single(xen_p2m_swap_extent_t *list, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		list[i] = (xen_p2m_swap_extent_t){ .gfn_a = i % NR, .gfn_b = i % NR, .nr = 1 };
}

TEST_F_TIMEOUT(hypercall, too_many_extents, TIMEOUT)
{
	all_single(self->extents, XEN_P2M_SWAP_MAX_EXTENTS + 1);
	self->op->nr_extents = XEN_P2M_SWAP_MAX_EXTENTS + 1;
	EXPECT_REFUSED(E2BIG);
	self->op->nr_extents = ~0U;
	EXPECT_REFUSED(E2BIG);
}

TEST_F_TIMEOUT(hypercall, too_many_excluded, TIMEOUT)
{
	all_single(self->excluded, XEN_P2M_SWAP_MAX_EXTENTS + 1);
	self->op->nr_excluded = XEN_P2M_SWAP_MAX_EXTENTS + 1;
	EXPECT_REFUSED(E2BIG);
}

TEST_F_TIMEOUT(hypercall, too_many_pairs, TIMEOUT)
{
	self->op->nr_extents = 2;
	self->op->nr_excluded = 1;
	self->excluded[0].nr = 1;
	self->extents[1] = (xen_p2m_swap_extent_t){ .gfn_a = NR, .gfn_b = NR, .nr = XEN_P2M_SWAP_MAX_PAIRS - NR + 1 };
	EXPECT_REFUSED(E2BIG);
	self->extents[1].nr = ~0U - NR + 1;
	EXPECT_REFUSED(E2BIG);
}

/* Without excluded ones it is known when it is reached: nr_done says so, and nothing is written behind the statuses. */
TEST_F_TIMEOUT(hypercall, too_many_pairs_on_the_way, TIMEOUT)
{
	self->op->nr_extents = 2;
	self->extents[1] = (xen_p2m_swap_extent_t){ .gfn_a = NR, .gfn_b = NR, .nr = XEN_P2M_SWAP_MAX_PAIRS - NR + 1 };
	EXPECT_EQ(E2BIG, issue(self));
	EXPECT_GE(XEN_P2M_SWAP_MAX_PAIRS, self->op->nr_done);
	EXPECT_LE(NR, self->op->nr_done);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
}

TEST_F_TIMEOUT(hypercall, excluded_elsewhere, TIMEOUT)
{
	self->op->nr_excluded = 1;
	self->excluded[0] = (xen_p2m_swap_extent_t){ .gfn_a = NR, .gfn_b = NR, .nr = 1 };
	EXPECT_REFUSED(EINVAL);
	/* Its end is. */
	self->excluded[0] = (xen_p2m_swap_extent_t){ .gfn_a = NR - 1, .gfn_b = NR - 1, .nr = 2 };
	EXPECT_REFUSED(EINVAL);
	/* Not a pair of the extent. */
	self->excluded[0] = (xen_p2m_swap_extent_t){ .gfn_a = 1, .gfn_b = 2, .nr = 1 };
	EXPECT_REFUSED(EINVAL);
	self->excluded[0] = (xen_p2m_swap_extent_t){ .gfn_a = 1, .gfn_b = 1, .nr = 0 };
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, excluded_in_no_order, TIMEOUT)
{
	self->op->nr_excluded = 2;
	self->excluded[0] = (xen_p2m_swap_extent_t){ .gfn_a = 5, .gfn_b = 5, .nr = 2 };
	self->excluded[1] = (xen_p2m_swap_extent_t){ .gfn_a = 6, .gfn_b = 6, .nr = 1 };
	EXPECT_REFUSED(EINVAL);
	self->excluded[1] = (xen_p2m_swap_extent_t){ .gfn_a = 4, .gfn_b = 4, .nr = 1 };
	EXPECT_REFUSED(EINVAL);
}

TEST_F_TIMEOUT(hypercall, done_beyond_the_end, TIMEOUT)
{
	self->op->nr_done = NR + 1;
	EXPECT_EQ(EINVAL, issue(self));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
	self->op->nr_done = ~0ULL;
	EXPECT_EQ(EINVAL, issue(self));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(hypercall, bad_lists, TIMEOUT)
{
	void *nowhere = (void *)4096;	/* where nothing may be mapped */

	set_xen_guest_handle_raw(self->op->extents, nowhere);
	EXPECT_REFUSED(EFAULT);
	set_xen_guest_handle_raw(self->op->extents, self->extents);
	self->op->nr_excluded = 1;
	set_xen_guest_handle_raw(self->op->excluded, nowhere);
	EXPECT_REFUSED(EFAULT);
}

/* Then the pairs are swapped, and counted, without a status: to swap them back is to do the same once more. */
TEST_F_TIMEOUT(hypercall, bad_status, TIMEOUT)
{
	set_xen_guest_handle_raw(self->op->status, (void *)4096);
	EXPECT_EQ(EFAULT, issue(self));
	EXPECT_EQ(NR, self->op->nr_done);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	self->op->nr_done = 0;
	set_xen_guest_handle_raw(self->op->status, self->status);
	EXPECT_EQ(0, issue(self));
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

HOST_MAIN(0)
