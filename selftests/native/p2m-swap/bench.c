// SPDX-License-Identifier: GPL-2.0
/*
 * What a swap costs on this processor, in nanoseconds of its time, beside a copy of the same bytes. Cases are
 * interleaved: each round runs all of them. A line of JSON for each case.
 *
 *   bench [-e] [-n PAIRS] [-c PAIRS] [-r ROUNDS] [-k CASE]
 *     -e  EPT's tables, not NPT's
 *     -n  pairs of frames, 1048576
 *     -c  of these, those whose contents are touched (copies, exchanges): 8 KiB of memory each
 *     -r  rounds
 *     -k  the cases that begin so, and no others: for a profile
 */
#include <getopt.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "undo.h"

#define MAX_ROUNDS	100
#define NR_EXCLUDED	8
#define CALL_EXTENTS	2048	/* as vmbeam_host.ko has it */
#define CALL_PAIRS	6144

static unsigned long nr_pairs = 1UL << 20, nr_copied = 1UL << 18;
static unsigned int rounds = 10;
static const char *only = "";

/* A list of pairs, cut into calls. */
struct list {
	struct xen_p2m_swap_extent *extents;
	unsigned long nr, nr_pairs;
	bool exclude;		/* 8 of each extent */
};

/* Counters of the processor */

static const struct counter {
	const char *name;
	uint32_t type;
	uint64_t config;
} counters[] = {
	{ "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
	{ "llc_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
	{ "l1d_misses", PERF_TYPE_HW_CACHE,
	  PERF_COUNT_HW_CACHE_L1D | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16 },
	{ "dtlb_misses", PERF_TYPE_HW_CACHE,
	  PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16 },
};

#define NR_COUNTERS	ARRAY_SIZE(counters)

static int counter_fd[NR_COUNTERS];
static bool have_counters;

static void open_counters(void)
{
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		struct perf_event_attr attr = {
			.type = counters[i].type, .size = sizeof(attr), .config = counters[i].config,
			.exclude_kernel = 1, .exclude_hv = 1,
		};

		counter_fd[i] = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
		have_counters |= counter_fd[i] >= 0;
	}
}

static uint64_t read_counter(unsigned int i)
{
	uint64_t value = 0;

	if (counter_fd[i] < 0 || read(counter_fd[i], &value, sizeof(value)) != sizeof(value))
		return 0;
	return value;
}

/* Cases */

struct result {
	const char *name;
	unsigned long per;	/* what a run is divided by: pairs of 4 KiB frames */
	double ns[MAX_ROUNDS];
	uint64_t count[NR_COUNTERS];
};

static struct result results[32];
static unsigned int nr_results, round_;

static struct result *result_of(const char *name, unsigned long per)
{
	for (unsigned int i = 0; i < nr_results; i++)
		if (!strcmp(results[i].name, name))
			return &results[i];
	results[nr_results] = (struct result){ .name = name, .per = per };
	return &results[nr_results++];
}

static uint64_t started[NR_COUNTERS];
static s_time_t started_at;

/* Of this thread: what else runs on the machine has its own. */
static s_time_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void start(void)
{
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		started[i] = read_counter(i);
	started_at = cpu_time();
}

static void stop(const char *name, unsigned long per)
{
	const s_time_t ns = cpu_time() - started_at;
	struct result *r = result_of(name, per);

	r->ns[round_] = (double)ns / per;
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		r->count[i] += read_counter(i) - started[i];
}

/* What is looked at between pause_clock() and go_on() is not a part of what is measured. */
static s_time_t paused_at;
static uint64_t paused[NR_COUNTERS];

static void pause_clock(void)
{
	paused_at = cpu_time();
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		paused[i] = read_counter(i);
}

static void go_on(void)
{
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		started[i] += read_counter(i) - paused[i];
	started_at += cpu_time() - paused_at;
}

static uint8_t status[CALL_PAIRS];

static void fail(unsigned long at, const char *what)
{
	fprintf(stderr, "a swap failed at pair %lu: status %x, %s\n", at, status[at], what);
	exit(1);
}

/* All pairs were reached, and went as wanted; those that are excluded were kept. */
static void check(const struct xen_p2m_swap *op, uint8_t want)
{
	const struct xen_p2m_swap_extent *x = op->excluded.p, *const end = x + op->nr_excluded;
	unsigned long at = 0;

	for (unsigned int i = 0; i < op->nr_extents; i++) {
		const struct xen_p2m_swap_extent *e = &op->extents.p[i];

		for (unsigned int k = 0; k < e->nr; k++, at++) {
			const bool kept = x < end && x->gfn_a == e->gfn_a + k;

			x += kept;
			if (status[at] != (kept ? XEN_P2M_SWAP_ST_KEPT : want))
				fail(at, kept ? "excluded" : "not excluded");
		}
	}
	if (x != end)
		fail(at - 1, "and an excluded frame is in no extent");
	if (op->nr_done != at) {
		fprintf(stderr, "of %lu pairs %lu were reached\n", at, (unsigned long)op->nr_done);
		exit(1);
	}
}

static void call(struct xen_p2m_swap_extent *extents, unsigned int nr, struct xen_p2m_swap_extent *excluded,
		 unsigned int nr_excluded, uint32_t flags, uint8_t want)
{
	long rc;
	struct xen_p2m_swap op = {
		.domid_a = machine.d[0]->domain_id, .domid_b = machine.d[1]->domain_id, .flags = flags,
		.nr_extents = nr, .nr_excluded = nr_excluded,
	};

	op.extents.p = extents;
	op.excluded.p = excluded;
	op.status.p = status;
	rc = machine_swap(&op);
	pause_clock();
	if (rc || machine.wrong) {
		fprintf(stderr, "a swap failed: %ld, %s\n", rc, machine.wrong ?: "by itself");
		exit(1);
	}
	check(&op, want);
	memset(status, XEN_P2M_SWAP_ST_SKIPPED, sizeof(status));
	go_on();
}

static unsigned int exclude(const struct xen_p2m_swap_extent *e, struct xen_p2m_swap_extent *to)
{
	for (unsigned int i = 0; i < NR_EXCLUDED; i++) {
		const unsigned int at = i * e->nr / NR_EXCLUDED + 3;

		to[i] = (struct xen_p2m_swap_extent){ .gfn_a = e->gfn_a + at, .gfn_b = e->gfn_b + at, .nr = 1 };
	}
	return NR_EXCLUDED;
}

/* The whole list in calls as the module makes them; what was done is put into its log. */
static void swap_list(const struct list *l, uint32_t flags, uint8_t want)
{
	static struct xen_p2m_swap_extent excluded[CALL_PAIRS];

	for (unsigned long i = 0; i < l->nr; ) {
		unsigned int nr = 0, pairs = 0, nr_excluded = 0;

		for (; i + nr < l->nr && nr < CALL_EXTENTS && pairs + l->extents[i + nr].nr <= CALL_PAIRS; nr++) {
			pairs += l->extents[i + nr].nr;
			if (l->exclude)
				nr_excluded += exclude(&l->extents[i + nr], excluded + nr_excluded);
		}
		undo_reserve(nr + 2 * nr_excluded);
		call(l->extents + i, nr, excluded, nr_excluded, flags, want);
		for (unsigned int k = 0, x = 0; k < nr; k++) {
			const struct xen_p2m_swap_extent *e = &l->extents[i + k];
			unsigned int at = 0;

			for (; l->exclude && x < NR_EXCLUDED * (k + 1); x++) {
				const unsigned int kept = excluded[x].gfn_a - e->gfn_a;

				undo_add(e->gfn_a + at, e->gfn_b + at, kept - at, false);
				undo_add(e->gfn_a + kept, e->gfn_b + kept, 1, true);
				at = kept + 1;
			}
			undo_add(e->gfn_a + at, e->gfn_b + at, e->nr - at, false);
		}
		i += nr;
	}
}

/* Swaps back what the log has, the newest first; runs that follow each other are one extent again. */
static void roll_back(uint32_t flags, uint8_t want)
{
	static struct xen_p2m_swap_extent extents[CALL_EXTENTS], excluded[CALL_PAIRS];
	unsigned int nr = 0, pairs = 0, nr_excluded = 0;
	uint64_t a, b;
	uint32_t len;
	bool kept;

	while (undo_take(&a, &b, &len, &kept)) {
		struct xen_p2m_swap_extent *last = &extents[nr - 1];

		if (nr && a + len == last->gfn_a && b + len == last->gfn_b && last->nr + len <= SUPERPAGE_PAGES) {
			last->gfn_a = a;
			last->gfn_b = b;
			last->nr += len;
		} else {
			/* The last one may still grow. */
			if (nr == CALL_EXTENTS || pairs + SUPERPAGE_PAGES > CALL_PAIRS) {
				call(extents, nr, excluded, nr_excluded, flags, want);
				nr = 0;
				pairs = 0;
				nr_excluded = 0;
			}
			extents[nr++] = (struct xen_p2m_swap_extent){ .gfn_a = a, .gfn_b = b, .nr = len };
		}
		pairs += len;
		if (!kept)
			continue;
		/* Those of an extent are met backwards. */
		excluded[nr_excluded++] = (struct xen_p2m_swap_extent){ .gfn_a = a, .gfn_b = b, .nr = len };
		for (unsigned int i = nr_excluded - 1; i % NR_EXCLUDED; i--)
			SWAP(excluded[i], excluded[i - 1]);
	}
	if (nr)
		call(extents, nr, excluded, nr_excluded, flags, want);
}

static void run(const char *name, const char *back, const struct list *l, uint32_t flags, uint8_t want)
{
	if (strncmp(name, only, strlen(only)))
		return;
	undo_begin();
	start();
	swap_list(l, flags, want);
	stop(name, l->nr_pairs);
	start();
	roll_back(flags, want);
	stop(back, l->nr_pairs);
	undo_end();
}

static void *frame_of(unsigned int side, unsigned long gfn)
{
	unsigned int order;
	const uint64_t *e = machine_entry(machine.d[side], gfn, &order);

	return pdx_to_virt(entry_frame(*e) + (gfn & ((1UL << order) - 1)));
}

static void **from, **to;

/* The frames of the list, one copied to the other, addresses at hand. */
static void copy(const char *name, const struct list *l)
{
	unsigned long k = 0;

	if (strncmp(name, only, strlen(only)))
		return;
	for (unsigned long i = 0; i < l->nr; i++)
		for (unsigned int j = 0; j < l->extents[i].nr; j++, k++) {
			from[k] = frame_of(0, l->extents[i].gfn_a + j);
			to[k] = frame_of(1, l->extents[i].gfn_b + j);
		}
	start();
	for (unsigned long i = 0; i < k; i++)
		memcpy(to[i], from[i], PAGE_SIZE);
	stop(name, k);
}

/* Lists */

static uint64_t random_state = 1;

static unsigned long random_below(unsigned long limit)
{
	random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
	return (random_state >> 33) % limit;
}

static void shuffle(unsigned long *v, unsigned long nr)
{
	for (unsigned long i = nr - 1; i > 0; i--) {
		const unsigned long k = random_below(i + 1);

		SWAP(v[i], v[k]);
	}
}

/* Extents of @len pairs, in no order on either side, over @pairs gfns from @first on. */
static struct list make_list(unsigned long first, unsigned long pairs, unsigned int len, bool exclude)
{
	const unsigned long nr = pairs / len;
	unsigned long *const a = malloc(nr * sizeof(*a));
	unsigned long *const b = malloc(nr * sizeof(*b));
	struct list l = { malloc(nr * sizeof(*l.extents)), nr, pairs, exclude };

	for (unsigned long i = 0; i < nr; i++) {
		a[i] = i;
		b[i] = i;
	}
	shuffle(a, nr);
	shuffle(b, nr);
	for (unsigned long i = 0; i < nr; i++)
		l.extents[i] = (struct xen_p2m_swap_extent){
			.gfn_a = first + a[i] * len, .gfn_b = first + b[i] * len, .nr = len,
		};
	free(a);
	free(b);
	return l;
}

/* Single frames from gfn 0 on, in order, as a domain gets them; then superpages. */
static void populate(void)
{
	for (unsigned int side = 0; side < 2; side++) {
		for (unsigned long i = 0; i < nr_pairs; i++)
			machine_populate(machine.d[side], i, machine_alloc(0), 0, p2m_ram_rw);
		for (unsigned long i = 0; i < nr_pairs; i += SUPERPAGE_PAGES)
			machine_populate(machine.d[side], nr_pairs + i, machine_alloc(9), 9, p2m_ram_rw);
		for (unsigned long i = 0; i < nr_copied; i++)
			memset(frame_of(side, i), side + 1, PAGE_SIZE);
	}
}

static void make_busy(unsigned long nr, int refs)
{
	unsigned int order;

	for (unsigned long i = 0; i < nr; i++)
		pdx_to_page(entry_frame(*machine_entry(machine.d[0], i, &order)))->count_info += refs;
}

static void print(const struct result *r)
{
	printf("{\"case\": \"%s\", \"tables\": \"%s\", \"pairs\": %lu, \"ns\": [", r->name, test_ept ? "ept" : "npt",
	       r->per);
	for (unsigned int i = 0; i < rounds; i++)
		printf("%s%.2f", i ? ", " : "", r->ns[i]);
	printf("], \"counters\": ");
	if (!have_counters) {
		printf("null}\n");
		return;
	}
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		printf("%s\"%s\": ", i ? ", " : "{", counters[i].name);
		if (counter_fd[i] < 0)
			printf("null");
		else
			printf("%.3f", (double)r->count[i] / r->per / rounds);
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	bool ept = false;
	int c;

	while ((c = getopt(argc, argv, "en:c:r:k:")) != -1)
		switch (c) {
		case 'e':
			ept = true;
			break;
		case 'n':
			nr_pairs = strtoul(optarg, NULL, 0) & ~(SUPERPAGE_PAGES - 1UL);
			break;
		case 'c':
			nr_copied = strtoul(optarg, NULL, 0) & ~(SUPERPAGE_PAGES - 1UL);
			break;
		case 'r':
			rounds = min(strtoul(optarg, NULL, 0), (unsigned long)MAX_ROUNDS);
			break;
		case 'k':
			only = optarg;
			break;
		default:
			return 2;
		}
	nr_copied = min(nr_copied, nr_pairs);
	if (!nr_copied || !rounds)
		return 2;

	/* Both domains', twice as much; some for their tables. */
	machine_create(nr_pairs * 4 + nr_pairs / 32 + 4096, ept);
	populate();
	open_counters();
	from = malloc(nr_copied * sizeof(*from));
	to = malloc(nr_copied * sizeof(*to));

	const struct list scattered = make_list(0, nr_pairs, 1, false);
	const struct list runs = make_list(0, nr_pairs, SUPERPAGE_PAGES, false);
	const struct list large = make_list(nr_pairs, nr_pairs, SUPERPAGE_PAGES, false);
	const struct list excluded = make_list(nr_pairs, nr_copied, SUPERPAGE_PAGES, true);
	const struct list touched = make_list(0, nr_copied, 1, false);
	const struct list touched_runs = make_list(0, nr_copied, SUPERPAGE_PAGES, false);

	for (unsigned int side = 0; side < 2; side++)
		for (unsigned long i = 0; i < excluded.nr; i++) {
			struct xen_p2m_swap_extent x[NR_EXCLUDED];

			exclude(&excluded.extents[i], x);
			for (unsigned int k = 0; k < NR_EXCLUDED; k++)
				memset(frame_of(side, side ? x[k].gfn_b : x[k].gfn_a), 1, PAGE_SIZE);
		}

	for (round_ = 0; round_ < rounds; round_++) {
		copy("memcpy, scattered", &touched);
		copy("memcpy, runs of 512", &touched_runs);
		run("4 KiB scattered", "4 KiB scattered, back", &scattered, 0, XEN_P2M_SWAP_ST_SWAPPED);
		run("4 KiB runs of 512", "4 KiB runs of 512, back", &runs, 0, XEN_P2M_SWAP_ST_SWAPPED);
		run("2 MiB", "2 MiB, back", &large, 0, XEN_P2M_SWAP_ST_SWAPPED);
		run("2 MiB with 8 excluded", "2 MiB with 8 excluded, back", &excluded, 0, XEN_P2M_SWAP_ST_SWAPPED);
		make_busy(nr_copied, 1);
		run("exchange", "exchange, back", &touched, XEN_P2M_SWAP_EXCHANGE, XEN_P2M_SWAP_ST_EXCHANGED);
		make_busy(nr_copied, -1);
	}
	for (unsigned int i = 0; i < nr_results; i++)
		print(&results[i]);
	return 0;
}
