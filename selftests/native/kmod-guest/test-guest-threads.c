// SPDX-License-Identifier: GPL-2.0
/* Two threads on one export, under ThreadSanitizer: ADD against each of what can be done with it meanwhile. */
#include "mmu.h"
#include "tap.h"

#define ROUNDS	30
#define PIECES	30
#define PIECE	30

static pthread_barrier_t start;
static long fd, added[PIECES], rc_other;
static struct vmbeam_export_info told;

static void *adds(void *unused)
{
	pthread_barrier_wait(&start);
	for (int i = 0; i < PIECES; i++)
		added[i] = add_run(fd, 500 + PIECE * i, PIECE);
	return unused;
}

static void *releases(void *unused)
{
	pthread_barrier_wait(&start);
	for (unsigned int i = 0; i < seed; i++)
		sched_yield();
	rc_other = end(fd, VMBEAM_EXPORT_RELEASE);
	return unused;
}

static void *arms(void *unused)
{
	pthread_barrier_wait(&start);
	do
		rc_other = end(fd, VMBEAM_EXPORT_ARM);
	while (rc_other == -EINVAL);	/* it is empty */
	return unused;
}

static void *closes(void *unused)
{
	pthread_barrier_wait(&start);
	for (unsigned int i = 0; i < seed; i++)
		sched_yield();
	rc_other = test_close(fd);
	return unused;
}

/* What is read is whole extents of what was added, and what is listed has a state that the ABI knows. */
static void *looks(void *unused)
{
	struct vmbeam_export_info listed;
	struct vmbeam_extent e[8];

	pthread_barrier_wait(&start);
	for (int i = 0; i < 40; i++) {
		long n = test_pread(fd, e, sizeof(e), 0) / (long)sizeof(e[0]);

		if (n < 0 || n > 1 || (n == 1 && (e[0].pfn != 500 || e[0].gfn != 1000 || e[0].nr > PIECES * PIECE)))
			abort();
		if (list_all(&listed, 1) != 1 || listed.id != id || listed.state != VMBEAM_EXPORT_FILLING ||
		    listed.nr_frames > PIECES * PIECE)
			abort();
		if (info(fd, &listed) || listed.nr_frames > PIECES * PIECE)
			abort();
	}
	return unused;
}

/* As long as somebody else releases it: it is there, or it is not. */
static void *lists(void *unused)
{
	struct vmbeam_export_info listed;

	pthread_barrier_wait(&start);
	for (int i = 0; i < 40; i++) {
		long rc = info(fd, &listed);

		if ((rc && rc != -EBADFD) || (!rc && listed.state != VMBEAM_EXPORT_FILLING))
			abort();
		if (list_all(&listed, 1) == 1 && listed.state != VMBEAM_EXPORT_FILLING)
			abort();
	}
	return unused;
}

static bool together(void *(*one)(void *), void *(*other)(void *))
{
	pthread_t t[2];

	if (one != lists)
		fd = create(1);
	CHECK(fd >= 0);
	pthread_barrier_init(&start, NULL, 2);
	if (pthread_create(&t[0], NULL, one, NULL) || pthread_create(&t[1], NULL, other, NULL))
		abort();
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	pthread_barrier_destroy(&start);
	return true;
}

/* What ADD was told: all of it, until somebody was faster. */
static bool all_until(long rc, long *sum)
{
	*sum = 0;
	for (int i = 0; i < PIECES; i++) {
		CHECK(added[i] == PIECE || (rc && added[i] == rc));
		CHECK(!i || added[i] == rc || added[i - 1] == PIECE);
		*sum += added[i] == PIECE ? PIECE : 0;
	}
	return true;
}

static bool add_against_release(void)
{
	long sum;

	if (!together(adds, releases))
		return false;
	CHECK(rc_other == 0 && all_until(-EBADFD, &sum) && mmu_pinned() == 0);
	CHECK(info(fd, &told) == -EBADFD && list_all(NULL, 0) == 0);
	test_close(fd);
	return true;
}

static bool add_against_arm(void)
{
	long sum;

	if (!together(adds, arms))
		return false;
	CHECK(rc_other == 0 && all_until(-EBADFD, &sum) && sum > 0 && mmu_pinned() == sum);
	CHECK(info(fd, &told) == 0 && (long)told.nr_frames == sum && told.state == VMBEAM_EXPORT_ARMED);
	CHECK(end(fd, VMBEAM_EXPORT_RELEASE) == 0);
	test_close(fd);
	return true;
}

/* The ADD that is on its way holds the file. */
static bool add_against_close(void)
{
	long sum;

	if (!together(adds, closes))
		return false;
	CHECK(rc_other == 0 && all_until(-EBADF, &sum) && mmu_pinned() == 0);
	return true;
}

static bool add_against_read_and_list(void)
{
	long sum;

	if (!together(adds, looks))
		return false;
	CHECK(all_until(0, &sum) && sum == PIECES * PIECE && mmu_pinned() == sum);
	test_close(fd);
	return true;
}

static bool list_against_release(void)
{
	fd = create(1);
	CHECK(fd >= 0 && add_run(fd, 500, 100) == 100);
	if (!together(lists, releases))
		return false;
	CHECK(rc_other == 0 && mmu_pinned() == 0);
	test_close(fd);
	return true;
}

/* What holds after each test. */
static bool nothing_left(void)
{
	CHECK(mmu_pinned() == 0 && test_modules == 0);
	unload();
	CHECK(test_allocated == 0 && test_open_fds() == 0);
	load();
	return true;
}

static const struct test tests[] = {
	TEST(add_against_release), TEST(add_against_arm), TEST(add_against_close), TEST(add_against_read_and_list),
	TEST(list_against_release),
};

int main(int argc, char **argv)
{
	test_threads = true;
	load();
	return tap_run(tests, ARRAY_SIZE(tests), ROUNDS, nothing_left, argc, argv);
}
