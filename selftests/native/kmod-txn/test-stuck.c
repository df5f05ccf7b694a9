// SPDX-License-Identifier: GPL-2.0
/* Transactions that could not be swapped back: the module's, until they are rolled back or forgotten by name. */
#include "rig.h"

#define ROUNDS	8
#define LIST	8

static struct vmbeam_txn_outcome list[LIST];

/* How many there are, or an error; the first ones are in the list. */
static long list_all(void)
{
	struct vmbeam_txn_list arg = {
		.size = sizeof(arg), .txns = (uintptr_t)list, .nr = LIST, .entry_size = sizeof(list[0]),
	};
	long rc = test_ioctl(dev, VMBEAM_TXN_LIST, &arg);

	return rc ?: arg.nr;
}

static long reopen(u64 which)
{
	struct vmbeam_txn_reopen arg = { .size = sizeof(arg), .id = which };
	long rc = test_ioctl(dev, VMBEAM_TXN_REOPEN, &arg);

	return rc ?: arg.out_fd;
}

/* Swaps scattered pairs; then some of them, of which domain A's frame 100 is the newest, are refused. */
static bool get_stuck(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];

	if (!begin())
		return false;
	hv_busy = false;
	CHECK(swap_list(0, pairs, scattered(pairs, 1), NULL, 0) == 0);
	refused[100] = true;
	refused[7] = true;
	refused[42] = true;
	return true;
}

/* The fd is closed, and what was in the way goes away later: nothing is lost. */
static bool outlives_its_fd(void)
{
	int fd;

	if (!get_stuck())
		return false;
	release();
	CHECK(told().state == VMBEAM_TXN_STUCK && told().nr_stuck == 3 && test_modules == 1);
	CHECK(told().stuck_gfn_a == 100 && told().stuck_gfn_b == 101);
	CHECK(told().stuck_error == 0 && told().stuck_status == (VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_A));
	CHECK(begin_another(2, 3) == -EBUSY);
	fd = reopen(id);
	CHECK(fd >= 0);
	CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == -EBUSY && test_modules == 1);
	CHECK(end_of(fd, VMBEAM_TXN_COMMIT) == -EBADFD);
	refused[42] = false;
	CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == -EBUSY && told().nr_stuck == 2);
	memset(refused, 0, sizeof(refused));
	CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(all_back() && told().state == VMBEAM_TXN_ROLLED_BACK && told().nr_stuck == 0);
	CHECK(told().stuck_status == 0 && told().stuck_gfn_a == 0);
	CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == -EBADFD && end_of(fd, VMBEAM_TXN_FORGET) == -EBADFD);
	CHECK(test_modules == 0 && reopen(id) == -EBADFD);
	test_close(fd);
	CHECK(begin());
	release();
	return true;
}

/* The pair that is told is one that is stuck: those at which both sides kept what they had are not. */
static bool told_is_one_that_is_stuck(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 512), excluded = PAIR(0, 0, 1);

	if (!begin())
		return false;
	hv_busy = false;
	CHECK(swap_list(0, &pair, 1, &excluded, 1) == 0);
	fail_at = 0;
	CHECK(end(VMBEAM_TXN_ROLLBACK) == -EBUSY && told().nr_stuck == 511);
	CHECK(told().stuck_gfn_a == 511 && told().stuck_gfn_b == 511 && told().stuck_error == EOPNOTSUPP);
	release();
	CHECK(all_back());
	return true;
}

/* Closing the fd that it was begun with tries again. Closing a reopened one does not: somebody else may be at it. */
static bool closing_tries_again(void)
{
	int fd;

	if (!get_stuck())
		return false;
	CHECK(end(VMBEAM_TXN_ROLLBACK) == -EBUSY);
	fd = reopen(id);
	memset(refused, 0, sizeof(refused));
	CHECK(fd >= 0 && test_close(fd) == 0 && told().state == VMBEAM_TXN_STUCK && !all_back());
	release();
	CHECK(all_back() && told().state == VMBEAM_TXN_ROLLED_BACK && test_modules == 0);
	return true;
}

static bool forgotten_by_name_only(void)
{
	int fd, other;

	if (!get_stuck())
		return false;
	CHECK(end(VMBEAM_TXN_FORGET) == -EBADFD);
	release();
	fd = reopen(id);
	other = reopen(id);
	CHECK(fd >= 0 && other >= 0);
	CHECK(end_of(fd, VMBEAM_TXN_FORGET) == 0 && test_modules == 0);
	memset(refused, 0, sizeof(refused));
	CHECK(end_of(other, VMBEAM_TXN_ROLLBACK) == -EBADFD && end_of(other, VMBEAM_TXN_FORGET) == -EBADFD);
	test_close(fd);
	test_close(other);
	CHECK(told().state == VMBEAM_TXN_FORGOTTEN && told().nr_stuck == 3 && !all_back());
	CHECK(begin());
	CHECK(end(VMBEAM_TXN_COMMIT) == 0 && end(VMBEAM_TXN_FORGET) == -EBADFD);
	release();
	return true;
}

/* How often a run is compared with those that are stuck; the linker puts this in place of the module's own. */
static u64 nr_searches;
bool __real_vmbeam_undo_overlaps(const struct vmbeam_undo *undo, const struct vmbeam_run *run);
bool __wrap_vmbeam_undo_overlaps(const struct vmbeam_undo *undo, const struct vmbeam_run *run);

bool __wrap_vmbeam_undo_overlaps(const struct vmbeam_undo *undo, const struct vmbeam_run *run)
{
	nr_searches++;
	return __real_vmbeam_undo_overlaps(undo, run);
}

/* What has no frame in common with them is not compared with any, and others get the processor after each hypercall. */
static bool others_go_back_fast(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	unsigned int before;
	u64 calls;
	int fd;

	if (!begin())
		return false;
	hv_busy = false;
	before = test_rescheds;
	calls = hv_calls;
	CHECK(swap_list(0, pairs, scattered(pairs, 1), NULL, 0) == 0);
	CHECK(hv_calls > calls + 1 && test_rescheds - before >= hv_calls - calls);
	for (u32 i = 0; i < FRAMES; i += 32)
		refused[i] = true;
	nr_searches = 0;
	before = test_rescheds;
	calls = hv_calls;
	CHECK(end(VMBEAM_TXN_ROLLBACK) == -EBUSY && told().nr_stuck == FRAMES / 32);
	CHECK(nr_searches == 0);
	CHECK(hv_calls > calls + 1 && test_rescheds - before >= hv_calls - calls);
	release();
	memset(refused, 0, sizeof(refused));
	fd = reopen(id);
	CHECK(fd >= 0 && end_of(fd, VMBEAM_TXN_ROLLBACK) == 0 && test_close(fd) == 0 && all_back());
	return true;
}

static unsigned int nr_sleeps;

static void count_sleep(void)
{
	nr_sleeps++;
}

/* It does not come back: nothing is waited for. */
static bool a_domain_is_gone(void)
{
	int fd;

	if (!get_stuck())
		return false;
	memset(refused, 0, sizeof(refused));
	hv_gone = 1 + seed % 2;
	nr_sleeps = 0;
	test_on_sleep = count_sleep;
	release();
	test_on_sleep = NULL;
	CHECK(nr_sleeps == 0);
	hv_gone = 0;
	CHECK(told().state == VMBEAM_TXN_STUCK && told().stuck_error == ESRCH && told().nr_stuck == FRAMES);
	fd = reopen(id);
	CHECK(fd >= 0 && end_of(fd, VMBEAM_TXN_FORGET) == 0);
	test_close(fd);
	return true;
}

/* As long as something may be swapped, in either direction, neither domid can become another domain's. */
static bool domains_are_held(void)
{
	int fd;

	if (!get_stuck())
		return false;
	CHECK(hv_held[1] == 1 && hv_held[2] == 1);
	release();
	CHECK(told().state == VMBEAM_TXN_STUCK && hv_held[1] == 1 && hv_held[2] == 1);
	fd = reopen(id);
	if (seed % 2) {
		CHECK(end_of(fd, VMBEAM_TXN_FORGET) == 0);
	} else {
		memset(refused, 0, sizeof(refused));
		CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == 0);
	}
	/* The fd is still open. */
	CHECK(hv_held[1] == 0 && hv_held[2] == 0);
	test_close(fd);
	memset(refused, 0, sizeof(refused));
	if (!begin())
		return false;
	CHECK(end(VMBEAM_TXN_COMMIT) == 0 && hv_held[1] == 0 && hv_held[2] == 0);
	release();
	return true;
}

/* The domain that is meant was not there: one that gets its domid later is not the one. */
static bool no_other_domain_is_taken(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 10);

	*(seed / 2 % 2 ? &hv_dying : &hv_gone) = 1 + seed % 2;
	if (!begin())
		return false;
	hv_gone = 0;
	hv_dying = 0;
	CHECK(swap_list(0, &pair, 1, NULL, 0) == -ESRCH && all_back());
	release();
	return true;
}

/* A domain that has such a page and cannot be held is in no transaction: another one could get its domid. */
static bool without_a_hold(void)
{
	static const struct {
		int ask, map, want;
	} wrong[] = {
		{ .ask = -EACCES, .want = -EACCES }, { .ask = -EPERM, .want = -EPERM },
		{ .map = -EACCES, .want = -EACCES },
		{ .map = -EINVAL, .want = -ENXIO }, { .map = -ENOMEM, .want = -ENOMEM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		hv_ask_fails = wrong[i].ask;
		hv_map_fails = wrong[i].map;
		CHECK(begin_another(1, 2) == wrong[i].want && hv_held[1] == 0 && hv_held[2] == 0);
	}
	hv_map_fails = 0;
	/* As the hypervisor says it of a PV domain: the swap refuses that one. */
	hv_ask_fails = -EINVAL;
	if (!begin())
		return false;
	hv_ask_fails = 0;
	release();
	return true;
}

/* A domain that no toolstack made can be swapped all the same. */
static bool without_a_store_page(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 10);

	hv_no_store = true;
	if (!begin())
		return false;
	hv_no_store = false;
	CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, &pair, 1, NULL, 0) == 0 && hv_held[1] == 0);
	release();
	CHECK(all_back());
	return true;
}

/* Those that are open or stuck are, and no other; and an entry is as large as the caller says. */
static bool listed(void)
{
	alignas(8) u8 bytes[2 * 304];
	struct vmbeam_txn_list arg = { .size = sizeof(arg), .txns = (uintptr_t)bytes, .nr = 2, .entry_size = 280 };
	long open, fd;
	u64 stuck;

	CHECK(list_all() == 0);
	if (!get_stuck())
		return false;
	CHECK(list_all() == 1 && list[0].id == id && list[0].state == VMBEAM_TXN_OPEN);
	release();
	stuck = id;
	open = begin_another(3, 4);
	CHECK(open >= 0 && list_all() == 2);
	CHECK(list[0].id == stuck && list[0].state == VMBEAM_TXN_STUCK && list[0].nr_stuck == 3);
	CHECK(list[0].size == sizeof(list[0]) && list[0].domid_a == 1 && list[0].domid_b == 2);
	CHECK(list[1].id == stuck + 1 && list[1].state == VMBEAM_TXN_OPEN && list[1].domid_b == 4);

	memset(bytes, 0xee, sizeof(bytes));
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == 0 && arg.nr == 2);
	CHECK(*(u32 *)bytes == 280 && bytes[560] == 0xee);
	CHECK(((struct vmbeam_txn_outcome *)&bytes[280])->id == stuck + 1);
	arg.entry_size = 304;
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == 0);
	CHECK(*(u32 *)bytes == sizeof(list[0]) && !memchr_inv(bytes + sizeof(list[0]), 0, 304 - sizeof(list[0])));
	CHECK(((struct vmbeam_txn_outcome *)&bytes[304])->id == stuck + 1);
	arg.nr = 1;
	memset(bytes, 0xee, sizeof(bytes));
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == 0 && arg.nr == 2 && bytes[304] == 0xee);
	arg.nr = 0;
	arg.txns = 0;
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == 0 && arg.nr == 2);
	arg.entry_size = 279;
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == -EINVAL);
	arg.entry_size = PAGE_SIZE + 1;
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == -E2BIG);
	arg.entry_size = 280;
	arg.nr = 4097;
	CHECK(test_ioctl(dev, VMBEAM_TXN_LIST, &arg) == -E2BIG);

	test_close(open);
	fd = reopen(stuck);
	memset(refused, 0, sizeof(refused));
	CHECK(end_of(fd, VMBEAM_TXN_ROLLBACK) == 0);
	test_close(fd);
	CHECK(list_all() == 0 && all_back());
	return true;
}

static bool reopened_without_success(void)
{
	struct vmbeam_txn_reopen arg = { .size = sizeof(arg), .__reserved = 1 };
	long rc;
	int fd;

	if (!get_stuck())
		return false;
	CHECK(reopen(id) == -EBADFD && reopen(id + 1) == -ENOENT && reopen(0) == -ENOENT);
	release();
	arg.id = id;
	CHECK(test_ioctl(dev, VMBEAM_TXN_REOPEN, &arg) == -EINVAL);
	test_no_reply = true;
	rc = reopen(id);
	test_no_reply = false;
	CHECK(rc == -EFAULT);
	for (long n = 0; n < 2; n++) {
		test_fail_at = n;
		CHECK(reopen(id) < 0 && told().state == VMBEAM_TXN_STUCK);
	}
	test_fail_at = -1;
	memset(refused, 0, sizeof(refused));
	fd = reopen(id);
	CHECK(fd >= 0 && end_of(fd, VMBEAM_TXN_ROLLBACK) == 0 && test_close(fd) == 0);
	CHECK(all_back());
	return true;
}

static const struct test tests[] = {
	TEST(outlives_its_fd), TEST(told_is_one_that_is_stuck), TEST(closing_tries_again),
	TEST(forgotten_by_name_only), TEST(others_go_back_fast),
	TEST(a_domain_is_gone), TEST(domains_are_held), TEST(no_other_domain_is_taken),
	TEST(without_a_hold), TEST(without_a_store_page), TEST(listed),
	TEST(reopened_without_success),
};

int main(int argc, char **argv)
{
	load();
	return tap_run(tests, ARRAY_SIZE(tests), ROUNDS, nothing_left, argc, argv);
}
