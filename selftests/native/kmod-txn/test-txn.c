// SPDX-License-Identifier: GPL-2.0
/*
 * kmod/host as it is, in userspace, over a made-up hypervisor: whatever was swapped and however it went wrong, after a
 * rollback every frame is back. Random, with fixed seeds.
 */
#include "rig.h"

#define ROUNDS	30

static void free_the_refused(void)
{
	memset(refused, 0, sizeof(refused));
}

/* Random parts of the extents, some of which meet. */
static u32 exclude_some(const struct vmbeam_extent_pair *pairs, u32 nr, struct vmbeam_extent_pair *excluded)
{
	u32 n = 0;

	for (u32 i = 0; i < nr; i++) {
		u32 at = 0;

		while (rand() % 3 == 0 || pairs[i].nr == 5000) {
			u32 len = 1 + rand() % 3;

			at += rand() % 8;
			if (at + len > pairs[i].nr)
				break;
			excluded[n++] = (struct vmbeam_extent_pair){
				.gfn_a = pairs[i].gfn_a + at, .gfn_b = pairs[i].gfn_b + at, .nr = len,
			};
			at += len;
		}
	}
	return n;
}

/* One ioctl with random extents, which overlap, or do not; adds what it moved to @moved. */
static bool swap_some(u64 *moved)
{
	/* Now and then so many that the log needs more than one block. */
	u32 nr = 1 + rand() % (rand() % 8 ? 300 : 5000), longest = rand() % 2 ? 1 : 40;
	struct vmbeam_extent_pair *pairs = calloc(nr, sizeof(*pairs)), *excluded = NULL;
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg), .nr_pairs = nr, .flags = rand() % 2 ? VMBEAM_SWAP_EXCHANGE : 0,
		/* What the caller has in there does not count. */
		.nr_done = 3, .nr_swapped = 3, .nr_exchanged = 3, .nr_busy = 3, .nr_refused = 3, .nr_kept = 3,
		.nr_large = 3,
	};
	bool apart = rand() % 2;
	u64 frames = 0;
	u8 *status;
	long rc;

	for (u32 i = 0; i < nr; i++) {
		pairs[i].nr = i == 0 && rand() % 3 == 0 ? 5000 : 1 + rand() % longest;
		pairs[i].gfn_a = rand() % (FRAMES - pairs[i].nr);
		pairs[i].gfn_b = rand() % (FRAMES - pairs[i].nr);
		if (apart) {
			/* Often within two batches' extents, or within one. */
			pairs[i].nr = 1 + rand() % 2;
			pairs[i].gfn_a = 2ULL * i % FRAMES;
			pairs[i].gfn_b = FRAMES - 2 - 2ULL * i % FRAMES;
		}
		frames += pairs[i].nr;
	}
	if (rand() % 2) {
		excluded = calloc(frames, sizeof(*excluded));
		arg.nr_excluded = exclude_some(pairs, nr, excluded);
		arg.excluded = arg.nr_excluded ? (uintptr_t)excluded : 0;
	}
	status = malloc(frames);
	arg.pairs = (uintptr_t)pairs;
	arg.status = (uintptr_t)status;
	if (rand() % 5 == 0)
		fail_at = rand() % frames;
	if (rand() % 5 == 0)
		test_fail_at = rand() % 4;
	rc = test_ioctl(txn, VMBEAM_TXN_SWAP, &arg);
	fail_at = -1;
	test_fail_at = -1;
	*moved += arg.nr_swapped + arg.nr_exchanged;
	free(pairs);
	free(excluded);
	CHECK(rc == 0 || rc == -ENOMEM || rc == -EOPNOTSUPP);
	CHECK(rc ? arg.nr_done < frames : arg.nr_done == frames);
	CHECK(arg.nr_done == arg.nr_swapped + arg.nr_exchanged + arg.nr_busy + arg.nr_refused +
	      arg.nr_kept);
	for (u64 i = 0; i < arg.nr_done; i++)
		CHECK(status[i] != VMBEAM_PAIR_SKIPPED && status[i] != 0xee);
	/* Without memory it may not have come so far as to write any. */
	for (u64 i = arg.nr_done; i < frames && rc != -ENOMEM; i++)
		CHECK(status[i] == VMBEAM_PAIR_SKIPPED);
	free(status);
	return true;
}

static bool swap_much(u64 *moved)
{
	*moved = 0;
	if (!begin())
		return false;
	for (int i = rand() % 6; i >= 0; i--)
		if (!swap_some(moved))
			return false;
	CHECK(told().nr_swapped + told().nr_exchanged == *moved);
	return true;
}

static bool closed_without_commit(void)
{
	u64 moved;

	if (!swap_much(&moved))
		return false;
	release();
	CHECK(all_back());
	CHECK(told().state == VMBEAM_TXN_ROLLED_BACK);
	CHECK(told().nr_rolled_back == moved && told().nr_stuck == 0);
	/* Whole lists were swapped: that these became part of the record is what it is to see, too. */
	CHECK(nr_in_place || seed < ROUNDS - 1);
	return true;
}

static bool committed(void)
{
	static u64 then[FRAMES];
	u64 moved;

	if (!swap_much(&moved))
		return false;
	memcpy(then, a, sizeof(then));
	CHECK(end(VMBEAM_TXN_COMMIT) == 0);
	CHECK(end(VMBEAM_TXN_ROLLBACK) == -EBADFD && end(VMBEAM_TXN_COMMIT) == -EBADFD);
	CHECK(swap_list(0, &(struct vmbeam_extent_pair){ .gfn_a = 1, .gfn_b = 1, .nr = 1 }, 1, NULL, 0) == -EBADFD);
	release();
	CHECK(!memcmp(then, a, sizeof(then)));
	CHECK(told().state == VMBEAM_TXN_COMMITTED && told().nr_rolled_back == 0);
	return true;
}

/* K12. */
static bool told_to_a_tracer(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 10);

	if (!begin())
		return false;
	release();
	test_trace = (struct test_trace){ .id = id + 1 };
	if (!begin())
		return false;
	CHECK(id == test_trace.id && swap_list(VMBEAM_SWAP_EXCHANGE, &pair, 1, NULL, 0) == 0);
	CHECK(!strcmp(test_trace.names, "vmbeam_txn_begin vmbeam_txn_batch "));
	*test_trace.names = 0;
	CHECK(end(VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(!strcmp(test_trace.names, "vmbeam_txn_batch vmbeam_txn_rollback vmbeam_txn_end "));
	release();
	if (!begin())
		return false;
	test_trace = (struct test_trace){ .id = id };
	CHECK(end(VMBEAM_TXN_COMMIT) == 0 && !strcmp(test_trace.names, "vmbeam_txn_end "));
	release();
	test_trace = (struct test_trace){};
	return true;
}

static bool stuck_pairs_go_back_later(void)
{
	u64 moved;
	long rc;

	if (!swap_much(&moved))
		return false;
	for (int i = rand() % 2000; i > 0; i--)
		refused[rand() % FRAMES] = true;
	rc = end(VMBEAM_TXN_ROLLBACK);
	free_the_refused();
	CHECK(rc == (told().nr_stuck ? -EBUSY : 0));
	CHECK(told().state == (rc ? VMBEAM_TXN_STUCK : VMBEAM_TXN_ROLLED_BACK));
	CHECK(told().nr_rolled_back + told().nr_stuck == moved);
	/* What could not go back must not be swapped on. */
	if (rc)
		CHECK(begin_another(2, 3) == -EBUSY);
	if (rc)
		CHECK(end(VMBEAM_TXN_COMMIT) == -EBADFD && end(VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(all_back());
	CHECK(told().state == VMBEAM_TXN_ROLLED_BACK && told().nr_stuck == 0);
	release();
	CHECK(all_back());
	return true;
}

static bool stuck_pairs_go_back_at_release(void)
{
	u64 moved;

	if (!swap_much(&moved))
		return false;
	for (int i = 0; i < 500; i++)
		refused[rand() % FRAMES] = true;
	end(VMBEAM_TXN_ROLLBACK);
	free_the_refused();
	release();
	CHECK(all_back());
	return true;
}

static bool what_sticks_for_a_moment_goes_back_at_release(void)
{
	u64 moved;

	if (!swap_much(&moved))
		return false;
	for (int i = 0; i < 500; i++)
		refused[rand() % FRAMES] = true;
	test_on_sleep = free_the_refused;
	release();
	test_on_sleep = NULL;
	free_the_refused();
	CHECK(all_back());
	CHECK(told().state == VMBEAM_TXN_ROLLED_BACK);
	return true;
}

static bool rollback_breaks_off(void)
{
	u64 moved;
	long rc;

	if (!swap_much(&moved))
		return false;
	fail_at = moved ? rand() % moved : -1;
	rc = end(VMBEAM_TXN_ROLLBACK);
	fail_at = -1;
	CHECK(rc == (moved ? -EBUSY : 0));
	if (rc)
		CHECK(end(VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(all_back());
	release();
	CHECK(all_back());
	return true;
}

static bool rollback_without_memory(void)
{
	u64 moved;

	if (!swap_much(&moved))
		return false;
	test_fail_at = 0;
	release();
	test_fail_at = -1;
	CHECK(all_back());
	return true;
}

/* Nobody was told of it: it never was. */
static bool begin_without_reply(void)
{
	long rc;

	if (!begin())
		return false;
	release();
	test_no_reply = true;
	rc = begin_another(1, 2);
	test_no_reply = false;
	CHECK(rc == -EFAULT && !is_known(id + 1));
	CHECK(begin());
	release();
	return true;
}

/* What was done must not look as if it had failed. */
static bool commit_without_reply(void)
{
	const struct vmbeam_extent_pair all = PAIR(0, 0, FRAMES);
	bool commit = seed % 2;
	long rc;

	if (!begin())
		return false;
	CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, &all, 1, NULL, 0) == 0);
	test_no_reply = true;
	rc = end(commit ? VMBEAM_TXN_COMMIT : VMBEAM_TXN_ROLLBACK);
	test_no_reply = false;
	CHECK(rc == 0 && told().state == (commit ? VMBEAM_TXN_COMMITTED : VMBEAM_TXN_ROLLED_BACK));
	release();
	return true;
}

static bool domains_that_cannot_be(void)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = 1, .domid_b = 2, .__reserved = 1 };

	CHECK(test_ioctl(dev, VMBEAM_TXN_BEGIN, &arg) == -EINVAL);
	CHECK(begin_another(0, 2) == -EINVAL && begin_another(1, 0) == -EINVAL);
	CHECK(begin_another(DOMID_FIRST_RESERVED, 2) == -EINVAL && begin_another(1, DOMID_FIRST_RESERVED) == -EINVAL);
	CHECK(begin_another(1, 1) == -EINVAL);
	return true;
}

static bool domains_are_in_one_transaction_at_a_time(void)
{
	if (!begin())
		return false;
	CHECK(begin_another(1, 3) == -EBUSY && begin_another(3, 1) == -EBUSY);
	CHECK(begin_another(2, 3) == -EBUSY && begin_another(3, 2) == -EBUSY);
	CHECK(end(seed % 2 ? VMBEAM_TXN_COMMIT : VMBEAM_TXN_ROLLBACK) == 0);
	release();
	if (!begin())
		return false;
	release();
	return true;
}

static bool ioctls_of_another_shape(void)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg), .flags = 1 };
	alignas(8) static u8 page[PAGE_SIZE];
	struct vmbeam_query *query = (void *)page;

	if (!begin())
		return false;
	CHECK(end(VMBEAM_TXN_BEGIN) == -ENOTTY);
	CHECK(test_ioctl(txn, VMBEAM_TXN_COMMIT, &arg) == -EINVAL);
	arg = (struct vmbeam_txn_end){ .size = sizeof(arg) - 1 };
	CHECK(test_ioctl(txn, VMBEAM_TXN_COMMIT, &arg) == -EINVAL);
	arg.size = PAGE_SIZE + 1;
	CHECK(test_ioctl(txn, VMBEAM_TXN_COMMIT, &arg) == -E2BIG);
	CHECK(told().state == VMBEAM_TXN_OPEN);
	/* From a caller that knows more than the module. */
	memset(page, 0, sizeof(page));
	query->size = sizeof(page);
	CHECK(test_ioctl(dev, VMBEAM_QUERY, page) == 0 && query->role == VMBEAM_ROLE_HOST);
	page[sizeof(page) - 1] = 1;
	CHECK(test_ioctl(dev, VMBEAM_QUERY, page) == -E2BIG);
	release();
	return true;
}

/* Once it has an fd, nothing may be left that can fail. */
static bool begin_with_one_reply(void)
{
	long rc;

	srand(seed);
	hv_fill();
	test_replies_left = 1;
	rc = try_begin();
	test_no_reply = false;
	CHECK(rc == 0 && told().state == VMBEAM_TXN_OPEN);
	release();
	return true;
}

#define GOOD		.pairs = { PAIR(10, 20, 5), PAIR(30, 40, 5) }, .rc = -EINVAL

/* Lists that are refused as a whole, whatever is right with the rest of them. */
static bool lists_that_make_no_sense(void)
{
	static const struct {
		struct vmbeam_extent_pair pairs[2], excluded[2];
		u32 nr_excluded;
		long rc;
	} lists[] = {
		{ .pairs = { PAIR(10, 20, 5), PAIR(30, 40, 0) }, .rc = -EINVAL },
		{ .pairs = { PAIR(10, 20, 5), { .gfn_a = 30, .gfn_b = 40, .nr = 1, .__reserved = 1 } }, .rc = -EINVAL },
		{ .pairs = { PAIR(10, 20, 5), PAIR(~0ULL - 3, 40, 4) }, .rc = -EINVAL },
		{ .pairs = { PAIR(10, 20, 5), PAIR(30, ~0ULL - 3, 4) }, .rc = -EINVAL },
		{ .pairs = { PAIR(10, 20, 5), PAIR(30, 40, VMBEAM_MAX_FRAMES - 4) }, .rc = -E2BIG },
		{ GOOD, .nr_excluded = 1, .excluded = { PAIR(9, 19, 1) } },	/* outside */
		{ GOOD, .nr_excluded = 1, .excluded = { PAIR(14, 24, 2) } },	/* partly outside */
		{ GOOD, .nr_excluded = 1, .excluded = { PAIR(11, 22, 1) } },	/* no such pair */
		{ GOOD, .nr_excluded = 1, .excluded = { PAIR(11, 21, 0) } },
		{ GOOD, .nr_excluded = 2, .excluded = { PAIR(31, 41, 1), PAIR(11, 21, 1) } },	/* not in order */
		{ GOOD, .nr_excluded = 2, .excluded = { PAIR(11, 21, 2), PAIR(12, 22, 1) } },	/* twice */
	};
	const struct vmbeam_extent_pair *good = lists[5].pairs;
	/* As an earlier call may have left it. */
	struct vmbeam_txn_swap bad = {
		.size = sizeof(bad), .nr_pairs = VMBEAM_MAX_EXTENTS + 1, .nr_done = 3, .nr_large = 3,
	};

	if (!begin())
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		long rc = swap_list(0, lists[i].pairs, 2, lists[i].nr_excluded ? lists[i].excluded : NULL,
				    lists[i].nr_excluded);

		if (rc != lists[i].rc)
			printf("# list %zu: %ld\n", i, rc);
		CHECK(rc == lists[i].rc);
	}
	CHECK(test_ioctl(txn, VMBEAM_TXN_SWAP, &bad) == -E2BIG && !bad.nr_done && !bad.nr_large);
	CHECK(swap_list(0, NULL, 0, good, 1) == -EINVAL);
	CHECK(swap_list(0, good, 2, good, 0) == -EINVAL);
	CHECK(swap_list(0, good, VMBEAM_MAX_EXTENTS + 1, NULL, 0) == -E2BIG);
	CHECK(swap_list(0, good, 2, good, VMBEAM_MAX_EXTENTS + 1) == -E2BIG);
	CHECK(swap_list(VMBEAM_SWAP_INVALIDATE << 1, good, 2, NULL, 0) == -EINVAL);
	CHECK(all_back());
	CHECK(swap_list(0, good, 2, good, 1) == 0);
	release();
	return true;
}

/* It is for the whole call, however many batches that has, and can be all that is asked for. */
static bool device_models_are_asked_once(void)
{
	const struct vmbeam_extent_pair much = PAIR(0, 0, FRAMES);

	if (!begin())
		return false;
	hv_invalidates = 0;
	CHECK(swap_list(VMBEAM_SWAP_INVALIDATE, &much, 1, NULL, 0) == 0);
	CHECK(hv_invalidates == 1);
	CHECK(swap_list(VMBEAM_SWAP_INVALIDATE, NULL, 0, NULL, 0) == 0);
	CHECK(hv_invalidates == 2);
	release();
	CHECK(hv_invalidates == 2);
	return true;
}

/* Nothing is swapped, and what the hypervisor says is told. */
static bool an_empty_list_asks(void)
{
	u64 calls;

	if (!begin())
		return false;
	calls = hv_calls;
	hv_asked = true;
	CHECK(swap_list(0, NULL, 0, NULL, 0) == 0 && hv_calls == calls + 1);
	hv_asked = false;
	hv_refuses = -EACCES;
	CHECK(swap_list(0, NULL, 0, NULL, 0) == -EACCES);
	hv_refuses = 0;
	CHECK(all_back() && !told().nr_swapped && told().state == VMBEAM_TXN_OPEN);
	release();
	return true;
}

static bool batches_tear_no_superpage(void)
{
	struct vmbeam_extent_pair much = { .nr = 7000 };

	if (!begin())
		return false;
	much.gfn_a = rand() % 1000;
	much.gfn_b = rand() % 1000;
	CHECK(swap_list(0, &much, 1, NULL, 0) == 0);
	CHECK(hv_first > much.gfn_a && hv_first % 512 == 0);
	/* The last one of a rollback has the beginning of the extent, wherever that is. */
	hv_torn = 0;
	release();
	CHECK(all_back() && (hv_busy || hv_torn <= 1));
	return true;
}

/* Excluded pairs are put back with those around them, or the superpage would be torn by them. */
static bool excluded_pairs_go_back_with_the_rest(void)
{
	const struct vmbeam_extent_pair all = PAIR(512, 1024, 2048);
	struct vmbeam_extent_pair excluded = { .nr = 1 };

	if (!begin())
		return false;
	excluded.gfn_a = all.gfn_a + 1 + rand() % (all.nr - 2);
	excluded.gfn_b = excluded.gfn_a + all.gfn_b - all.gfn_a;
	CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, &all, 1, &excluded, 1) == 0);
	hv_pairs = 0;
	release();
	CHECK(hv_pairs == all.nr);
	CHECK(all_back());
	return true;
}

/* However many runs are newer: its own are one extent. */
static bool superpage_goes_back_behind_many_runs(void)
{
	const struct vmbeam_extent_pair superpage = PAIR(512, 512, 512);
	struct vmbeam_extent_pair excluded = PAIR(513 + rand() % 510, 0, 1), newer[511];

	if (!begin())
		return false;
	excluded.gfn_b = excluded.gfn_a;
	for (u32 i = 0; i < ARRAY_SIZE(newer); i++)
		newer[i] = (struct vmbeam_extent_pair)PAIR(2048 + 2 * i, 4096 + 2 * i, 1);
	CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, &superpage, 1, &excluded, 1) == 0);
	CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, newer, ARRAY_SIZE(newer), NULL, 0) == 0);
	hv_longest = 0;
	release();
	CHECK(hv_longest == superpage.nr);
	CHECK(all_back());
	return true;
}

/* Some batches of the caller's list become a part of the record, others are copied to it: in all combinations. */
static bool list_is_the_record_in_part(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	u32 len = seed % 2 ? 3 : 1, nr = scattered(pairs, len);

	if (!begin())
		return false;
	hv_busy = false;
	for (u32 i = 0; i < nr; i++)
		if (seed / 2 >> i / VMBEAM_BATCH_EXTENTS & 1)
			refused[pairs[i].gfn_a + len / 2] = len == 3 || rand() % 2;
	CHECK(swap_list(0, pairs, nr, NULL, 0) == 0);
	free_the_refused();
	release();
	CHECK(all_back());
	return true;
}

/* If nothing goes back, it is not tried to the end, which nobody would have anything of; and it needs no memory. */
static bool all_is_stuck_without_memory(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	long rc;

	if (!begin())
		return false;
	hv_busy = false;
	CHECK(swap_list(0, pairs, scattered(pairs, 1), NULL, 0) == 0);
	memset(refused, true, sizeof(refused));
	hv_calls = 0;
	test_fail_at = 0;
	rc = end(VMBEAM_TXN_ROLLBACK);
	CHECK(rc == -EBUSY && told().nr_stuck == FRAMES && hv_calls == 1);
	/* Some room was used: more is wanted, and there is none. Nothing is touched. */
	CHECK(end(VMBEAM_TXN_ROLLBACK) == -EBUSY && told().stuck_error == ENOMEM && hv_calls == 1);
	test_fail_at = -1;
	free_the_refused();
	CHECK(end(VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(all_back());
	release();
	return true;
}

/* How often two runs are compared in a rollback; the linker puts this in place of the module's own. */
static u64 nr_compared;
bool __real_vmbeam_run_overlaps(u64 gfn_a, u64 gfn_b, u32 nr, const struct vmbeam_run *run);
bool __wrap_vmbeam_run_overlaps(u64 gfn_a, u64 gfn_b, u32 nr, const struct vmbeam_run *run);

bool __wrap_vmbeam_run_overlaps(u64 gfn_a, u64 gfn_b, u32 nr, const struct vmbeam_run *run)
{
	nr_compared++;
	return __real_vmbeam_run_overlaps(gfn_a, gfn_b, nr, run);
}

/* Pairs that have nothing in common are not compared with each other: that would cost many times what a swap does. */
static bool scattered_pairs_go_back_fast(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	u32 nr;

	if (!begin())
		return false;
	nr = scattered(pairs, 1);
	/* There and back: what was in an earlier batch of the rollback comes again. */
	for (int i = 0; i < 2; i++)
		CHECK(swap_list(VMBEAM_SWAP_EXCHANGE, pairs, nr, NULL, 0) == 0);
	nr_compared = 0;
	release();
	CHECK(all_back() && nr_compared == 0);
	return true;
}

static bool ids_from_before_a_reload(void)
{
	u64 before;

	if (!begin())
		return false;
	before = id;
	CHECK(end(VMBEAM_TXN_COMMIT) == 0);
	release();
	unload();
	load();
	for (int i = 0; i < 3; i++) {
		u64 last = id;

		if (!begin())
			return false;
		release();
		CHECK(i == 0 || id == last + 1);
		CHECK(id < 1ULL << 53 && !is_known(before));
	}
	return true;
}

/* The table is bounded: what ended first makes room, and what is open never does. */
static bool outcomes_make_room(void)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = 3, .domid_b = 4 };
	u64 first, second, open;
	long fd, more;

	if (seed)
		return true;
	if (!begin())
		return false;
	first = id;
	CHECK(end(VMBEAM_TXN_COMMIT) == 0);
	release();
	if (!begin())
		return false;
	open = id;
	more = begin_another(3, 4);
	second = open + 1;
	CHECK(more >= 0 && test_close(more) == 0);
	for (u64 i = 0; i < VMBEAM_MAX_OUTCOMES - 3; i++) {
		fd = begin_another(3, 4);
		CHECK(fd >= 0 && test_close(fd) == 0);
	}
	CHECK(is_known(first) && is_known(open) && is_known(second));
	/* One that does not come to be takes no room, but that of the oldest is gone. */
	test_no_reply = true;
	CHECK(test_ioctl(dev, VMBEAM_TXN_BEGIN, &arg) == -EFAULT);
	test_no_reply = false;
	CHECK(!is_known(first) && is_known(open) && is_known(second));
	for (u64 i = 0; i < 2; i++) {
		fd = begin_another(3, 4);
		CHECK(fd >= 0 && test_close(fd) == 0);
	}
	CHECK(is_known(open) && told().state == VMBEAM_TXN_OPEN && !is_known(second));
	release();
	CHECK(told().state == VMBEAM_TXN_ROLLED_BACK);
	return true;
}

/* None of those that are open can be lost to a new one. */
static bool too_many_are_open(void)
{
	static struct vmbeam_outcome *open[VMBEAM_MAX_OUTCOMES];

	if (seed)
		return true;
	for (u32 i = 0; i < VMBEAM_MAX_OUTCOMES; i++) {
		open[i] = vmbeam_outcome_begin(2 * i + 1, 2 * i + 2);
		CHECK(!IS_ERR(open[i]));
	}
	CHECK(begin_another(20001, 20002) == -ENOSPC);
	vmbeam_outcome_end(open[5], VMBEAM_TXN_COMMITTED);
	CHECK(try_begin() == -EBUSY);
	txn = begin_another(20001, 20002);
	CHECK(txn >= 0);
	release();
	for (u32 i = 0; i < VMBEAM_MAX_OUTCOMES; i++)
		if (i != 5)
			vmbeam_outcome_end(open[i], VMBEAM_TXN_COMMITTED);
	return true;
}

/* On a hypervisor without the op, or that keeps it from this dom0, there is no device to be mistaken about. */
static bool loads_only_where_the_op_is(void)
{
	static const long refusals[] = { -ENOSYS, -EOPNOTSUPP };

	unload();
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		hv_refuses = refusals[i];
		CHECK(test_insmod() == refusals[i]);
	}
	hv_refuses = 0;
	test_no_dom0 = true;
	CHECK(test_insmod() == -ENODEV);
	test_no_dom0 = false;
	load();
	test_no_capability = true;
	CHECK(test_open_dev() == -EPERM);
	test_no_capability = false;
	return true;
}

static bool reserved_fields(void)
{
	struct vmbeam_query query = { .size = sizeof(query), .__reserved = 1 };
	struct vmbeam_txn_outcome outcome = { .size = sizeof(outcome), .__reserved = 1 };

	if (!begin())
		return false;
	CHECK(test_ioctl(dev, VMBEAM_QUERY, &query) == -EINVAL);
	query.__reserved = 0;
	CHECK(test_ioctl(dev, VMBEAM_QUERY, &query) == 0 && query.role == VMBEAM_ROLE_HOST);
	outcome.id = id;
	CHECK(test_ioctl(dev, VMBEAM_TXN_OUTCOME, &outcome) == -EINVAL);
	release();
	return true;
}

/* The statuses cannot be written: nothing is swapped. */
static bool statuses_that_cannot_be_told(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 10);
	u8 status[10];
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg), .pairs = (uintptr_t)&pair, .nr_pairs = 1, .status = (uintptr_t)status,
	};
	long rc;

	if (!begin())
		return false;
	test_no_reply = true;
	rc = test_ioctl(txn, VMBEAM_TXN_SWAP, &arg);
	test_no_reply = false;
	CHECK(rc == -EFAULT && all_back());
	release();
	return true;
}

/* Between two batches it ends, and tells how far it came. */
static bool killed_in_the_middle(void)
{
	const struct vmbeam_extent_pair much = PAIR(0, 0, FRAMES);
	struct vmbeam_txn_swap arg = { .size = sizeof(arg), .pairs = (uintptr_t)&much, .nr_pairs = 1 };
	long rc;

	if (!begin())
		return false;
	hv_kills_at = 0;
	rc = test_ioctl(txn, VMBEAM_TXN_SWAP, &arg);
	test_killed = false;
	CHECK(rc == -EINTR && arg.nr_done && arg.nr_done < FRAMES);
	release();
	CHECK(all_back());
	return true;
}

/* What it says to have done is believed no further than what it was given. */
static bool hypervisor_that_miscounts(void)
{
	const struct vmbeam_extent_pair pair = PAIR(0, 0, 100);
	u8 status[100];
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg), .flags = VMBEAM_SWAP_EXCHANGE, .pairs = (uintptr_t)&pair, .nr_pairs = 1,
		.status = (uintptr_t)status,
	};
	long rc;

	if (!begin())
		return false;
	hv_miscounts = seed % 2 ? 1 : -1;
	test_warnings = 0;
	rc = test_ioctl(txn, VMBEAM_TXN_SWAP, &arg);
	hv_miscounts = 0;
	CHECK(test_warnings == 1);
	test_warnings = -1;
	CHECK(rc == (seed % 2 ? 0 : -EIO) && arg.nr_done == (seed % 2 ? 100 : 99));
	/* A pair that it has moved and does not tell of is not swapped back. */
	if (seed % 2 == 0)
		swap(a[99], b[99]);
	release();
	CHECK(all_back());
	return true;
}

/* However many there are, they fit: pairs that follow each other are one extent for the hypervisor, too. */
static bool excluded_pairs_that_meet_are_joined(void)
{
	static struct vmbeam_extent_pair excluded[FRAMES];
	const struct vmbeam_extent_pair all = PAIR(0, 0, FRAMES);

	if (!begin())
		return false;
	for (u64 i = 0; i < FRAMES; i++)
		excluded[i] = (struct vmbeam_extent_pair)PAIR(i, i, 1);
	hv_excluded = 0;
	hv_calls = 0;
	CHECK(swap_list(0, &all, 1, excluded, FRAMES) == 0);
	CHECK(hv_excluded == hv_calls);
	CHECK(all_back() && told().nr_swapped == 0);
	release();
	return true;
}

/* What somebody may do with a transaction; where it fails, it goes on. */
static void use(bool commit)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	static const struct vmbeam_extent_pair run = PAIR(512, 1024, 2048), excluded = PAIR(600, 1112, 3);
	u32 nr = scattered(pairs, 1);

	if (try_begin())
		return;
	swap_list(VMBEAM_SWAP_EXCHANGE, pairs, nr, NULL, 0);
	swap_list(0, &run, 1, &excluded, 1);
	swap_list(0, pairs, nr, pairs, 2);
	if (commit)
		end(VMBEAM_TXN_COMMIT);
	release();
}

/* The first, the second, ... of what may fail, until nothing did. */
static bool fail_each(void)
{
	long n;

	srand(seed);
	hv_busy = seed & 1;
	for (n = 0, test_failed = true; test_failed; n++) {
		bool commit = seed & 2;

		hv_fill();
		test_failed = false;
		test_fail_at = n;
		use(commit);
		test_fail_at = -1;
		CHECK(commit || all_back());
		CHECK(!id || told().state == (commit ? VMBEAM_TXN_COMMITTED : VMBEAM_TXN_ROLLED_BACK));
		if (!nothing_left())
			return false;
	}
	/* It must have come to some. */
	CHECK(n > 10);
	return true;
}

static bool each_allocation_fails_once(void)
{
	return seed > 3 || fail_each();
}

static const struct test tests[] = {
	TEST(closed_without_commit), TEST(committed), TEST(stuck_pairs_go_back_later),
	TEST(stuck_pairs_go_back_at_release), TEST(rollback_breaks_off), TEST(rollback_without_memory),
	TEST(ids_from_before_a_reload), TEST(what_sticks_for_a_moment_goes_back_at_release),
	TEST(begin_without_reply), TEST(commit_without_reply), TEST(domains_that_cannot_be),
	TEST(domains_are_in_one_transaction_at_a_time), TEST(ioctls_of_another_shape),
	TEST(lists_that_make_no_sense), TEST(device_models_are_asked_once), TEST(an_empty_list_asks),
	TEST(batches_tear_no_superpage),
	TEST(excluded_pairs_go_back_with_the_rest), TEST(superpage_goes_back_behind_many_runs),
	TEST(list_is_the_record_in_part),
	TEST(all_is_stuck_without_memory), TEST(scattered_pairs_go_back_fast), TEST(outcomes_make_room),
	TEST(too_many_are_open), TEST(loads_only_where_the_op_is), TEST(excluded_pairs_that_meet_are_joined),
	TEST(each_allocation_fails_once), TEST(reserved_fields), TEST(statuses_that_cannot_be_told),
	TEST(killed_in_the_middle), TEST(hypervisor_that_miscounts), TEST(begin_with_one_reply), TEST(told_to_a_tracer),
};

int main(int argc, char **argv)
{
	load();
	return tap_run(tests, ARRAY_SIZE(tests), ROUNDS, nothing_left, argc, argv);
}
