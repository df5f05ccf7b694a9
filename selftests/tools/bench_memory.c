// SPDX-License-Identifier: GPL-2.0
/*
 * bench_memory MIB RUNS CASE...: what it takes to give the memory of one domain to another, by swapping or by copying
 * it. In the host management VM, on bare domains: nothing runs in them, each of their frames has been written to. Each
 * run of each case is a line of JSON: see account.h. What is checked is not in its time: all frames after the first run
 * and after the last one. To map them takes hundreds of times what it takes to swap them.
 *
 *   swap-2m       all frames, in superpages on both sides
 *   swap-4k       all frames, P2Ms of 4 KiB entries, every pair an extent of its own in a random order: the worst list
 *   swap-4k-runs  the same P2Ms, a list of runs of 512 frames
 *   memcpy        the same bytes, copied once by the C library: the least that any method costs that copies
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "account.h"
#include "domain.h"
#include "pairs.h"
#include "txn.h"

#define SUPER 512
/* Frames mapped at a time; the clock does not run while they are mapped. 64 MiB: no cache holds both sides. */
#define CHUNK 16384
#define WORDS (XC_PAGE_SIZE / sizeof(uint64_t))

static int dev;
static struct vmbeam_query query;
static uint32_t a, b;
static unsigned int runs;

static void die(const char *what)
{
	fprintf(stderr, "bench_memory: %s: %s\n", what, strerror(errno));
	domain_teardown();
	exit(1);
}

static uint64_t *map(uint32_t domid, uint64_t gfn, uint64_t nr)
{
	uint64_t *p = domain_map(domid, gfn, nr, PROT_READ | PROT_WRITE);

	if (!p)
		die("frames of a domain cannot be mapped");
	return p;
}

/* Each frame of a domain begins with a word of its own. */
static uint64_t mark(uint32_t domid, uint64_t gfn)
{
	return (uint64_t)domid << 40 | gfn;
}

static void mark_frames(uint64_t *p, uint32_t domid, uint64_t gfn, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		p[i * WORDS] = mark(domid, gfn + i);
}

static void write_all(uint32_t domid, uint64_t frames)
{
	for (uint64_t gfn = 0, n; gfn < frames; gfn += n) {
		uint64_t *p;

		n = frames - gfn < CHUNK ? frames - gfn : CHUNK;
		p = map(domid, gfn, n);
		mark_frames(p, domid, gfn, n);
		domain_unmap(p, n);
	}
}

/* That pair by pair frames of A hold what B's held, and the other way round; or, after another swap, what they held. */
static void check_frames(const struct vmbeam_extent_pair *pairs, uint32_t nr, uint32_t frames, bool swapped)
{
	uint64_t *is[2] = { calloc(frames, 8), calloc(frames, 8) };

	if (!is[0] || !is[1])
		die("no memory for the check");
	for (uint64_t gfn = 0, n; gfn < frames; gfn += n) {
		uint64_t *pa, *pb;

		n = frames - gfn < CHUNK ? frames - gfn : CHUNK;
		pa = map(a, gfn, n);
		pb = map(b, gfn, n);
		for (uint64_t i = 0; i < n; i++) {
			is[0][gfn + i] = pa[i * WORDS];
			is[1][gfn + i] = pb[i * WORDS];
		}
		domain_unmap(pa, n);
		domain_unmap(pb, n);
	}
	for (uint32_t i = 0; i < nr; i++) {
		for (uint32_t k = 0; k < pairs[i].nr; k++) {
			uint64_t gfn_a = pairs[i].gfn_a + k, gfn_b = pairs[i].gfn_b + k;
			uint64_t of_a = mark(a, gfn_a), of_b = mark(b, gfn_b);

			if (is[0][gfn_a] != (swapped ? of_b : of_a) || is[1][gfn_b] != (swapped ? of_a : of_b)) {
				errno = EILSEQ;
				die("frames do not hold what they should after the swap");
			}
		}
	}
	free(is[0]);
	free(is[1]);
}

static void report(const char *name, uint64_t frames, const struct account *used, uint64_t large, uint64_t max_pause_ns)
{
	printf("{\"case\":\"%s\",\"mib\":%llu,\"frames_in_superpages\":%llu,\"max_pause_ns\":%llu,", name,
	       (unsigned long long)frames / 256, (unsigned long long)large, (unsigned long long)max_pause_ns);
	account_print(stdout, used);
	printf("}\n");
	fflush(stdout);
}

/* One run. */
static void swap_all(const char *name, uint64_t frames, struct vmbeam_extent_pair *pairs, uint32_t nr, bool superpages)
{
	struct account from, to, used = { 0 };
	struct vmbeam_txn_outcome outcome;
	uint64_t id = 0, swapped = 0, large = 0;
	int txn, rc;

	if (account_read(&from))
		die("the accounting cannot be read");
	txn = txn_begin(dev, a, b, &id);
	if (txn < 0) {
		errno = -txn;
		die("no transaction");
	}
	for (uint32_t i = 0, n; i < nr; i += n) {
		struct vmbeam_txn_swap res;

		n = nr - i < query.max_extents ? nr - i : query.max_extents;
		if ((uint64_t)n * pairs[0].nr > query.max_frames)
			n = query.max_frames / pairs[0].nr;
		rc = txn_swap_list(txn, &pairs[i], n, 0, NULL, &res);
		if (rc) {
			errno = -rc;
			die("the swap failed");
		}
		swapped += res.nr_swapped;
		large += res.nr_large;
	}
	rc = txn_end(txn, VMBEAM_TXN_COMMIT);
	if (rc) {
		errno = -rc;
		die("the commit failed");
	}
	if (account_read(&to))
		die("the accounting cannot be read");
	close(txn);

	if (swapped != frames || large != (superpages ? frames : 0)) {
		fprintf(stderr, "bench_memory: %s: %llu of %llu frames were swapped, %llu in superpages\n", name,
			(unsigned long long)swapped, (unsigned long long)frames, (unsigned long long)large);
		errno = EINVAL;
		die("this is not what was to be measured");
	}
	rc = txn_outcome(dev, id, &outcome);
	if (rc) {
		errno = -rc;
		die("the transaction's outcome");
	}
	account_add(&used, &from, &to);
	report(name, frames, &used, large, outcome.max_pause_ns);
}

static void measure_swap(const char *name, uint64_t frames, struct vmbeam_extent_pair *pairs, uint32_t nr,
			 bool superpages)
{
	if (!pairs)
		die("no memory for the list of pairs");
	write_all(a, frames);
	write_all(b, frames);
	for (unsigned int run = 1; run <= runs; run++) {
		swap_all(name, frames, pairs, nr, superpages);
		if (run == 1 || run == runs)
			check_frames(pairs, nr, frames, run % 2);
	}
	free(pairs);
}

static void swap_2m(uint64_t frames)
{
	measure_swap("swap-2m", frames, pairs_in_runs(frames / SUPER, SUPER), frames / SUPER, true);
}

static void swap_4k(uint64_t frames)
{
	measure_swap("swap-4k", frames, pairs_scattered(frames), frames, false);
}

static void swap_4k_runs(uint64_t frames)
{
	measure_swap("swap-4k-runs", frames, pairs_in_runs(frames / SUPER, SUPER), frames / SUPER, false);
}

/* All runs of a chunk follow each other. */
static void copy_all(uint64_t frames)
{
	struct account from, to, *used = calloc(runs, sizeof(*used));

	if (!used)
		die("no memory for the figures");
	for (uint64_t gfn = 0, n; gfn < frames; gfn += n) {
		uint64_t *pa, *pb;

		n = frames - gfn < CHUNK ? frames - gfn : CHUNK;
		pa = map(a, gfn, n);
		pb = map(b, gfn, n);
		/* Memory that is touched for the first time is memory that an emulator has to get first. */
		mark_frames(pa, a, gfn, n);
		for (unsigned int run = 0; run < runs; run++) {
			mark_frames(pb, b, gfn, n);
			if (account_read(&from))
				die("the accounting cannot be read");
			memcpy(pb, pa, n * XC_PAGE_SIZE);
			__asm__ volatile("" : : "r"(pb) : "memory");
			if (account_read(&to))
				die("the accounting cannot be read");
			account_add(&used[run], &from, &to);
			for (uint64_t i = 0; i < n; i++) {
				if (pb[i * WORDS] != mark(a, gfn + i)) {
					errno = EILSEQ;
					die("the copy is wrong");
				}
			}
		}
		domain_unmap(pa, n);
		domain_unmap(pb, n);
	}
	for (unsigned int run = 0; run < runs; run++)
		report("memcpy", frames, &used[run], 0, 0);
	free(used);
}

#define NR_CASES 4
/* Those of one order follow each other: they share the domains. */
static const struct {
	const char *name;
	unsigned int order;
	void (*run)(uint64_t frames);
} cases[NR_CASES] = {
	{ "swap-2m", ORDER_2M, swap_2m },
	{ "memcpy", ORDER_2M, copy_all },
	{ "swap-4k", ORDER_4K, swap_4k },
	{ "swap-4k-runs", ORDER_4K, swap_4k_runs },
};

static void make(uint64_t frames, unsigned int order)
{
	if (domain_create(&a, frames) || domain_create(&b, frames))
		die("the domains cannot be made");
	if (domain_populate(a, 0, frames, order) || domain_populate(b, 0, frames, order))
		die("not enough free memory for two domains of this size");
}

static void unmake(uint64_t frames, unsigned int order)
{
	if (domain_depopulate(a, 0, frames, order) || domain_depopulate(b, 0, frames, order) || domain_destroy(a) ||
	    domain_destroy(b))
		die("the domains do not go");
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 2 ? strtoull(argv[1], NULL, 0) : 0, frames = mib * 256;
	bool wanted[NR_CASES] = { 0 };
	unsigned int i, made = ~0U;

	runs = argc > 3 ? strtoul(argv[2], NULL, 0) : 0;
	for (int arg = 3; arg < argc; arg++) {
		for (i = 0; i < NR_CASES && strcmp(argv[arg], cases[i].name); i++)
			;
		if (i == NR_CASES) {
			fprintf(stderr, "bench_memory: \"%s\" is no case\n", argv[arg]);
			return 2;
		}
		wanted[i] = true;
	}
	/* A list of 64 GiB, in extents of one frame, is the longest that has a use. */
	if (!mib || mib % 2 || mib > 65536 || !runs || runs > 1000) {
		fprintf(stderr, "usage: bench_memory MIB RUNS swap-2m|memcpy|swap-4k|swap-4k-runs...\n");
		fprintf(stderr, "MIB is even, and 65536 at most; RUNS is 1 to 1000\n");
		return 2;
	}
	dev = dev_open();
	query = (struct vmbeam_query){ .size = sizeof(query) };
	if (dev < 0 || call(dev, VMBEAM_QUERY, &query) || query.role != VMBEAM_ROLE_HOST || domain_setup()) {
		fprintf(stderr, "bench_memory: it takes vmbeam_host.ko, in the host management VM, as root\n");
		return 1;
	}
	for (i = 0; i < NR_CASES; i++) {
		if (!wanted[i])
			continue;
		if (made != cases[i].order) {
			if (made != ~0U)
				unmake(frames, made);
			made = cases[i].order;
			make(frames, made);
		}
		cases[i].run(frames);
	}
	unmake(frames, made);
	domain_teardown();
	return 0;
}
