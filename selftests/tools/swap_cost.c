// SPDX-License-Identifier: GPL-2.0
/*
 * What a swap costs, from the ioctl to its return, in ticks of the TSC: under -icount these are instructions.
 * Each case is a line of JSON. Domains are bare, so nothing else runs.
 *
 *   swap_cost          the growth goes to 4 GiB, twice
 *   swap_cost CASE     with marks for lab/qemu/profile.c round what is measured in this case, without the growth
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <x86intrin.h>

#include "domain.h"
#include "pairs.h"
#include "txn.h"

#define SUPER 512
#define PAIRS 262144		/* 1 GiB */

static int dev;
static struct vmbeam_query query;
static const char *marked;	/* name of a case, or NULL */
static uint32_t a, b;
static struct vmbeam_extent_pair *pairs, excluded[PAIRS / SUPER * 8];

static void die(const char *what)
{
	perror(what);
	domain_teardown();
	exit(1);
}

static void make(uint64_t frames, unsigned int order)
{
	if (domain_create(&a, frames) || domain_create(&b, frames))
		die("no domains");
	if (domain_populate(a, 0, frames, order) || domain_populate(b, 0, frames, order))
		die("no memory for the domains");
}

/*
 * The instructions of all CPUs are counted, and idle ones scrub what a domain has given back. Xen does not tell when
 * they have done: 8 GiB take 2 s of the guest's time.
 */
#define SCRUB_S 10

static void destroy(void)
{
	if (domain_destroy(a) || domain_destroy(b))
		die("the domains do not go");
	sleep(SCRUB_S);
}

#define MARK(digit) __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 'v', 'm', 'b', '" digit "'" : : : "memory")

/* Ticks of one ioctl. */
static uint64_t swap(int txn, struct vmbeam_txn_swap *res, bool mark)
{
	uint64_t start;
	int rc;

	if (mark)
		MARK("1");
	start = __rdtsc();
	rc = ioctl(txn, VMBEAM_TXN_SWAP, res);
	start = __rdtsc() - start;
	if (mark)
		MARK("0");
	if (rc)
		die("swap");
	return start;
}

/* Likewise, of swapping all back. */
static uint64_t rollback(int txn, bool mark)
{
	uint64_t start;
	int rc;

	if (mark)
		MARK("1");
	start = __rdtsc();
	rc = txn_end(txn, VMBEAM_TXN_ROLLBACK);
	start = __rdtsc() - start;
	if (mark)
		MARK("0");
	if (rc)
		die("rollback");
	return start;
}

static void report(const char *name, uint64_t mib, uint64_t units, uint64_t ticks, uint64_t pause)
{
	printf("{\"case\":\"%s\",\"mib\":%llu,\"pairs\":%llu,\"ticks\":%llu,\"per_pair\":%.1f,\"max_pause_ns\":%llu}\n",
	       name, (unsigned long long)mib, (unsigned long long)units, (unsigned long long)ticks,
	       (double)ticks / units, (unsigned long long)pause);
	fflush(stdout);
}

/*
 * Swaps the list there and back, and reports what either took, per @unit frames: 1 or those of a superpage. All is to
 * go by superpages, or nothing.
 */
static void measure(const char *name, uint32_t nr, uint32_t per_extent, uint32_t nr_excluded, uint32_t flags,
		    uint32_t unit)
{
	struct vmbeam_txn_outcome outcome;
	uint64_t ticks = 0, back, id = 0, moved = 0, in_large = 0, frames = (uint64_t)nr * per_extent;
	bool mark = marked && !strcmp(marked, name);
	char back_name[64];
	uint32_t i, n, x = 0;
	int txn = txn_begin(dev, a, b, &id);

	if (txn < 0)
		die("begin");
	for (i = 0; i < nr; i += n) {
		struct vmbeam_txn_swap res = { .size = sizeof(res), .flags = flags };

		n = nr - i < query.max_extents ? nr - i : query.max_extents;
		if ((uint64_t)n * per_extent > query.max_frames)
			n = query.max_frames / per_extent;
		res.pairs = (uintptr_t)&pairs[i];
		res.nr_pairs = n;
		if (nr_excluded) {
			res.nr_excluded = nr_excluded / nr * n;
			res.excluded = (uintptr_t)&excluded[x];
			x += res.nr_excluded;
		}
		ticks += swap(txn, &res, mark);
		moved += res.nr_swapped + res.nr_kept + res.nr_exchanged;
		in_large += res.nr_large;
	}
	if (moved != frames || in_large != (unit == SUPER ? frames : 0)) {
		fprintf(stderr, "%s: %llu of %llu pairs went, %llu in superpages\n", name, (unsigned long long)moved,
			(unsigned long long)frames, (unsigned long long)in_large);
		die("not what was to be measured");
	}
	snprintf(back_name, sizeof(back_name), "%s, rolled back", name);
	back = rollback(txn, marked && !strcmp(marked, back_name));
	close(txn);
	if (txn_outcome(dev, id, &outcome))
		die("outcome");
	report(name, frames / 256, frames / unit, ticks, outcome.max_pause_ns);
	report(back_name, frames / 256, frames / unit, back, outcome.max_pause_ns);
}

/* What a transaction costs beside its swaps, once. */
static void empty(void)
{
	const char *name = "begin and commit";
	bool mark = marked && !strcmp(marked, name);
	uint64_t ticks;
	int txn;

	make(1, ORDER_4K);
	if (mark)
		MARK("1");
	ticks = __rdtsc();
	txn = txn_begin(dev, a, b, NULL);
	if (txn < 0 || txn_end(txn, VMBEAM_TXN_COMMIT) || close(txn))
		die(name);
	ticks = __rdtsc() - ticks;
	if (mark)
		MARK("0");
	report(name, 0, 1, ticks, 0);
	destroy();
}

static void use(struct vmbeam_extent_pair *list)
{
	if (!list)
		die("no memory for the list of pairs");
	free(pairs);
	pairs = list;
}

static void runs_of_512(uint32_t nr)
{
	use(pairs_in_runs(nr, SUPER));
}

static void small(void)
{
	void *addr;

	make(PAIRS, ORDER_4K);
	use(pairs_scattered(PAIRS));
	measure("4k scattered", PAIRS, 1, 0, 0, 1);

	runs_of_512(PAIRS / SUPER);
	measure("4k runs of 512", PAIRS / SUPER, SUPER, 0, 0, 1);

	addr = domain_map(a, 0, SUPER, 1 /* PROT_READ */);
	if (!addr)
		die("map");
	runs_of_512(1);
	measure("contents exchanged", 1, SUPER, 0, VMBEAM_SWAP_EXCHANGE, 1);
	domain_unmap(addr, SUPER);
	destroy();
}

static void large(void)
{
	uint32_t nr = PAIRS / SUPER;

	make(PAIRS, ORDER_2M);
	runs_of_512(nr);
	measure("2m", nr, SUPER, 0, 0, SUPER);
	for (uint32_t i = 0; i < nr * 8; i++) {
		uint64_t gfn = i / 8 * SUPER + i % 8 * 64 + 3;

		excluded[i] = (struct vmbeam_extent_pair){ .gfn_a = gfn, .gfn_b = gfn, .nr = 1 };
	}
	measure("2m with 8 excluded", nr, SUPER, nr * 8, 0, SUPER);
	destroy();
}

static void growth(void)
{
	for (uint32_t mib = 64; mib <= 4096; mib *= 4) {
		uint32_t nr = mib / 2;

		make((uint64_t)nr * SUPER, ORDER_2M);
		runs_of_512(nr);
		measure("2m, by size", nr, SUPER, 0, 0, SUPER);
		destroy();
		make((uint64_t)nr * SUPER, ORDER_4K);
		measure("4k runs, by size", nr, SUPER, 0, 0, 1);
		destroy();
	}
}

/* What the swap stands for: the same bytes, copied once by the C library, from and to memory that is there already. */
static void copy(void)
{
	const size_t len = 64UL << 20;
	char *from = malloc(len), *to = malloc(len);
	uint64_t ticks;

	if (!from || !to)
		die("malloc");
	memset(from, 1, len);
	memset(to, 2, len);
	ticks = __rdtsc();
	memcpy(to, from, len);
	__asm__ volatile("" : : "r"(to) : "memory");
	ticks = __rdtsc() - ticks;
	report("memcpy of 4 KiB", len >> 20, len >> 12, ticks, 0);
	free(from);
	free(to);
}

int main(int argc, char **argv)
{
	marked = argc > 1 ? argv[1] : NULL;
	dev = dev_open();
	query = (struct vmbeam_query){ .size = sizeof(query) };
	if (dev < 0 || call(dev, VMBEAM_QUERY, &query) || domain_setup()) {
		fprintf(stderr, "needs /dev/vmbeam of vmbeam_host, in dom0, as root\n");
		return 1;
	}
	copy();
	empty();
	small();
	large();
	if (!marked)
		growth();
	domain_teardown();
	return 0;
}
