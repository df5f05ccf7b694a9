// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads on one transaction, under ThreadSanitizer: what one does comes before or after what the other does, never
 * into the middle of it.
 */
#include "rig.h"

#define ROUNDS	40
#define SWAPS	6

static pthread_barrier_t start;
static u64 want_a[FRAMES], want_b[FRAMES];
static long rc_swap[SWAPS], rc_end;

/* What each swap is, so that those that were made can be told by what is where. */
static struct vmbeam_extent_pair pair_of(u32 i)
{
	return (struct vmbeam_extent_pair)PAIR(17 * i, 23 * i, 700 + 100 * i);
}

static void *swaps(void *unused)
{
	pthread_barrier_wait(&start);
	for (u32 i = 0; i < SWAPS; i++) {
		const struct vmbeam_extent_pair pair = pair_of(i);

		rc_swap[i] = swap_list(0, &pair, 1, NULL, 0);
	}
	return unused;
}

static void *swaps_too(void *unused)
{
	pthread_barrier_wait(&start);
	for (u32 i = 0; i < SWAPS; i++) {
		const struct vmbeam_extent_pair pair = pair_of(i);

		swap_list(0, &pair, 1, NULL, 0);
	}
	return unused;
}

static void *ends(void *cmd)
{
	struct vmbeam_txn_outcome before;

	pthread_barrier_wait(&start);
	before = told();
	for (unsigned int i = 0; i < seed; i++)
		sched_yield();
	rc_end = cmd ? end((uintptr_t)cmd) : test_close(txn);
	if (before.nr_swapped > told().nr_swapped)
		abort();
	return NULL;
}

static void together(void *(*one)(void *), void *(*other)(void *), uintptr_t arg)
{
	pthread_t t[2];

	pthread_barrier_init(&start, NULL, 2);
	if (pthread_create(&t[0], NULL, one, NULL) || pthread_create(&t[1], NULL, other, (void *)arg))
		abort();
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	pthread_barrier_destroy(&start);
}

/* What there is when the swaps that said so were made, and no other. */
static bool as_it_was_said(void)
{
	for (u64 i = 0; i < FRAMES; i++) {
		want_a[i] = i;
		want_b[i] = FRAMES + i;
	}
	for (u32 i = 0; i < SWAPS; i++) {
		const struct vmbeam_extent_pair pair = pair_of(i);

		CHECK(rc_swap[i] == 0 || rc_swap[i] == -EBADFD);
		CHECK(!i || rc_swap[i] == -EBADFD || rc_swap[i - 1] == 0);
		for (u32 k = 0; k < pair.nr && !rc_swap[i]; k++)
			swap(want_a[pair.gfn_a + k], want_b[pair.gfn_b + k]);
	}
	return !memcmp(want_a, a, sizeof(a)) && !memcmp(want_b, b, sizeof(b));
}

static bool setup(void)
{
	if (!begin())
		return false;
	hv_busy = false;
	return true;
}

static bool swap_against_commit(void)
{
	if (!setup())
		return false;
	together(swaps, ends, VMBEAM_TXN_COMMIT);
	CHECK(rc_end == 0 && as_it_was_said());
	CHECK(told().state == VMBEAM_TXN_COMMITTED);
	release();
	return true;
}

static bool swap_against_rollback(void)
{
	if (!setup())
		return false;
	together(swaps, ends, VMBEAM_TXN_ROLLBACK);
	CHECK(rc_end == 0 && all_back());
	CHECK(told().state == VMBEAM_TXN_ROLLED_BACK && told().nr_rolled_back == told().nr_swapped);
	release();
	return true;
}

/* The swap that is on its way holds the file: what it did is swapped back when it returns. */
static bool swap_against_close(void)
{
	if (!setup())
		return false;
	together(swaps, ends, 0);
	CHECK(rc_end == 0 && all_back() && told().state == VMBEAM_TXN_ROLLED_BACK);
	txn = -1;
	return true;
}

static bool swap_against_swap(void)
{
	if (!setup())
		return false;
	together(swaps, swaps_too, 0);
	CHECK(told().nr_swapped > 0);
	release();
	CHECK(all_back());
	return true;
}

static long by_id(unsigned int cmd)
{
	struct vmbeam_txn_reopen arg = { .size = sizeof(arg), .id = id };
	long rc = test_ioctl(dev, VMBEAM_TXN_REOPEN, &arg);

	if (rc)
		return rc;
	rc = end_of(arg.out_fd, cmd);
	test_close(arg.out_fd);
	return rc;
}

static void *retry(void *unused)
{
	pthread_barrier_wait(&start);
	rc_swap[0] = by_id(VMBEAM_TXN_ROLLBACK);
	return unused;
}

static void *forget(void *unused)
{
	pthread_barrier_wait(&start);
	for (unsigned int i = 0; i < seed; i++)
		sched_yield();
	rc_end = by_id(VMBEAM_TXN_FORGET);
	return unused;
}

/* One of the two comes first; the other one is told so. */
static bool retry_against_forget(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 3000);

	if (!setup())
		return false;
	CHECK(swap_list(0, &pair, 1, NULL, 0) == 0);
	refused[5] = true;
	release();
	refused[5] = false;
	CHECK(told().state == VMBEAM_TXN_STUCK);
	together(retry, forget, 0);
	CHECK(rc_swap[0] == 0 || rc_swap[0] == -EBADFD);
	CHECK(rc_end == 0 || rc_end == -EBADFD);
	/* Both may come too late: closing a file of it tries again, too. */
	CHECK(told().state == (rc_end ? VMBEAM_TXN_ROLLED_BACK : VMBEAM_TXN_FORGOTTEN));
	CHECK(rc_end == 0 || all_back());
	return true;
}

static const struct test tests[] = {
	TEST(swap_against_commit), TEST(swap_against_rollback), TEST(swap_against_close), TEST(swap_against_swap),
	TEST(retry_against_forget),
};

int main(int argc, char **argv)
{
	test_threads = true;
	load();
	return tap_run(tests, ARRAY_SIZE(tests), ROUNDS, nothing_left, argc, argv);
}
