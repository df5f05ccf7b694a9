// SPDX-License-Identifier: GPL-2.0
/*
 * Random swaps against a model: lists of every shape, superpages and parts of them, frames excluded, busy and missing,
 * exchanges, rollbacks. The model says what must be at each gfn. VMBEAM_TEST_SEED gives another run.
 */
#include <stdlib.h>
#include <time.h>

#include "host.h"

#define SUPER 512
#define NR (8 * SUPER)
#define PHASES 10		/* each with fresh domains, whose superpages are whole */
#define BATCHES 1000		/* in a phase, at least */
#define GENTLE 8		/* transactions at the beginning of each that tear no superpage */
#define MAX_EXTENTS 6
#define MAX_EXCLUDED 64
#define MAX_MAPPED 3

struct model {
	/* Whose pattern a gfn has: domain (0: A, 1: B) and the gfn that it was written to. */
	uint16_t side[2][NR], origin[2][NR];
};

FIXTURE(random)
{
	struct pair p;
	struct model now, at_begin;
	bool hole[2][NR], busy[2][NR];
	struct vmbeam_extent_pair pairs[MAX_EXTENTS], excluded[MAX_EXCLUDED];
	uint32_t nr_pairs, nr_excluded, flags;
	uint8_t status[MAX_EXTENTS * 2 * SUPER];
	bool keep[MAX_EXTENTS * 2 * SUPER];	/* excluded, by the number of the pair in the list */
	uint64_t rounds, batches, large, exchanged, kept, busy_pairs, rollbacks;
	int txn;
	uint64_t id;
};

FIXTURE_SETUP(random)
{
}

FIXTURE_TEARDOWN(random)
{
	pair_teardown(&self->p);
}

static void fresh_domains(struct __test_metadata *_metadata, FIXTURE_DATA(random) *self)
{
	int side, i;

	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_2M));
	for (side = 0; side < 2; side++)
		for (i = 0; i < NR; i++) {
			self->now.side[side][i] = side;
			self->now.origin[side][i] = i;
		}
	ASSERT_EQ(0, domain_punch(self->p.a, 3 * SUPER + 1));
	ASSERT_EQ(0, domain_punch(self->p.b, 5 * SUPER + 2));
	self->hole[0][3 * SUPER + 1] = true;
	self->hole[1][5 * SUPER + 2] = true;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static uint32_t domid(FIXTURE_DATA(random) *self, int side)
{
	return side ? self->p.b : self->p.a;
}

/* Is a pair of this extent in an earlier one? An excluded extent that is within both would be meant for that one. */
static bool has_pair_of(const FIXTURE_DATA(random) *self, uint32_t i)
{
	const struct vmbeam_extent_pair *e = &self->pairs[i], *o;

	for (o = self->pairs; o < e; o++)
		if (o->gfn_a - o->gfn_b == e->gfn_a - e->gfn_b && o->gfn_a < e->gfn_a + e->nr &&
		    e->gfn_a < o->gfn_a + o->nr)
			return true;
	return false;
}

/* A list in which superpages and their parts come often, and gfns twice now and then. */
static void make_list(FIXTURE_DATA(random) *self, bool gentle)
{
	uint32_t i, at, pair = 0;

	memset(self->keep, 0, sizeof(self->keep));
	self->nr_pairs = 1 + below(MAX_EXTENTS);
	self->nr_excluded = 0;
	self->flags = below(2) ? VMBEAM_SWAP_EXCHANGE : 0;
	for (i = 0; i < self->nr_pairs; i++) {
		struct vmbeam_extent_pair *e = &self->pairs[i];

		do {
			*e = (struct vmbeam_extent_pair) {
				.nr = gentle || below(3) ? SUPER * (1 + below(2)) : 1 + below(300),
			};
			e->gfn_a = below(NR - e->nr + 1);
			e->gfn_b = below(NR - e->nr + 1);
			if (gentle || below(4)) {
				e->gfn_a -= e->gfn_a % SUPER;
				e->gfn_b -= e->gfn_b % SUPER;
			}
		} while (has_pair_of(self, i));
		for (at = below(2) ? e->nr : 0; at < e->nr && self->nr_excluded < MAX_EXCLUDED;) {
			uint32_t nr = 1 + below(3);

			at += below(100);
			if (at + nr > e->nr)
				break;
			self->excluded[self->nr_excluded++] = (struct vmbeam_extent_pair) {
				.gfn_a = e->gfn_a + at, .gfn_b = e->gfn_b + at, .nr = nr,
			};
			memset(self->keep + pair + at, true, nr);
			at += nr;
		}
		pair += e->nr;
	}
}

static void model_swap(struct model *m, uint64_t gfn_a, uint64_t gfn_b)
{
	uint16_t side = m->side[0][gfn_a], origin = m->origin[0][gfn_a];

	m->side[0][gfn_a] = m->side[1][gfn_b];
	m->origin[0][gfn_a] = m->origin[1][gfn_b];
	m->side[1][gfn_b] = side;
	m->origin[1][gfn_b] = origin;
}

/* Is a frame of this pair in an earlier one? */
static bool comes_again(const FIXTURE_DATA(random) *self, uint32_t extent, uint32_t i)
{
	const struct vmbeam_extent_pair *e = &self->pairs[extent], *o;

	for (o = self->pairs; o < e; o++)
		if (e->gfn_a + i - o->gfn_a < o->nr || e->gfn_b + i - o->gfn_b < o->nr)
			return true;
	return false;
}

/* What the status says must make sense, and is then what the model does. */
static bool follow_pair(FIXTURE_DATA(random) *self, uint64_t a, uint64_t b, bool keep, bool again, uint8_t status)
{
	bool busy = self->busy[0][a] || self->busy[1][b], hole = self->hole[0][a] || self->hole[1][b];

	if (status == VMBEAM_PAIR_KEPT ? !keep : keep)
		return false;
	switch (status & VMBEAM_PAIR_MASK) {
	case VMBEAM_PAIR_SWAPPED:
		model_swap(&self->now, a, b);
		return !busy && !hole;
	case VMBEAM_PAIR_EXCHANGED:
		model_swap(&self->now, a, b);
		return busy && !hole && self->flags;
	case VMBEAM_PAIR_BUSY:
		return busy && !hole && !self->flags;
	case VMBEAM_PAIR_TYPE:
		return hole;
	case VMBEAM_PAIR_DUPLICATE:
		return again;
	case VMBEAM_PAIR_KEPT:
		return true;
	}
	return false;
}

static bool follow(struct __test_metadata *_metadata, FIXTURE_DATA(random) *self, const struct vmbeam_txn_swap *res)
{
	uint32_t i, j;
	uint8_t *st = self->status;

	for (i = 0; i < self->nr_pairs; i++)
		for (j = 0; j < self->pairs[i].nr; j++, st++) {
			uint64_t a = self->pairs[i].gfn_a + j, b = self->pairs[i].gfn_b + j;
			bool keep = self->keep[st - self->status];

			if (!follow_pair(self, a, b, keep, comes_again(self, i, j), *st)) {
				TH_LOG("extent %u of %u, pair %u, frames %#llx (%s%s) and %#llx (%s%s)%s%s: status %#x",
				       i, self->nr_pairs, j, (unsigned long long)a,
				       self->busy[0][a] ? "busy" : "", self->hole[0][a] ? "hole" : "",
				       (unsigned long long)b, self->busy[1][b] ? "busy" : "",
				       self->hole[1][b] ? "hole" : "", keep ? ", excluded" : "",
				       self->flags ? ", exchange" : "", *st);
				return false;
			}
		}
	return st - self->status == (long)res->nr_done;
}

static int64_t wrong(FIXTURE_DATA(random) *self, int side, uint64_t gfn)
{
	if (self->hole[side][gfn])
		return 0;
	return domain_wrong(domid(self, side), gfn, 1, self->now.side[side][gfn] ? SEED_B : SEED_A,
			    self->now.origin[side][gfn]);
}

static int64_t all_wrong(FIXTURE_DATA(random) *self)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < NR; i++)
		sum += !!wrong(self, 0, i) + !!wrong(self, 1, i);
	return sum;
}

static void one_round(struct __test_metadata *_metadata, FIXTURE_DATA(random) *self, bool gentle)
{
	struct { void *addr; int side; uint64_t gfn; } mapped[MAX_MAPPED];
	int i, nr_mapped = gentle || below(3) ? 0 : 1 + below(MAX_MAPPED);
	struct vmbeam_txn_swap res;

	make_list(self, gentle);
	for (i = 0; i < nr_mapped; i++) {
		mapped[i].side = below(2);
		do
			mapped[i].gfn = below(NR);
		while (self->hole[mapped[i].side][mapped[i].gfn]);
		mapped[i].addr = domain_map(domid(self, mapped[i].side), mapped[i].gfn, 1, PROT_READ);
		ASSERT_NE(NULL, mapped[i].addr);
		self->busy[mapped[i].side][mapped[i].gfn] = true;
	}
	ASSERT_EQ(0, txn_swap_but(self->txn, self->pairs, self->nr_pairs, self->nr_excluded ? self->excluded : NULL,
				  self->nr_excluded, self->flags, self->status, &res));
	ASSERT_TRUE(follow(_metadata, self, &res));
	for (i = 0; i < nr_mapped; i++) {
		ASSERT_EQ(0, domain_unmap(mapped[i].addr, 1));
		self->busy[mapped[i].side][mapped[i].gfn] = false;
	}
	self->large += res.nr_large;
	self->exchanged += res.nr_exchanged;
	self->kept += res.nr_kept;
	self->busy_pairs += res.nr_busy;
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, wrong(self, 0, below(NR)));
		ASSERT_EQ(0, wrong(self, 1, below(NR)));
	}
}

/* Ends the transaction in one of the three ways; the model follows. */
static void end_txn(struct __test_metadata *_metadata, FIXTURE_DATA(random) *self, bool commit)
{
	struct vmbeam_txn_outcome outcome;
	int i;

	if (commit || below(2))
		ASSERT_EQ(0, txn_end(self->txn, commit ? VMBEAM_TXN_COMMIT : VMBEAM_TXN_ROLLBACK));
	close(self->txn);
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &outcome));
	ASSERT_EQ(commit ? VMBEAM_TXN_COMMITTED : VMBEAM_TXN_ROLLED_BACK, outcome.state);
	if (!commit) {
		self->now = self->at_begin;
		self->rollbacks++;
	}
	for (i = 0; i < VMBEAM_PAUSES; i++)
		self->batches += outcome.pauses[i];
}

/* Until there were enough batches; afterwards every frame is looked at, and both domains have as many as before. */
static void phase(struct __test_metadata *_metadata, FIXTURE_DATA(random) *self)
{
	uint64_t until = self->batches + BATCHES;
	xc_domaininfo_t before[2], after[2];
	int i, transactions = 0;

	fresh_domains(_metadata, self);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, domain_info(domid(self, i), &before[i]));
	while (self->batches < until) {
		bool gentle = ++transactions <= GENTLE;

		self->at_begin = self->now;
		self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
		ASSERT_LE(0, self->txn);
		for (i = 1 + below(8); i; i--, self->rounds++)
			one_round(_metadata, self, gentle);
		end_txn(_metadata, self, below(2));
	}
	ASSERT_EQ(0, all_wrong(self));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, domain_info(domid(self, i), &after[i]));
		EXPECT_EQ(before[i].tot_pages, after[i].tot_pages);
	}
	pair_teardown(&self->p);
}

TEST_F_TIMEOUT(random, against_a_model, 10 * TIMEOUT)
{
	const char *given = getenv("VMBEAM_TEST_SEED");
	unsigned int seed = given ? strtoul(given, NULL, 0) : 1;
	uint64_t free_before;
	int i;

	srandom(seed);
	TH_LOG("seed %u", seed);
	ASSERT_EQ(0, domain_setup());
	free_before = domain_heap_free();
	domain_teardown();
	for (i = 0; i < PHASES; i++)
		phase(_metadata, self);
	TH_LOG("%llu calls, %llu pauses, %llu rollbacks; pairs: %llu large, %llu exchanged, %llu kept, %llu busy",
	       (unsigned long long)self->rounds, (unsigned long long)self->batches, (unsigned long long)self->rollbacks,
	       (unsigned long long)self->large, (unsigned long long)self->exchanged, (unsigned long long)self->kept,
	       (unsigned long long)self->busy_pairs);
	/* All that can happen did. */
	EXPECT_LT(0, self->large);
	EXPECT_LT(0, self->exchanged);
	EXPECT_LT(0, self->kept);
	EXPECT_LT(0, self->busy_pairs);
	ASSERT_EQ(0, domain_setup());
	EXPECT_LT(llabs((long long)(free_before - domain_heap_free())), HEAP_SLACK);
}

HOST_MAIN(0)
