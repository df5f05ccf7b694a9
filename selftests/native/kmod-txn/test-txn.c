// SPDX-License-Identifier: GPL-2.0
/*
 * kmod/host as it is, but for the hypercall, in userspace, against a made-up hypervisor: whatever was swapped
 * and however it went wrong, after a rollback every frame is back. Random, with fixed seeds. TAP on stdout.
 */
#include <stdio.h>

#include "kernel.h"
#include "host.h"

#define FRAMES	8192
#define ROUNDS	150

#define CHECK(what) do {								\
	if (!(what)) {									\
		printf("# seed %u, line %d: %s\n", seed, __LINE__, #what);		\
		return false;								\
	}										\
} while (0)

/* The hypervisor: what is at each gfn of the two domains. */
static u64 a[FRAMES], b[FRAMES];
static bool refused[FRAMES];	/* gfns of A */
static unsigned int hv_batch;	/* it notices a gfn that occurs twice within as many pairs */
static bool hv_busy;		/* some pairs: they move with the exchange flag only */
static unsigned int hv_invalidates;	/* hypercalls that were to ask the device models */
static u64 hv_first;		/* domain A's first gfn in the last batch */
static u64 hv_pairs;		/* that it was given, excluded ones among them */
static bool free_after_sleep;	/* what is refused is not any more, once somebody has waited */
static bool no_reply;		/* the caller's memory cannot be written to */
static int fail_at = -1;	/* pairs until a hypercall breaks off; -1: never */
static int no_memory_at = -1;	/* allocations until one fails */

static unsigned int nr_in_place;	/* batches of the caller's own list, all of which was swapped */
static u64 id;			/* of the transaction */
static struct file file;
static const struct file_operations *fops;

void *test_alloc(size_t size, gfp_t gfp)
{
	if (!(gfp & __GFP_NOFAIL) && no_memory_at >= 0 && no_memory_at-- == 0)
		return NULL;
	return calloc(1, size);
}

struct file *test_file(const struct file_operations *ops, void *private_data)
{
	fops = ops;
	file.private_data = private_data;
	return &file;
}

void test_fput(struct file *f)
{
	fops->release(NULL, f);
}

void test_sleep(void)
{
	if (free_after_sleep)
		memset(refused, 0, sizeof(refused));
}

int test_copy_to_user(void *to, const void *from, size_t len)
{
	return no_reply ? -EFAULT : copy_from_user(to, from, len);
}

u64 get_random_u64(void)
{
	static u64 last = 1;

	last = last * 6364136223846793005ULL + 1442695040888963407ULL;
	return last;
}

void vmbeam_batch_reset(struct vmbeam_batch *batch)
{
	batch->extents = batch->own;
	batch->nr_extents = 0;
	batch->nr_excluded = 0;
	batch->first_excluded = 0;
	batch->nr_pairs = 0;
	batch->nr_done = 0;
	batch->ns = 0;
}

void vmbeam_batch_borrow(struct vmbeam_batch *batch, const struct xen_p2m_swap_extent *extents, u32 nr_extents,
			 u32 nr_pairs)
{
	if (!nr_extents || nr_pairs > VMBEAM_BATCH_PAIRS || nr_extents > VMBEAM_BATCH_EXTENTS)
		abort();
	batch->extents = extents;
	batch->nr_extents = nr_extents;
	batch->nr_pairs = nr_pairs;
}

void vmbeam_batch_add(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr)
{
	if (batch->nr_pairs + nr > VMBEAM_BATCH_PAIRS || batch->nr_extents == VMBEAM_BATCH_EXTENTS)
		abort();
	batch->own[batch->nr_extents++] = (struct xen_p2m_swap_extent){ .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr };
	batch->nr_pairs += nr;
	batch->first_excluded = batch->nr_excluded;
}

void vmbeam_batch_exclude(struct vmbeam_batch *batch, u64 gfn_a, u64 gfn_b, u32 nr)
{
	if (batch->nr_excluded == VMBEAM_BATCH_EXCLUDED)
		abort();
	batch->excluded[batch->nr_excluded++] = (struct xen_p2m_swap_extent){
		.gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr,
	};
}

/* Which pairs are excluded; each excluded extent must be part of an extent, in the same order. */
static void mark_excluded(const struct vmbeam_batch *batch, bool *excluded)
{
	u32 k = 0, x = 0;

	memset(excluded, 0, batch->nr_pairs);
	for (u32 i = 0; i < batch->nr_extents; i++) {
		const struct xen_p2m_swap_extent *e = &batch->extents[i];
		u64 from = 0;

		for (; x < batch->nr_excluded; x++) {
			const struct xen_p2m_swap_extent *out = &batch->excluded[x];
			u64 at = out->gfn_a - e->gfn_a;

			if (out->gfn_b - e->gfn_b != at || at < from || at >= e->nr || out->nr > e->nr - at)
				break;
			memset(excluded + k + at, true, out->nr);
			from = at + out->nr;
		}
		k += e->nr;
	}
	if (x < batch->nr_excluded)
		abort();
}

static u8 swap_pair(u64 gfn_a, u64 gfn_b, u32 flags, bool *seen_a, bool *seen_b)
{
	bool busy = hv_busy && gfn_a % 7 == 0;

	if (gfn_a >= FRAMES || gfn_b >= FRAMES)
		abort();
	if (refused[gfn_a])
		return XEN_P2M_SWAP_ST_TYPE | XEN_P2M_SWAP_ST_SIDE_A;
	if (seen_a[gfn_a] || seen_b[gfn_b])
		return XEN_P2M_SWAP_ST_DUPLICATE | XEN_P2M_SWAP_ST_SIDE_A;
	seen_a[gfn_a] = true;
	seen_b[gfn_b] = true;
	if (busy && !(flags & XEN_P2M_SWAP_EXCHANGE))
		return XEN_P2M_SWAP_ST_BUSY;
	swap(a[gfn_a], b[gfn_b]);
	return busy ? XEN_P2M_SWAP_ST_EXCHANGED : XEN_P2M_SWAP_ST_SWAPPED;
}

int vmbeam_batch_swap(struct vmbeam_batch *batch, u32 domid_a, u32 domid_b, u32 flags)
{
	static bool seen_a[FRAMES], seen_b[FRAMES], excluded[VMBEAM_BATCH_PAIRS];
	u32 k = 0;

	if ((!batch->nr_extents && !(flags & XEN_P2M_SWAP_INVALIDATE)) || domid_a != 1 || domid_b != 2 ||
	    flags & ~(XEN_P2M_SWAP_EXCHANGE | XEN_P2M_SWAP_INVALIDATE))
		abort();
	hv_invalidates += !!(flags & XEN_P2M_SWAP_INVALIDATE);
	hv_first = batch->nr_extents ? batch->extents[0].gfn_a : 0;
	memset(&batch->op, 0, sizeof(batch->op));
	memset(batch->status, 0xee, sizeof(batch->status));
	batch->all_swapped = false;
	mark_excluded(batch, excluded);
	for (u32 i = 0; i < batch->nr_extents; i++) {
		for (u32 j = 0; j < batch->extents[i].nr; j++, k++) {
			if (k % hv_batch == 0) {
				memset(seen_a, 0, sizeof(seen_a));
				memset(seen_b, 0, sizeof(seen_b));
			}
			batch->nr_done = k;
			if (fail_at >= 0 && fail_at-- == 0)
				return -EOPNOTSUPP;
			batch->status[k] = excluded[k] ? XEN_P2M_SWAP_ST_KEPT :
					   swap_pair(batch->extents[i].gfn_a + j, batch->extents[i].gfn_b + j,
						     flags, seen_a, seen_b);
		}
	}
	batch->nr_done = k;
	hv_pairs += k;
	batch->all_swapped = !memchr_inv(batch->status, XEN_P2M_SWAP_ST_SWAPPED, k);
	nr_in_place += batch->all_swapped && batch->extents != batch->own;
	return 0;
}

static unsigned int seed;

/* What the module says of it. */
static struct vmbeam_txn_outcome told(void)
{
	struct vmbeam_txn_outcome told;

	if (vmbeam_outcome_get(id, &told) || told.id != id)
		abort();
	return told;
}

static bool all_back(void)
{
	for (u64 i = 0; i < FRAMES; i++)
		if (a[i] != i || b[i] != FRAMES + i)
			return false;
	return true;
}

static bool begin(void)
{
	struct vmbeam_txn_begin reply, arg = { .size = sizeof(arg), .domid_a = 1, .domid_b = 2 };
	struct vmbeam_call call = { .uarg = &reply, .arg = &arg, .copy_size = sizeof(arg) };

	srand(seed);
	for (u64 i = 0; i < FRAMES; i++) {
		a[i] = i;
		b[i] = FRAMES + i;
	}
	hv_batch = rand() % 2 ? 256 : 2048;
	hv_busy = rand() % 2;
	CHECK(vmbeam_txn_begin(&call, &arg) == 0 && reply.id);
	id = reply.id;
	return true;
}

static long end(unsigned int cmd)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return fops->unlocked_ioctl(&file, cmd, (unsigned long)&arg);
}

/* Another transaction, of these two domains. */
static long begin_another(u32 domid_a, u32 domid_b)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = domid_a, .domid_b = domid_b };
	struct vmbeam_call call = { .uarg = &arg, .arg = &arg };

	return vmbeam_txn_begin(&call, &arg);
}

static long swap_list(u32 flags, const struct vmbeam_extent_pair *pairs, u32 nr,
		      const struct vmbeam_extent_pair *excluded, u32 nr_excluded)
{
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg), .flags = flags, .pairs = (uintptr_t)pairs, .nr_pairs = nr,
		.excluded = (uintptr_t)excluded, .nr_excluded = nr_excluded,
	};

	return fops->unlocked_ioctl(&file, VMBEAM_TXN_SWAP, (unsigned long)&arg);
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
		no_memory_at = rand() % 4;
	rc = fops->unlocked_ioctl(&file, VMBEAM_TXN_SWAP, (unsigned long)&arg);
	fail_at = -1;
	no_memory_at = -1;
	*moved += arg.nr_swapped + arg.nr_exchanged;
	free(pairs);
	free(excluded);
	CHECK(rc == 0 || rc == -ENOMEM || rc == -EOPNOTSUPP);
	CHECK(rc ? arg.nr_done < frames : arg.nr_done == frames);
	CHECK(arg.nr_done == arg.nr_swapped + arg.nr_exchanged + arg.nr_busy + arg.nr_refused +
	      arg.nr_kept);
	for (u64 i = 0; i < arg.nr_done; i++)
		CHECK(status[i] != VMBEAM_PAIR_SKIPPED && status[i] != 0xee);
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

static void release(void)
{
	fops->release(NULL, &file);
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

static bool stuck_pairs_go_back_later(void)
{
	u64 moved;
	long rc;

	if (!swap_much(&moved))
		return false;
	for (int i = rand() % 2000; i > 0; i--)
		refused[rand() % FRAMES] = true;
	rc = end(VMBEAM_TXN_ROLLBACK);
	memset(refused, 0, sizeof(refused));
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
	memset(refused, 0, sizeof(refused));
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
	free_after_sleep = true;
	release();
	free_after_sleep = false;
	memset(refused, 0, sizeof(refused));
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
	no_memory_at = 0;
	release();
	no_memory_at = -1;
	CHECK(all_back());
	return true;
}

static bool begin_without_memory(void)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = 1, .domid_b = 2 };
	struct vmbeam_call call = { .uarg = &arg, .arg = &arg };
	long rc;

	no_memory_at = seed % 3;
	rc = vmbeam_txn_begin(&call, &arg);
	no_memory_at = -1;
	CHECK(rc == -ENOMEM);
	return true;
}

/* Nobody was told of it: it never was. */
static bool begin_without_reply(void)
{
	struct vmbeam_txn_outcome none;
	long rc;

	if (!begin())
		return false;
	release();
	no_reply = true;
	rc = begin_another(1, 2);
	no_reply = false;
	CHECK(rc == -EFAULT && vmbeam_outcome_get(id + 1, &none) == -ENOENT);
	CHECK(begin());
	release();
	return true;
}

static bool domains_that_cannot_be(void)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = 1, .domid_b = 2, .__reserved = 1 };
	struct vmbeam_call call = { .uarg = &arg, .arg = &arg };

	CHECK(vmbeam_txn_begin(&call, &arg) == -EINVAL);
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

	if (!begin())
		return false;
	CHECK(end(VMBEAM_TXN_BEGIN) == -ENOTTY);
	CHECK(fops->unlocked_ioctl(&file, VMBEAM_TXN_COMMIT, (unsigned long)&arg) == -EINVAL);
	arg = (struct vmbeam_txn_end){ .size = sizeof(arg) - 1 };
	CHECK(fops->unlocked_ioctl(&file, VMBEAM_TXN_COMMIT, (unsigned long)&arg) == -EINVAL);
	arg.size = PAGE_SIZE + 1;
	CHECK(fops->unlocked_ioctl(&file, VMBEAM_TXN_COMMIT, (unsigned long)&arg) == -E2BIG);
	CHECK(told().state == VMBEAM_TXN_OPEN);
	release();
	return true;
}

#define PAIR(a, b, n)	{ .gfn_a = (a), .gfn_b = (b), .nr = (n) }
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

	if (!begin())
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		long rc = swap_list(0, lists[i].pairs, 2, lists[i].nr_excluded ? lists[i].excluded : NULL,
				    lists[i].nr_excluded);

		if (rc != lists[i].rc)
			printf("# list %zu: %ld\n", i, rc);
		CHECK(rc == lists[i].rc);
	}
	CHECK(swap_list(0, NULL, 0, NULL, 0) == -EINVAL);
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

static bool batches_tear_no_superpage(void)
{
	struct vmbeam_extent_pair much = { .nr = 7000 };

	if (!begin())
		return false;
	much.gfn_a = rand() % 1000;
	much.gfn_b = rand() % 1000;
	CHECK(swap_list(0, &much, 1, NULL, 0) == 0);
	CHECK(hv_first > much.gfn_a && hv_first % 512 == 0);
	release();
	CHECK(all_back());
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

/* Extents of @len pairs, none of which continues another. */
static u32 scattered(struct vmbeam_extent_pair *pairs, u32 len)
{
	u32 nr = FRAMES / len & ~1U;

	for (u64 i = 0; i < nr; i++)
		pairs[i] = (struct vmbeam_extent_pair)PAIR(len * i, len * (i ^ 1), len);
	return nr;
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
	memset(refused, 0, sizeof(refused));
	release();
	CHECK(all_back());
	return true;
}

/* More than there was room for at the beginning, and the memory is gone. */
static bool all_is_stuck_without_memory(void)
{
	static struct vmbeam_extent_pair pairs[FRAMES];
	long rc;

	if (seed)
		return true;	/* they are all compared with each other */
	if (!begin())
		return false;
	hv_busy = false;
	CHECK(swap_list(0, pairs, scattered(pairs, 1), NULL, 0) == 0);
	memset(refused, true, sizeof(refused));
	no_memory_at = 0;
	rc = end(VMBEAM_TXN_ROLLBACK);
	no_memory_at = -1;
	memset(refused, 0, sizeof(refused));
	CHECK(rc == -EBUSY && told().nr_stuck == FRAMES);
	CHECK(end(VMBEAM_TXN_ROLLBACK) == 0);
	CHECK(all_back());
	release();
	return true;
}

static bool ids_from_before_a_reload(void)
{
	struct vmbeam_txn_outcome none;
	u64 before;

	vmbeam_outcome_free_all();
	vmbeam_outcome_init();
	if (!begin())
		return false;
	before = id;
	CHECK(end(VMBEAM_TXN_COMMIT) == 0);
	release();
	vmbeam_outcome_free_all();
	vmbeam_outcome_init();
	for (int i = 0; i < 3; i++) {
		u64 last = id;

		if (!begin())
			return false;
		release();
		CHECK(i == 0 || id == last + 1);
		CHECK(id < 1ULL << 53 && vmbeam_outcome_get(before, &none) == -ENOENT);
	}
	return true;
}

#define TEST(name) { #name, name }

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	TEST(closed_without_commit), TEST(committed), TEST(stuck_pairs_go_back_later),
	TEST(stuck_pairs_go_back_at_release), TEST(rollback_breaks_off), TEST(rollback_without_memory),
	TEST(begin_without_memory), TEST(ids_from_before_a_reload),
	TEST(what_sticks_for_a_moment_goes_back_at_release), TEST(begin_without_reply), TEST(domains_that_cannot_be),
	TEST(domains_are_in_one_transaction_at_a_time), TEST(ioctls_of_another_shape), TEST(lists_that_make_no_sense),
	TEST(device_models_are_asked_once), TEST(batches_tear_no_superpage),
	TEST(excluded_pairs_go_back_with_the_rest), TEST(list_is_the_record_in_part),
	TEST(all_is_stuck_without_memory),
};

/* -r NAME: that one alone, with a last line like kselftest's harness */
int main(int argc, char **argv)
{
	const char *only = argc == 3 && !strcmp(argv[1], "-r") ? argv[2] : NULL;
	int failed = 0, nr = 0;

	vmbeam_outcome_init();
	printf("TAP version 13\n");
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		bool good = true;

		if (only && strcmp(only, tests[i].name))
			continue;
		for (seed = 0; good && seed < ROUNDS; seed++)
			good = tests[i].run();
		/* The first one swaps whole lists: that these became part of the record is what it is to see, too. */
		good = good && (i || nr_in_place);
		failed += !good;
		printf("%sok %d %s\n", good ? "" : "not ", ++nr, tests[i].name);
		fflush(stdout);
	}
	printf("1..%d\n# %sED: %d / %d tests passed\n", nr, failed ? "FAIL" : "PASS", nr - failed, nr);
	return failed || !nr;
}
