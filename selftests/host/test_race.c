// SPDX-License-Identifier: GPL-2.0
/* What happens to the domains, and who else swaps, while frames are being swapped. */
#include <stdlib.h>
#include <sys/wait.h>

#include "host.h"

/*
 * Frames of each domain; RACE_FRAMES in the environment asks for more, up to what one call takes. Then only one in
 * @stride has a pattern.
 */
#define DEFAULT_FRAMES 16384
static uint64_t nr_frames = DEFAULT_FRAMES, stride = 1;

static int fill(uint32_t domid, uint64_t seed)
{
	uint64_t gfn;

	if (stride == 1)
		return domain_fill(domid, 0, nr_frames, seed);
	for (gfn = 0; gfn < nr_frames; gfn += stride)
		if (domain_fill(domid, gfn, 1, seed))
			return -1;
	return 0;
}

/* Frames that have not the pattern that fill() gave them. */
static int64_t wrong(uint32_t domid, uint64_t seed)
{
	int64_t one, all = 0;
	uint64_t gfn;

	if (stride == 1)
		return domain_wrong(domid, 0, nr_frames, seed, 0);
	for (gfn = 0; gfn < nr_frames; gfn += stride) {
		one = domain_wrong(domid, gfn, 1, seed, gfn);
		if (one < 0)
			return -1;
		all += one;
	}
	return all;
}

FIXTURE(race)
{
	struct pair p;
	uint64_t id, heap;
	pid_t swapper;
};

FIXTURE_SETUP(race)
{
	int txn;

	ASSERT_EQ(0, domain_setup());
	self->heap = domain_heap_free();
	domain_teardown();
	ASSERT_EQ(0, pair_create(&self->p, nr_frames, ORDER_2M));
	ASSERT_EQ(0, fill(self->p.a, SEED_A));
	ASSERT_EQ(0, fill(self->p.b, SEED_B));
	/* Both ways of swapping are to be met: the second half of the superpages is split. */
	txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, txn);
	for (uint64_t gfn = nr_frames / 2; gfn < nr_frames; gfn += 512)
		ASSERT_EQ(0, txn_swap(txn, gfn, gfn, 1, 0, NULL, &(struct vmbeam_txn_swap){ 0 }));
	ASSERT_EQ(0, txn_end(txn, VMBEAM_TXN_ROLLBACK));
	close(txn);
}

FIXTURE_TEARDOWN(race)
{
	pair_teardown(&self->p);
}

/* Swaps all, again and again, until that fails. Its end is the transaction's. */
static pid_t swapper(int dev, uint32_t a, uint32_t b, int *id_pipe)
{
	struct vmbeam_txn_swap res;
	uint64_t id = 0;
	int fds[2], txn, rc = 0;
	pid_t pid;

	if (pipe(fds))
		return -1;
	pid = fork();
	*id_pipe = fds[0];
	if (pid) {
		close(fds[1]);
		return pid;
	}
	txn = txn_begin(dev, a, b, &id);
	if (txn < 0 || write(fds[1], &id, sizeof(id)) != sizeof(id))
		_exit(255);
	while (!rc)
		rc = txn_swap(txn, 0, 0, nr_frames, 0, NULL, &res);
	close(txn);
	_exit(rc < 0 ? -rc : 254);
}

/* Starts one, and waits until it is in the middle of its work: somewhere in the second round. */
static void start(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self)
{
	const uint64_t until = nr_frames + random() % nr_frames;
	struct vmbeam_txn_outcome outcome;
	int from;

	self->swapper = swapper(self->p.dev, self->p.a, self->p.b, &from);
	ASSERT_LT(0, self->swapper);
	ASSERT_EQ(sizeof(self->id), read(from, &self->id, sizeof(self->id)));
	close(from);
	do {
		ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &outcome));
	} while (outcome.nr_swapped < until);
}

static void expect_frames(struct __test_metadata *_metadata, uint32_t domid)
{
	xc_domaininfo_t info;

	ASSERT_EQ(0, domain_info(domid, &info));
	EXPECT_EQ(nr_frames, info.tot_pages);
	/* Each gfn has what it had, or what the other's had. */
	EXPECT_EQ(nr_frames / stride, wrong(domid, SEED_A) + wrong(domid, SEED_B));
}

/*
 * One of the domains is destroyed in the middle of it. The call says so, the other domain has all its frames, and
 * every frame of the dead one goes back to the heap, scrubbed.
 */
static void destroyed(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self, uint32_t dead, uint32_t other)
{
	struct vmbeam_txn_outcome outcome;
	uint32_t third;
	int status;

	start(_metadata, self);
	ASSERT_EQ(0, domain_destroy(dead));
	ASSERT_EQ(self->swapper, waitpid(self->swapper, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(ESRCH, WEXITSTATUS(status));
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &outcome));
	EXPECT_NE(VMBEAM_TXN_OPEN, outcome.state);
	EXPECT_NE(VMBEAM_TXN_COMMITTED, outcome.state);
	expect_frames(_metadata, other);

	ASSERT_EQ(0, domain_create(&third, nr_frames));
	ASSERT_EQ(0, domain_populate(third, 0, nr_frames, ORDER_2M));
	EXPECT_EQ(nr_frames / stride, wrong(third, SEED_A));
	EXPECT_EQ(nr_frames / stride, wrong(third, SEED_B));
	ASSERT_EQ(0, domain_destroy(third));
	ASSERT_EQ(0, domain_destroy(other));
	EXPECT_LT(llabs((long long)(self->heap - domain_heap_free())), HEAP_SLACK);
}

TEST_F_TIMEOUT(race, a_is_destroyed, TIMEOUT)
{
	destroyed(_metadata, self, self->p.a, self->p.b);
}

TEST_F_TIMEOUT(race, b_is_destroyed, TIMEOUT)
{
	destroyed(_metadata, self, self->p.b, self->p.a);
}

/* A domain gives up memory meanwhile, as a balloon does: these pairs are refused, all others go on. */
TEST_F_TIMEOUT(race, memory_is_given_up, TIMEOUT)
{
	xc_domaininfo_t info;
	int i, status;

	start(_metadata, self);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, domain_punch(self->p.a, (i * 997 + 13) % nr_frames));
	EXPECT_EQ(0, waitpid(self->swapper, &status, WNOHANG));
	ASSERT_EQ(0, kill(self->swapper, SIGKILL));
	ASSERT_EQ(self->swapper, waitpid(self->swapper, &status, 0));
	expect_frames(_metadata, self->p.b);
	ASSERT_EQ(0, domain_info(self->p.a, &info));
	EXPECT_EQ(nr_frames - 64, info.tot_pages);
}

/* Other domains' transactions at the same time: each does what it would do alone. */
TEST_F_TIMEOUT(race, two_transactions, TIMEOUT)
{
	uint64_t id;
	uint32_t c, d;
	int txn, i;

	ASSERT_EQ(0, domain_create(&c, nr_frames));
	ASSERT_EQ(0, domain_create(&d, nr_frames));
	ASSERT_EQ(0, domain_populate(c, 0, nr_frames, ORDER_2M));
	ASSERT_EQ(0, domain_populate(d, 0, nr_frames, ORDER_2M));
	ASSERT_EQ(0, fill(c, 0xc));
	ASSERT_EQ(0, fill(d, 0xd));
	start(_metadata, self);
	/* One domain in common is refused. */
	EXPECT_EQ(-EBUSY, txn_begin(self->p.dev, self->p.a, c, &id));
	txn = txn_begin(self->p.dev, c, d, &id);
	ASSERT_LE(0, txn);
	for (i = 0; i < 21; i++)
		ASSERT_EQ(0, txn_swap(txn, 0, 0, nr_frames, 0, NULL, &(struct vmbeam_txn_swap){ 0 }));
	ASSERT_EQ(0, txn_end(txn, VMBEAM_TXN_COMMIT));
	close(txn);
	EXPECT_EQ(0, wrong(c, 0xd));
	EXPECT_EQ(0, wrong(d, 0xc));
	EXPECT_EQ(0, waitpid(self->swapper, NULL, WNOHANG));
	ASSERT_EQ(0, kill(self->swapper, SIGKILL));
	ASSERT_EQ(self->swapper, waitpid(self->swapper, NULL, 0));
	/* Killed, it was rolled back. */
	EXPECT_EQ(0, wrong(self->p.a, SEED_A));
	EXPECT_EQ(0, wrong(self->p.b, SEED_B));
}

int main(int argc, char **argv)
{
	const char *frames = getenv("RACE_FRAMES");

	host_require(0);
	if (frames)
		nr_frames = strtoull(frames, NULL, 0) / DEFAULT_FRAMES * DEFAULT_FRAMES;
	if (!nr_frames || nr_frames > 1U << 20)
		ksft_exit_fail_msg("RACE_FRAMES=%s: from %u to %u\n", frames, DEFAULT_FRAMES, 1U << 20);
	if (nr_frames > DEFAULT_FRAMES)
		stride = nr_frames / (DEFAULT_FRAMES / 8);
	srandom(getpid());
	return test_harness_run(argc, argv);
}
