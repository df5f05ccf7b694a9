// SPDX-License-Identifier: GPL-2.0
/* The transaction: what ends it, what is put back then, and what is told of it afterwards. */
#include <signal.h>

#include "host.h"

#define NR 256

FIXTURE(txn)
{
	struct pair p;
	struct vmbeam_txn_outcome outcome;
	struct vmbeam_txn_swap res;
	uint64_t id;
	int txn;
};

FIXTURE_SETUP(txn)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_4K));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
	ASSERT_NE(0, self->id);
}

FIXTURE_TEARDOWN(txn)
{
	if (self->txn >= 0)
		close(self->txn);
	pair_teardown(&self->p);
}

static void close_txn(FIXTURE_DATA(txn) *self)
{
	close(self->txn);
	self->txn = -1;
}

/* What the outcome says, after NR pairs were swapped. */
static void expect_outcome(struct __test_metadata *_metadata, FIXTURE_DATA(txn) *self, uint32_t state,
			   uint64_t rolled_back, uint64_t stuck)
{
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &self->outcome));
	EXPECT_EQ(state, self->outcome.state);
	EXPECT_EQ(self->id, self->outcome.id);
	EXPECT_EQ(self->p.a, self->outcome.domid_a);
	EXPECT_EQ(self->p.b, self->outcome.domid_b);
	EXPECT_EQ(sizeof(self->outcome), self->outcome.size);
	EXPECT_EQ(0, self->outcome.flags);
	EXPECT_EQ(NR, self->outcome.nr_swapped);
	EXPECT_EQ(rolled_back, self->outcome.nr_rolled_back);
	EXPECT_EQ(stuck, self->outcome.nr_stuck);
}

static void swap_all(struct __test_metadata *_metadata, FIXTURE_DATA(txn) *self)
{
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
	ASSERT_EQ(NR, self->res.nr_swapped);
}

TEST_F_TIMEOUT(txn, commit, TIMEOUT)
{
	swap_all(_metadata, self);
	expect_outcome(_metadata, self, VMBEAM_TXN_OPEN, 0, 0);
	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	expect_outcome(_metadata, self, VMBEAM_TXN_COMMITTED, 0, 0);
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_COMMITTED, 0, 0);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
}

TEST_F_TIMEOUT(txn, rollback, TIMEOUT)
{
	swap_all(_metadata, self);
	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(txn, close_without_commit, TIMEOUT)
{
	swap_all(_metadata, self);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* Frames that became busy since: their contents go back, which is all that the domains can see. */
TEST_F_TIMEOUT(txn, close_with_busy, TIMEOUT)
{
	void *of_a, *of_b;

	swap_all(_metadata, self);
	of_a = domain_map(self->p.a, 7, 3, PROT_READ | PROT_WRITE);
	of_b = domain_map(self->p.b, 200, 1, PROT_READ);
	ASSERT_NE(NULL, of_a);
	ASSERT_NE(NULL, of_b);
	close_txn(self);
	domain_unmap(of_a, 3);
	domain_unmap(of_b, 1);
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(txn, nothing_swapped, TIMEOUT)
{
	close_txn(self);
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &self->outcome));
	EXPECT_EQ(VMBEAM_TXN_ROLLED_BACK, self->outcome.state);
	EXPECT_EQ(0, self->outcome.nr_rolled_back);
}

TEST_F_TIMEOUT(txn, over_is_over, TIMEOUT)
{
	swap_all(_metadata, self);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(-EBADFD, txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res));
	EXPECT_EQ(0, self->res.nr_done);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	close_txn(self);

	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	ASSERT_LE(0, self->txn);
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_COMMIT));
}

/* The same frames several times over: only the strict reverse brings them home. */
TEST_F_TIMEOUT(txn, reverse_order, TIMEOUT)
{
	int i;

	/* A's frames wander through B's: a permutation, in which every swap has a frame in common with the last. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, txn_swap(self->txn, i % 3, i % 5, 40, 0, NULL, &self->res));
		ASSERT_EQ(40, self->res.nr_swapped);
	}
	EXPECT_LT(0, pair_wrong(&self->p, 0, NR));
	close_txn(self);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &self->outcome));
	EXPECT_EQ(20 * 40, self->outcome.nr_rolled_back);
}

/* A pair that cannot go back: its frame is gone. It is told, kept, and goes back once there is a frame again. */
TEST_F_TIMEOUT(txn, stuck_then_repaired, TIMEOUT)
{
	swap_all(_metadata, self);
	ASSERT_EQ(0, domain_punch(self->p.a, 99));
	EXPECT_EQ(-EBUSY, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, NR - 1, 1);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, 99));
	EXPECT_EQ(0, pair_wrong(&self->p, 100, NR - 100));
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	EXPECT_EQ(-EBADFD, txn_swap(self->txn, 0, 0, 1, 0, NULL, &self->res));
	/* Its domains are not free while somebody can still repair it. */
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.a, self->p.b, NULL));

	ASSERT_EQ(0, domain_populate(self->p.a, 99, 1, ORDER_4K));
	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	/* What A held is back; what B held went with the frame. */
	EXPECT_EQ(0, domain_wrong(self->p.a, 0, NR, SEED_A, 0));
}

/* The fd is gone, and the transaction is the module's: it is listed, opened by its id, and goes back later. */
TEST_F_TIMEOUT(txn, stuck_at_close, TIMEOUT)
{
	struct vmbeam_txn_outcome list[4];
	int fd;

	swap_all(_metadata, self);
	ASSERT_EQ(0, domain_punch(self->p.b, 3));
	ASSERT_EQ(0, domain_punch(self->p.b, 5));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, NR - 2, 2);
	/* One of the two: each try goes the other way round. */
	EXPECT_TRUE(self->outcome.stuck_gfn_a == 3 || self->outcome.stuck_gfn_a == 5);
	EXPECT_EQ(self->outcome.stuck_gfn_a, self->outcome.stuck_gfn_b);
	EXPECT_EQ(0, self->outcome.stuck_error);
	EXPECT_EQ(VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_B, self->outcome.stuck_status);
	ASSERT_EQ(1, txn_list(self->p.dev, list, 4));
	EXPECT_EQ(self->id, list[0].id);
	EXPECT_EQ(VMBEAM_TXN_STUCK, list[0].state);
	EXPECT_EQ(2, list[0].nr_stuck);
	/* Its domains are not free. */
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.a, self->p.b, NULL));

	EXPECT_EQ(-EBUSY, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_ROLLBACK));
	ASSERT_EQ(0, domain_populate(self->p.b, 3, 1, ORDER_4K));
	fd = txn_reopen(self->p.dev, self->id);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, txn_end(fd, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, NR - 1, 1);
	ASSERT_EQ(0, domain_populate(self->p.b, 5, 1, ORDER_4K));
	EXPECT_EQ(0, txn_end(fd, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(-EBADFD, txn_end(fd, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(-EBADFD, txn_reopen(self->p.dev, self->id));
	close(fd);
	EXPECT_EQ(0, txn_list(self->p.dev, list, 4));
	/* What B held is back; what A held went with the frames. */
	EXPECT_EQ(0, domain_wrong(self->p.b, 0, NR, SEED_B, 0));
}

/* What stands in the way of all pairs for a while: log-dirty mode, as of a live migration of the host VM. */
TEST_F_TIMEOUT(txn, stuck_while_log_dirty, TIMEOUT)
{
	swap_all(_metadata, self);
	/* For log-dirty there must be one; it never runs. */
	ASSERT_EQ(0, xc_domain_max_vcpus(xch, self->p.a, 1));
	ASSERT_EQ(0, xc_shadow_control(xch, self->p.a, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, 0));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, 0, NR);
	EXPECT_EQ(EOPNOTSUPP, self->outcome.stuck_error);
	ASSERT_EQ(0, xc_shadow_control(xch, self->p.a, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0));
	EXPECT_EQ(0, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_ROLLBACK));
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(txn, forgotten, TIMEOUT)
{
	int txn;

	swap_all(_metadata, self);
	EXPECT_EQ(-EBADFD, txn_end(self->txn, VMBEAM_TXN_FORGET));
	ASSERT_EQ(0, domain_punch(self->p.b, 3));
	close_txn(self);
	EXPECT_EQ(0, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_FORGET));
	expect_outcome(_metadata, self, VMBEAM_TXN_FORGOTTEN, NR - 1, 1);
	EXPECT_EQ(-EBADFD, txn_reopen(self->p.dev, self->id));
	txn = txn_begin(self->p.dev, self->p.a, self->p.b, NULL);
	EXPECT_LE(0, txn);
	close(txn);
}

TEST_F_TIMEOUT(txn, a_domain_is_destroyed, TIMEOUT)
{
	swap_all(_metadata, self);
	ASSERT_EQ(0, domain_destroy(self->p.b));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, 0, NR);
	EXPECT_EQ(ESRCH, self->outcome.stuck_error);
	EXPECT_EQ(-EBUSY, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_ROLLBACK));
	EXPECT_EQ(0, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_FORGET));
}

/* One that has a xenstore page, as each host VM has: until it is forgotten, no other domain can get its domid. */
TEST_F_TIMEOUT(txn, a_domain_that_is_destroyed_keeps_its_domid, TIMEOUT)
{
	xc_domaininfo_t info;

	EXPECT_EQ(0, txn_end(self->txn, VMBEAM_TXN_ROLLBACK));
	close_txn(self);
	ASSERT_EQ(0, domain_populate(self->p.b, NR, 1, ORDER_4K));
	ASSERT_EQ(0, xc_hvm_param_set(xch, self->p.b, HVM_PARAM_STORE_PFN, NR));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
	swap_all(_metadata, self);
	ASSERT_EQ(0, domain_destroy(self->p.b));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_STUCK, 0, NR);
	/* As far as it can be, it is taken down: what is left is what the module holds it by. */
	ASSERT_EQ(0, domain_info(self->p.b, &info));
	EXPECT_NE(0, info.flags & XEN_DOMINF_dying);
	EXPECT_NE(0, info.tot_pages);
	EXPECT_EQ(0, txn_end_by_id(self->p.dev, self->id, VMBEAM_TXN_FORGET));
	while (!domain_info(self->p.b, &info))
		usleep(10000);
}

/* A host VM that has crashed must still give back what it holds. */
TEST_F_TIMEOUT(txn, a_domain_is_shut_down, TIMEOUT)
{
	ASSERT_EQ(0, txn_swap(self->txn, 0, 0, NR / 2, 0, NULL, &self->res));
	ASSERT_EQ(0, xc_domain_shutdown(xch, self->p.b, SHUTDOWN_crash));
	ASSERT_EQ(0, txn_swap(self->txn, NR / 2, NR / 2, NR / 2, 0, NULL, &self->res));
	EXPECT_EQ(NR / 2, self->res.nr_swapped);
	EXPECT_EQ(0, pair_wrong_crosswise(&self->p, 0, NR));
	close_txn(self);
	expect_outcome(_metadata, self, VMBEAM_TXN_ROLLED_BACK, NR, 0);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

/* The owner is killed while it is at it. */
TEST_F_TIMEOUT(txn, kill_9, TIMEOUT)
{
	uint64_t rounds = 0;
	int told[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(told));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(told[0]);
		for (;;) {
			if (txn_swap(self->txn, 0, 0, NR, 0, NULL, &self->res) || self->res.nr_swapped != NR)
				_exit(1);
			if (!rounds++ && write(told[1], "x", 1) != 1)
				_exit(1);
		}
	}
	close(told[1]);
	/* Only the child's copy is left. */
	close_txn(self);
	ASSERT_EQ(1, read(told[0], &c, 1));
	close(told[0]);
	usleep(20000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));

	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &self->outcome));
	EXPECT_EQ(VMBEAM_TXN_ROLLED_BACK, self->outcome.state);
	EXPECT_EQ(0, self->outcome.nr_stuck);
	EXPECT_EQ(self->outcome.nr_swapped, self->outcome.nr_rolled_back);
	EXPECT_LE(NR, self->outcome.nr_swapped);
	EXPECT_EQ(0, pair_wrong(&self->p, 0, NR));
}

TEST_F_TIMEOUT(txn, one_per_domain, TIMEOUT)
{
	uint32_t c;
	int txn;

	ASSERT_EQ(0, domain_create(&c, 1));
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.a, self->p.b, NULL));
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.b, self->p.a, NULL));
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.a, c, NULL));
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, c, self->p.b, NULL));
	/* It is over with the commit, not with the close. */
	ASSERT_EQ(0, txn_end(self->txn, VMBEAM_TXN_COMMIT));
	txn = txn_begin(self->p.dev, self->p.b, self->p.a, NULL);
	EXPECT_LE(0, txn);
	close(txn);
	txn = txn_begin(self->p.dev, self->p.a, c, NULL);
	EXPECT_LE(0, txn);
	close(txn);
}

TEST_F_TIMEOUT(txn, ids, TIMEOUT)
{
	uint64_t last = self->id, id = 0;
	int i, txn;

	close_txn(self);
	for (i = 0; i < 10; i++) {
		txn = txn_begin(self->p.dev, self->p.a, self->p.b, &id);
		ASSERT_LE(0, txn);
		EXPECT_LT(last, id);
		last = id;
		close(txn);
	}
	EXPECT_EQ(-ENOENT, txn_outcome(self->p.dev, 0, &self->outcome));
	EXPECT_EQ(-ENOENT, txn_outcome(self->p.dev, last + 1, &self->outcome));
	EXPECT_EQ(-ENOENT, txn_outcome(self->p.dev, ~0ULL, &self->outcome));
}

TEST_F_TIMEOUT(txn, close_on_exec, TIMEOUT)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->txn, F_GETFD));
}

HOST_MAIN(0)
