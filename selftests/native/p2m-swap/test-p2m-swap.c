// SPDX-License-Identifier: GPL-2.0
/*
 * XENMEM_p2m_swap, as it is in the hypervisor, on a made-up machine: after each call contents and bookkeeping are
 * compared with what the statuses say. For NPT and for EPT.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "machine.h"
#include "model.h"
#include "undo.h"

/* Of each domain: frames on their own, then superpages. All from 0. */
#define SMALL		2048UL
#define LARGE		2048UL
#define GFNS		(SMALL + LARGE)
#define REGIONS		(LARGE / SUPERPAGE_PAGES)
#define FRAMES		16384UL
#define BEYOND		(GFNS + 10)
#define IDLE		(PGC_allocated | 1)
#define MAX_LIST	4096

static struct model model;
static struct xen_p2m_swap op;
static struct xen_p2m_swap_extent extents[MAX_LIST], excluded[MAX_LIST];
static uint8_t status[XEN_P2M_SWAP_MAX_PAIRS + 4096];
static const struct domain *owner_before[FRAMES];

/* Nobody may get at a frame that has changed its owner before all TLBs are flushed. */
static void look_while_flushed(void)
{
	for (unsigned long mfn = 0; mfn < machine.next; mfn++) {
		const struct page_info *pg = pdx_to_page(mfn);

		if ((page_get_owner(pg) != owner_before[mfn]) != (pg->count_info == 0 && owner_before[mfn]))
			BAD("at the flush: a frame that has changed hands is not frozen, or another one is");
	}
}

static void look_while_unpaused(void)
{
	for (unsigned long mfn = 0; mfn < machine.next; mfn++) {
		const struct page_info *pg = pdx_to_page(mfn);

		owner_before[mfn] = page_get_owner(pg);
		if (owner_before[mfn] && !pg->count_info)
			BAD("a frame is left frozen");
	}
}

static struct page_info *page_of(unsigned int side, unsigned long gfn)
{
	unsigned int order;
	const uint64_t *e = machine_entry(machine.d[side], gfn, &order);

	return pdx_to_page(entry_frame(*e) + (gfn & ((1UL << order) - 1)));
}

static unsigned int order_of(unsigned int side, unsigned long gfn)
{
	unsigned int order;

	machine_entry(machine.d[side], gfn, &order);
	return order;
}

static void shuffle(unsigned long *v, unsigned long nr)
{
	for (unsigned long i = nr - 1; i > 0; i--) {
		const unsigned long k = rand() % (i + 1);

		SWAP(v[i], v[k]);
	}
}

static void populate(void)
{
	static unsigned long mfn[SMALL];

	for (unsigned int side = 0; side < 2; side++) {
		struct domain *d = machine.d[side];

		for (unsigned long i = 0; i < SMALL; i++)
			mfn[i] = machine_alloc(0);
		shuffle(mfn + SMALL / 2, SMALL / 2);
		for (unsigned long i = 0; i < SMALL; i++)
			machine_populate(d, i, mfn[i], 0, p2m_ram_rw);
		for (unsigned long i = 0; i < LARGE; i += SUPERPAGE_PAGES)
			machine_populate(d, SMALL + i, machine_alloc(9), 9, p2m_ram_rw);
		/* One superpage's frames, each by itself, too, are to keep this. */
		if (test_ept) {
			unsigned int order;
			ept_entry_t *e = (ept_entry_t *)machine_entry(d, SMALL, &order);

			e->suppress_ve = 0;
		}
		/* What a guest and its toolstack leave in single entries */
		for (unsigned long i = 0; i < SMALL; i++) {
			unsigned int order;
			uint64_t *e = machine_entry(d, i, &order);
			ept_entry_t ept = { .epte = *e };

			ept.a = rand();
			ept.d = rand();
			ept.suppress_ve = rand();
			ept.access = rand() % 2 ? p2m_access_rw : p2m_access_rwx;
			*e = test_ept ? ept.epte : *e & ~(rand() % 2 ? _PAGE_DIRTY : _PAGE_ACCESSED);
		}
	}
}

static void begin(void)
{
	memset(&op, 0, sizeof(op));
	memset(extents, 0, sizeof(extents));
	memset(excluded, 0, sizeof(excluded));
	memset(status, 0xee, sizeof(status));
	memset(&machine.most, 0, sizeof(machine.most));
	machine.pauses = 0;
	machine.flushes = 0;
	machine.continuations = 0;
	op.domid_a = machine.d[0]->domain_id;
	op.domid_b = machine.d[1]->domain_id;
	op.extents.p = extents;
	op.excluded.p = excluded;
	op.status.p = status;
}

static void add(unsigned long gfn_a, unsigned long gfn_b, unsigned int nr)
{
	extents[op.nr_extents++] = (struct xen_p2m_swap_extent){ .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr };
}

static void exclude(unsigned long gfn_a, unsigned long gfn_b, unsigned int nr)
{
	excluded[op.nr_excluded++] = (struct xen_p2m_swap_extent){ .gfn_a = gfn_a, .gfn_b = gfn_b, .nr = nr };
}

/* Calls, and does the same to the model. Returns 0, an error, or 1 when the model does not agree. */
static long swap_and_check(void)
{
	const long rc = machine_swap(&op);
	const char *wrong;

	model_apply(&model, &op);
	wrong = model_check(&model);
	if (wrong)
		printf("# %s\n", wrong);
	return wrong ? 1 : rc;
}

static unsigned int nr_with(uint8_t st)
{
	unsigned int nr = 0;

	for (unsigned long i = 0; i < op.nr_done; i++)
		nr += status[i] == st;
	return nr;
}

static void take_model(void)
{
	model_fill(GFNS);
	model_take(&model, GFNS, true);
	look_while_unpaused();
	machine.at_flush = look_while_flushed;
	machine.unpaused = look_while_unpaused;
}

FIXTURE(swap) {
	int unused;
};

FIXTURE_VARIANT(swap) {
	bool ept;
};

FIXTURE_VARIANT_ADD(swap, npt) {
	.ept = false,
};

FIXTURE_VARIANT_ADD(swap, ept) {
	.ept = true,
};

FIXTURE_SETUP(swap)
{
	srand(1);
	machine_create(FRAMES, variant->ept);
	populate();
	take_model();
	begin();
}

FIXTURE_TEARDOWN(swap)
{
	model_free(&model);
	machine_destroy();
}

TEST_F(swap, scattered)
{
	unsigned long a[SMALL], b[SMALL];

	for (unsigned long i = 0; i < SMALL; i++) {
		a[i] = i;
		b[i] = i;
	}
	shuffle(a, SMALL);
	shuffle(b, SMALL);
	for (unsigned long i = 0; i < SMALL; i++)
		add(a[i], b[i], 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SMALL, op.nr_done);
	EXPECT_EQ(SMALL, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(0, op.nr_large);
	EXPECT_EQ(0, machine.most.splits);

	/* Backwards it is undone. */
	begin();
	for (unsigned long i = SMALL; i-- > 0; )
		add(a[i], b[i], 1);
	ASSERT_EQ(0, swap_and_check());
	for (unsigned long i = 0; i + 1 < SMALL / 2; i++)
		ASSERT_EQ(page_of(0, i) + 1, page_of(0, i + 1));
}

TEST_F(swap, runs)
{
	add(0, 0, 512);
	add(512, 515, 509);
	add(1024, 1500, 500);
	add(1600, 1024, 1);
	add(1601, 1025, 100);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(512 + 509 + 500 + 101, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(1, machine.pauses < 10);
	EXPECT_EQ(machine.pauses, machine.flushes);
	EXPECT_EQ(machine.flushes, op.nr_flushes);
	for (unsigned int side = 0; side < 2; side++)
		EXPECT_EQ(machine.pauses, machine.d[side]->vcpu.asid_flushes);
}

TEST_F(swap, superpages)
{
	for (unsigned long i = 0; i < REGIONS; i++)
		add(SMALL + i * SUPERPAGE_PAGES, SMALL + (REGIONS - 1 - i) * SUPERPAGE_PAGES, SUPERPAGE_PAGES);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(LARGE, op.nr_large);
	EXPECT_EQ(LARGE, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(0, machine.most.splits);
	for (unsigned long gfn = SMALL; gfn < GFNS; gfn += SUPERPAGE_PAGES)
		EXPECT_EQ(9, order_of(0, gfn));
	/* A chain that was taken off the list as one is put back as one. */
	begin();
	add(SMALL, SMALL, LARGE);
	ASSERT_EQ(0, swap_and_check());
}

/* Frames of a superpage that do not follow each other in their domain's list */
TEST_F(swap, superpages_in_pieces)
{
	struct domain *d = machine.d[0];
	struct page_info *pg = page_of(0, SMALL + 100);

	page_list_del(pg, &d->page_list);
	page_list_add_tail(pg, &d->page_list);
	add(SMALL, SMALL, SUPERPAGE_PAGES);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SUPERPAGE_PAGES, op.nr_large);
	begin();
	add(SMALL, SMALL, SUPERPAGE_PAGES);
	ASSERT_EQ(0, swap_and_check());
}

TEST_F(swap, one_side_is_split)
{
	add(0, SMALL, SUPERPAGE_PAGES);
	add(SMALL + 5, SMALL + SUPERPAGE_PAGES, SUPERPAGE_PAGES);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(0, op.nr_large);
	EXPECT_EQ(2 * SUPERPAGE_PAGES, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(0, order_of(1, SMALL));
	EXPECT_EQ(0, order_of(0, SMALL));
	EXPECT_EQ(0, order_of(0, SMALL + SUPERPAGE_PAGES));
	EXPECT_EQ(9, order_of(0, SMALL + 2 * SUPERPAGE_PAGES));
}

TEST_F(swap, excluded_in_superpages)
{
	static const unsigned int at[] = { 0, 5, 100, 256, 300, 400, 510 };

	add(SMALL, SMALL + SUPERPAGE_PAGES, SUPERPAGE_PAGES);
	for (unsigned int i = 0; i < 7; i++)
		exclude(SMALL + at[i], SMALL + SUPERPAGE_PAGES + at[i], 1 + (at[i] == 510));
	add(0, SMALL, SUPERPAGE_PAGES);
	exclude(100, SMALL + 100, 10);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SUPERPAGE_PAGES, op.nr_large);
	EXPECT_EQ(18, nr_with(XEN_P2M_SWAP_ST_KEPT));
	for (unsigned int i = 0; i < 7; i++)
		EXPECT_EQ(XEN_P2M_SWAP_ST_KEPT, status[at[i]]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_KEPT, status[511]);
	EXPECT_EQ(9, order_of(0, SMALL));
}

static void make_busy(unsigned int side, unsigned long gfn)
{
	struct page_info *pg = page_of(side, gfn);

	if (gfn % 3)
		pg->count_info++;
	else if (gfn % 2)
		pg->u.inuse.type_info++;
	else
		pg->u.inuse.type_info |= gfn % 4 ? PGT_non_coherent : PGT_pinned;
	model.frame[page_to_pdx(pg)].count = pg->count_info;
	model.frame[page_to_pdx(pg)].type = pg->u.inuse.type_info;
}

TEST_F(swap, busy)
{
	for (unsigned long gfn = 0; gfn < GFNS; gfn += 37)
		make_busy(gfn & 1, gfn);
	add(0, 0, SMALL);
	for (unsigned int round = 0; round < 2; round++) {
		ASSERT_EQ(0, swap_and_check());
		for (unsigned long gfn = 0; gfn < SMALL; gfn++) {
			const uint8_t busy = XEN_P2M_SWAP_ST_BUSY |
					     (gfn & 1 ? XEN_P2M_SWAP_ST_SIDE_B : XEN_P2M_SWAP_ST_SIDE_A);

			ASSERT_EQ(gfn % 37 ? XEN_P2M_SWAP_ST_SWAPPED : round ? XEN_P2M_SWAP_ST_EXCHANGED : busy,
				  status[gfn]);
		}
		begin();
		op.flags = XEN_P2M_SWAP_EXCHANGE;
		add(0, 0, SMALL);
	}
}

TEST_F(swap, busy_in_superpages)
{
	make_busy(0, SMALL + 70);
	make_busy(1, SMALL + SUPERPAGE_PAGES + 511);
	/* An excluded one, too, must not get another owner. */
	make_busy(1, SMALL + 2 * SUPERPAGE_PAGES + 3);
	add(SMALL, SMALL, LARGE);
	exclude(SMALL + 2 * SUPERPAGE_PAGES + 3, SMALL + 2 * SUPERPAGE_PAGES + 3, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SUPERPAGE_PAGES, op.nr_large);
	EXPECT_EQ(XEN_P2M_SWAP_ST_BUSY | XEN_P2M_SWAP_ST_SIDE_A, status[70]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_BUSY | XEN_P2M_SWAP_ST_SIDE_B, status[SUPERPAGE_PAGES + 511]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_KEPT, status[2 * SUPERPAGE_PAGES + 3]);
	EXPECT_EQ(LARGE - 3, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(9, order_of(0, GFNS - 1));
}

TEST_F(swap, exchange_of_unsound_frames)
{
	page_of(0, 1)->count_info |= PGC_broken | 1;
	page_of(1, 2)->count_info |= PGC_state_offlining;
	model_free(&model);
	take_model();
	op.flags = XEN_P2M_SWAP_EXCHANGE;
	add(0, 0, 4);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(XEN_P2M_SWAP_ST_SWAPPED, status[0]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_BUSY | XEN_P2M_SWAP_ST_SIDE_A, status[1]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_BUSY | XEN_P2M_SWAP_ST_SIDE_B, status[2]);
}

TEST_F(swap, refused)
{
	uint8_t want[10];

	machine_populate(machine.d[0], 1, machine_alloc(0), 0, p2m_ram_ro);
	machine_populate(machine.d[1], 2, 0, 0, p2m_mmio_dm);
	machine.d[0]->tot_pages--;
	machine.d[1]->tot_pages--;
	page_list_del(page_of(0, 1), &machine.d[0]->page_list);
	page_list_del(pdx_to_page(0), &machine.d[1]->page_list);
	memset(pdx_to_page(0), 0, sizeof(struct page_info));
	/* What these entries had is nobody's now. */
	for (unsigned int side = 0; side < 2; side++) {
		struct page_info *pg = pdx_to_page(model.gfn[side][1 + side].mfn);

		page_list_del(pg, &machine.d[side]->page_list);
		memset(pg, 0, sizeof(*pg));
		machine.d[side]->tot_pages--;
	}
	page_of(0, 3)->count_info |= PGC_extra;
	page_set_owner(page_of(1, 4), machine.dom0);
	machine_to_phys_mapping[page_to_pdx(page_of(0, 5))] = 6;
	machine_to_phys_mapping[page_to_pdx(page_of(1, 6))] = 7;
	model_free(&model);
	model_take(&model, GFNS, true);
	model_fill(GFNS);
	look_while_unpaused();

	want[0] = XEN_P2M_SWAP_ST_SWAPPED;
	want[1] = XEN_P2M_SWAP_ST_TYPE | XEN_P2M_SWAP_ST_SIDE_A;
	want[2] = XEN_P2M_SWAP_ST_TYPE | XEN_P2M_SWAP_ST_SIDE_B;
	want[3] = XEN_P2M_SWAP_ST_SPECIAL | XEN_P2M_SWAP_ST_SIDE_A;
	want[4] = XEN_P2M_SWAP_ST_OWNER | XEN_P2M_SWAP_ST_SIDE_B;
	want[5] = XEN_P2M_SWAP_ST_M2P | XEN_P2M_SWAP_ST_SIDE_A;
	want[6] = XEN_P2M_SWAP_ST_M2P | XEN_P2M_SWAP_ST_SIDE_B;
	want[7] = XEN_P2M_SWAP_ST_SWAPPED;
	want[8] = XEN_P2M_SWAP_ST_RANGE | XEN_P2M_SWAP_ST_SIDE_B;
	want[9] = XEN_P2M_SWAP_ST_DUPLICATE | XEN_P2M_SWAP_ST_SIDE_A;
	op.flags = XEN_P2M_SWAP_EXCHANGE;
	add(0, 0, 8);
	add(8, BEYOND, 1);
	add(0, 9, 1);
	ASSERT_EQ(0, swap_and_check());
	for (unsigned int i = 0; i < 10; i++) {
		EXPECT_EQ(want[i], status[i])
			TH_LOG("pair %u", i);
	}
}

/* A gfn that the tables have no place for must not be taken for one that they have. */
TEST_F(swap, beyond_the_tables)
{
	add(1UL << 36, 5, 1);
	add(6, (1UL << 36) + 6, 1);
	add(1UL << 40, 0, 512);
	/* Nor is the superpage to be split that would be there. */
	add((1UL << 36) + SMALL, 7, 1);
	add(SMALL, (1UL << 36) + 7, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(9, order_of(0, SMALL));
	EXPECT_EQ(516, op.nr_done);
	EXPECT_EQ(514, nr_with(XEN_P2M_SWAP_ST_RANGE | XEN_P2M_SWAP_ST_SIDE_A));
	EXPECT_EQ(XEN_P2M_SWAP_ST_RANGE | XEN_P2M_SWAP_ST_SIDE_B, status[1]);
	EXPECT_EQ(XEN_P2M_SWAP_ST_RANGE | XEN_P2M_SWAP_ST_SIDE_B, status[515]);
}

TEST_F(swap, frame_that_is_none)
{
	unsigned int order;
	uint64_t *e = machine_entry(machine.d[0], 7, &order);
	const uint64_t was = *e;

	*e = (was & ~ENTRY_FRAME) | (FRAMES + 5) << PAGE_SHIFT;
	add(7, 7, 1);
	ASSERT_EQ(0, machine_swap(&op));
	EXPECT_EQ(XEN_P2M_SWAP_ST_SPECIAL | XEN_P2M_SWAP_ST_SIDE_A, status[0]);
	*e = was;
	EXPECT_EQ(NULL, model_check(&model));
}

/* Entries that a change of types has not reached: of pages, of tables, of superpages. */
TEST_F(swap, stale)
{
	for (unsigned long gfn = 0; gfn < 512; gfn += 3)
		machine_make_stale(machine.d[gfn & 1], gfn, 0);
	machine_make_stale(machine.d[0], 512, 9);
	machine_make_stale(machine.d[1], SMALL, 9);
	machine_make_stale(machine.d[0], SMALL + SUPERPAGE_PAGES, 9);
	machine_make_stale(machine.d[1], 0, 18);
	model_free(&model);
	take_model();
	add(0, 0, SMALL);
	add(SMALL, SMALL, SUPERPAGE_PAGES);
	add(SMALL + SUPERPAGE_PAGES + 1, SMALL + SUPERPAGE_PAGES, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SMALL + SUPERPAGE_PAGES + 1, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(SUPERPAGE_PAGES, op.nr_large);
	/* What was not swapped may be stale; what was may not. */
	for (unsigned long gfn = 0; gfn < SMALL; gfn++) {
		unsigned int order;
		const uint64_t *a = machine_entry(machine.d[0], gfn, &order);
		const uint64_t *b = machine_entry(machine.d[1], gfn, &order);

		ASSERT_EQ(machine_fresh(*a), *a);
		ASSERT_EQ(machine_fresh(*b), *b);
	}
}

TEST_F(swap, stale_log_dirty)
{
	unsigned int order;
	uint64_t *e = machine_entry(machine.d[0], 9, &order);
	const unsigned long mfn = entry_frame(*e);
	const ept_entry_t ept = { .r = 1, .x = 1, .emt = 6, .ipat = 1, .mfn = mfn, .sa_p2mt = p2m_ram_logdirty,
				  .access = p2m_access_rwx };

	*e = test_ept ? ept.epte : mfn << PAGE_SHIFT | (uint64_t)p2m_ram_logdirty << 52 | _PAGE_PRESENT | _PAGE_USER;
	model_free(&model);
	take_model();
	add(9, 9, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(XEN_P2M_SWAP_ST_TYPE | XEN_P2M_SWAP_ST_SIDE_A, status[0]);
	/* When it is to be looked at again, it is plain RAM: log-dirty is off. */
	machine_make_stale(machine.d[0], 9, 0);
	begin();
	add(9, 9, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(XEN_P2M_SWAP_ST_SWAPPED, status[0]);
}

static unsigned long allocations_of(unsigned long gfn_a, unsigned long gfn_b, unsigned int nr)
{
	machine.no_memory_at = 1000000;
	begin();
	add(gfn_a, gfn_b, nr);
	machine_swap(&op);
	model_apply(&model, &op);
	return 1000000 - machine.no_memory_at;
}

TEST_F(swap, no_memory)
{
	const unsigned long books = allocations_of(0, 0, 1);

	ASSERT_LT(1, books);
	for (unsigned long at = 0; at < books; at++) {
		machine.no_memory_at = at;
		begin();
		add(0, 0, 1);
		ASSERT_EQ(-ENOMEM, swap_and_check());
		ASSERT_EQ(0, op.nr_done);
	}
	machine.no_memory_at = books + 1;
	begin();
	add(0, 0, 1);
	add(SMALL + 1, SMALL, 100);
	add(1, 1, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(102, op.nr_done);
	EXPECT_EQ(2, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(100, nr_with(XEN_P2M_SWAP_ST_NOMEM | XEN_P2M_SWAP_ST_SIDE_B));
}

/* In a batch of 240 single pairs, each in a superpage of its own: 480 splits, were it one pause. */
static void make_superpages(unsigned long first_gfn, unsigned int nr)
{
	for (unsigned int side = 0; side < 2; side++)
		for (unsigned int i = 0; i < nr; i++)
			machine_populate(machine.d[side], first_gfn + i * SUPERPAGE_PAGES, machine_alloc(9), 9,
					 p2m_ram_rw);
}

FIXTURE(bound) {
	int unused;
};

FIXTURE_VARIANT(bound) {
	bool ept;
};

FIXTURE_VARIANT_ADD(bound, npt) {
	.ept = false,
};

FIXTURE_VARIANT_ADD(bound, ept) {
	.ept = true,
};

FIXTURE_SETUP(bound)
{
	machine_create(1UL << 20, variant->ept);
	begin();
}

FIXTURE_TEARDOWN(bound)
{
	model_free(&model);
	machine_destroy();
}

#define SCATTERED	240
/* A pair may need a split and a step up the tables on both sides; one segment is dealt with in any case. */
#define MOST_SPLITS	8
#define MOST_RECALCS	16

TEST_F_TIMEOUT(bound, splits, 300)
{
	make_superpages(0, SCATTERED);
	model_take(&model, SCATTERED * SUPERPAGE_PAGES, false);
	for (unsigned long i = 0; i < SCATTERED; i++)
		add(i * SUPERPAGE_PAGES + 7, i * SUPERPAGE_PAGES + 9, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SCATTERED, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_GE(MOST_SPLITS, machine.most.splits);
}

TEST_F_TIMEOUT(bound, recalcs, 300)
{
	make_superpages(0, SCATTERED);
	for (unsigned long i = 0; i < SCATTERED; i++) {
		/* A table, for it to be stale */
		machine.d[0]->arch.p2m->set_entry(machine.d[0]->arch.p2m, _gfn(i * SUPERPAGE_PAGES),
						  _mfn(page_to_pdx(page_of(0, i * SUPERPAGE_PAGES))), 0, p2m_ram_rw,
						  p2m_access_rwx, true);
		machine_make_stale(machine.d[0], i * SUPERPAGE_PAGES, 9);
		machine_make_stale(machine.d[1], i * SUPERPAGE_PAGES, 9);
	}
	model_take(&model, SCATTERED * SUPERPAGE_PAGES, false);
	for (unsigned long i = 0; i < SCATTERED; i++)
		add(i * SUPERPAGE_PAGES + 7, i * SUPERPAGE_PAGES + 9, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(SCATTERED, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_GE(MOST_RECALCS, machine.most.recalcs);
}

/* Neither do many pairs of a kind that costs little make a long pause. */
TEST_F(bound, pairs)
{
	make_superpages(0, 16);
	model_take(&model, 16 * SUPERPAGE_PAGES, false);
	add(0, 0, 16 * SUPERPAGE_PAGES);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(16 * SUPERPAGE_PAGES, op.nr_large);
	EXPECT_EQ(2, machine.pauses);
	/* As many as fit are taken, and no more, also when the parameter is changed to nonsense. */
	for (unsigned int limit = 0; limit < 2; limit++) {
		p2m_swap_set_pause(limit ? ~0U : 0);
		begin();
		add(0, 0, 16 * SUPERPAGE_PAGES);
		ASSERT_EQ(0, swap_and_check());
		EXPECT_EQ(limit ? 2 : 16, machine.pauses);
	}
}

/* 1 GiB entries are split to 2 MiB ones on the way, and these change places. */
TEST_F_TIMEOUT(bound, gigabyte, 300)
{
	const unsigned long gib = 1UL << 18;

	for (unsigned int side = 0; side < 2; side++)
		machine_populate(machine.d[side], gib, machine_alloc(18), 18, p2m_ram_rw);
	machine_make_stale(machine.d[1], gib, 18);
	model_take(&model, 2 * gib, false);
	add(gib + 512, gib + 1024, 512);
	add(gib + 2048, gib + 1536, 1024);
	exclude(gib + 2050, gib + 1538, 1);
	add(gib + 5, gib + 6, 3);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(1536, op.nr_large);
	EXPECT_EQ(1538, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(9, order_of(0, gib + 512));
	EXPECT_EQ(0, order_of(0, gib));
	EXPECT_EQ(9, order_of(1, gib + 262143));
}

/* More regions of 1 GiB than are kept at hand, in no order; on the way entries are split and brought up to date. */
TEST_F_TIMEOUT(bound, regions, 300)
{
	const unsigned long gib = 1UL << 18;
	unsigned long order[6 * 20];

	for (unsigned int side = 0; side < 2; side++) {
		for (unsigned int i = 0; i < 6; i++)
			for (unsigned int k = 0; k < 4; k++)
				machine_populate(machine.d[side], i * gib + k * SUPERPAGE_PAGES, machine_alloc(9), 9,
						 p2m_ram_rw);
		machine_make_stale(machine.d[side], 3 * gib, 18);
	}
	machine_make_stale(machine.d[0], 5 * gib + 512, 9);
	model_take(&model, 6 * gib, false);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		order[i] = i;
	srand(1);
	shuffle(order, ARRAY_SIZE(order));
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		const unsigned long a = order[i], b = ARRAY_SIZE(order) - 1 - a;

		add(a / 20 * gib + a % 20, b / 20 * gib + 512 + b % 20, 1);
	}
	/* And what has no table at all */
	add(2 * gib + 4096, gib, 1);
	add(7 * gib, 7 * gib, 1);
	for (unsigned int i = 0; i < 6; i++)
		add(i * gib + 1024, (5 - i) * gib + 1536, 512);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(6 * 20 + 6 * 512, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(6 * 512, op.nr_large);
}

/* Stopped wherever it can be; and more than one batch. What is excluded comes once, for the model's sake. */
TEST_F(swap, continued)
{
	const unsigned long last = GFNS - SUPERPAGE_PAGES, others = LARGE - SUPERPAGE_PAGES;

	machine.preempt = true;
	add(0, 0, SMALL);
	exclude(3, 3, 1);
	add(SMALL, SMALL, others);
	add(last, last, SUPERPAGE_PAGES);
	exclude(last + 5, last + 5, 3);
	exclude(last + 100, last + 100, 1);
	add(SMALL, SMALL, others);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(GFNS + others, op.nr_done);
	EXPECT_EQ(5, nr_with(XEN_P2M_SWAP_ST_KEPT));
	EXPECT_EQ(GFNS + others - 5, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(LARGE + others, op.nr_large);
	/* Between any two pauses. */
	EXPECT_EQ(machine.pauses, machine.continuations + 1);
}

/* A superpage that cannot be taken whole is found out again, but the call does come to its end. */
TEST_F(swap, continued_when_busy)
{
	machine.preempt = true;
	make_busy(1, SMALL + 5);
	make_busy(0, SMALL + SUPERPAGE_PAGES + 5);
	add(SMALL, SMALL, LARGE);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(LARGE - 2, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
}

TEST_F(swap, calls_that_are_refused)
{
	static const struct {
		int rc;
		uint32_t flags, nr_extents, nr_excluded;
		struct xen_p2m_swap_extent e, x;
		uint64_t nr_done;
	} cases[] = {
		{ .rc = -EINVAL, .flags = 4 },
		{ .rc = -E2BIG, .nr_extents = XEN_P2M_SWAP_MAX_EXTENTS + 1 },
		{ .rc = -E2BIG, .nr_excluded = XEN_P2M_SWAP_MAX_EXTENTS + 1 },
		{ .rc = -EINVAL, .nr_extents = 1 },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 1, .pad = 1 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .gfn_a = -1UL, .nr = 2 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .gfn_b = -1UL, .nr = 2 } },
		{ .rc = -E2BIG, .nr_extents = 1, .e = { .nr = XEN_P2M_SWAP_MAX_PAIRS + 1 }, .nr_done = 1 },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 1 }, .nr_done = 2 },
		{ .rc = -EINVAL, .nr_excluded = 1, .x = { .nr = 1 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 5 }, .nr_excluded = 1, .x = { .nr = 6 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 5 }, .nr_excluded = 1, .x = { .gfn_a = 1, .nr = 1 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 5 }, .nr_excluded = 1,
		  .x = { .gfn_a = 5, .gfn_b = 5, .nr = 1 } },
		{ .rc = -EINVAL, .nr_extents = 1, .e = { .nr = 5 }, .nr_excluded = 1, .x = { .nr = 0 } },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		op.flags = cases[i].flags;
		op.nr_extents = cases[i].nr_extents;
		op.nr_excluded = cases[i].nr_excluded;
		op.nr_done = cases[i].nr_done;
		extents[0] = cases[i].e;
		excluded[0] = cases[i].x;
		EXPECT_EQ(cases[i].rc, machine_swap(&op))
			TH_LOG("case %u", i);
		EXPECT_EQ(cases[i].nr_done, op.nr_done);
		EXPECT_EQ(0, machine.pauses);
	}
	EXPECT_EQ(NULL, model_check(&model));

	/* Found on the way: what was done before is told. */
	begin();
	add(0, 0, 5);
	add(5, 5, 0);
	EXPECT_EQ(-EINVAL, swap_and_check());
	begin();
	for (unsigned long i = 0; i <= XEN_P2M_SWAP_MAX_PAIRS / SMALL; i++)
		add(0, 0, SMALL);
	EXPECT_EQ(-E2BIG, swap_and_check());
	EXPECT_EQ(XEN_P2M_SWAP_MAX_PAIRS, op.nr_done);
}

TEST_F(swap, domains_that_are_refused)
{
	for (unsigned int side = 0; side < 2; side++) {
		struct domain *d = machine.d[side];

		for (d->is = 1; d->is <= PAGING; d->is <<= 1) {
			begin();
			add(0, 0, 1);
			EXPECT_EQ(-EOPNOTSUPP, swap_and_check())
				TH_LOG("state %u", d->is);
		}
		d->is = 0;
		d->is_dying = true;
		begin();
		add(0, 0, 1);
		EXPECT_EQ(-ESRCH, swap_and_check());
		d->is_dying = false;
	}
	begin();
	add(0, 0, 1);
	op.domid_a = 77;
	EXPECT_EQ(-ESRCH, swap_and_check());
	op.domid_a = 0;
	EXPECT_EQ(-EINVAL, swap_and_check());
	op.domid_a = op.domid_b;
	EXPECT_EQ(-EINVAL, swap_and_check());
	op.domid_a = machine.d[0]->domain_id;
	machine.d[0]->control = true;
	EXPECT_EQ(-EINVAL, swap_and_check());
	machine.d[0]->control = false;
	machine.dom0->pv = false;
	EXPECT_EQ(-EOPNOTSUPP, swap_and_check());
	EXPECT_EQ(0, machine.pauses);
}

static void refuse_later(void)
{
	look_while_unpaused();
	if (machine.pauses == 2)
		machine.d[1]->is = LOG_DIRTY;
}

/* What is allowed at first may not be in the next pause. */
TEST_F(swap, domain_changes)
{
	machine.unpaused = refuse_later;
	add(0, 0, SMALL);
	add(SMALL, SMALL, LARGE);
	ASSERT_EQ(-EOPNOTSUPP, swap_and_check());
	EXPECT_LT(0, op.nr_done);
	EXPECT_GT(GFNS, op.nr_done);
	EXPECT_EQ(op.nr_done, nr_with(XEN_P2M_SWAP_ST_SWAPPED));
	EXPECT_EQ(0xee, status[op.nr_done]);
}

TEST_F(swap, bad_memory)
{
	test_bad_from = extents + 40;
	test_bad_to = extents + 41;
	for (unsigned int i = 0; i < 50; i++)
		add(i, i, 1);
	EXPECT_EQ(-EFAULT, swap_and_check());
	test_bad_from = status;
	test_bad_to = status + sizeof(status);
	begin();
	add(0, 0, 5);
	EXPECT_EQ(-EFAULT, machine_swap(&op));
	test_bad_from = NULL;
	test_bad_to = NULL;
	/* They were swapped all the same: nr_done says so. */
	ASSERT_EQ(5, op.nr_done);
	memset(status, 0, 5);
	model_apply(&model, &op);
	EXPECT_EQ(NULL, model_check(&model));
}

TEST_F(swap, invalidate)
{
	op.flags = XEN_P2M_SWAP_INVALIDATE;
	ASSERT_EQ(0, swap_and_check());
	for (unsigned int side = 0; side < 2; side++) {
		EXPECT_TRUE(machine.d[side]->invalidate);
		EXPECT_EQ(1, machine.d[side]->vcpu.kicks);
	}
	EXPECT_EQ(0, machine.pauses);
}

TEST_F(swap, nested)
{
	machine.d[1]->nested = true;
	add(0, 0, 1);
	ASSERT_EQ(0, swap_and_check());
	EXPECT_EQ(0, machine.d[0]->arch.p2m->nested_flushes);
	EXPECT_EQ(1, machine.d[1]->arch.p2m->nested_flushes);
}

/* A list in which no gfn of a side occurs twice: runs, whole regions, single pairs; some are excluded. */
static void random_list(void)
{
	static bool used[2][GFNS];

	memset(used, 0, sizeof(used));
	for (unsigned int tries = 0; tries < 300; tries++) {
		const bool region = rand() % 8 == 0;
		const unsigned int nr = region ? SUPERPAGE_PAGES << rand() % 2 : rand() % 2 ? 1 : 1 + rand() % 600;
		const unsigned long mask = region ? ~511UL : ~0UL;
		const unsigned long a = rand() % (GFNS + 5) & mask, b = rand() % (GFNS + 5) & mask;
		bool free = true;

		for (unsigned int i = 0; i < nr; i++)
			free &= (a + i >= GFNS || !used[0][a + i]) && (b + i >= GFNS || !used[1][b + i]);
		if (!free)
			continue;
		for (unsigned int i = 0; i < nr; i++) {
			if (a + i < GFNS)
				used[0][a + i] = true;
			if (b + i < GFNS)
				used[1][b + i] = true;
		}
		add(a, b, nr);
		for (unsigned int i = 0; i < nr && op.nr_excluded < 100; i += 1 + rand() % 100)
			if (rand() % 4 == 0)
				exclude(a + i, b + i, 1);
	}
}

/* What the status of a pair of two gfns that do not occur twice has to be. */
static uint8_t expected(unsigned long gfn_a, unsigned long gfn_b)
{
	const unsigned long gfn[2] = { gfn_a, gfn_b };
	bool idle[2];

	for (unsigned int side = 0; side < 2; side++)
		if (gfn[side] >= GFNS)
			return XEN_P2M_SWAP_ST_RANGE | (side ? XEN_P2M_SWAP_ST_SIDE_B : XEN_P2M_SWAP_ST_SIDE_A);
	for (unsigned int side = 0; side < 2; side++) {
		const struct page_info *pg = page_of(side, gfn[side]);

		idle[side] = pg->count_info == IDLE &&
			     !(pg->u.inuse.type_info & ~(PGT_writable_page | PGT_validated));
	}
	if (idle[0] && idle[1])
		return XEN_P2M_SWAP_ST_SWAPPED;
	return op.flags & XEN_P2M_SWAP_EXCHANGE ? XEN_P2M_SWAP_ST_EXCHANGED :
	       XEN_P2M_SWAP_ST_BUSY | (idle[0] ? XEN_P2M_SWAP_ST_SIDE_B : XEN_P2M_SWAP_ST_SIDE_A);
}

static bool as_expected(void)
{
	static uint8_t want[2 * GFNS + 2048];
	unsigned long k = 0, x = 0;

	for (unsigned int i = 0; i < op.nr_extents; i++)
		for (unsigned int j = 0; j < extents[i].nr; j++, k++) {
			want[k] = expected(extents[i].gfn_a + j, extents[i].gfn_b + j);
			if (x < op.nr_excluded && excluded[x].gfn_a == extents[i].gfn_a + j &&
			    excluded[x].gfn_b == extents[i].gfn_b + j) {
				want[k] = XEN_P2M_SWAP_ST_KEPT;
				x++;
			}
		}
	if (swap_and_check() || op.nr_done != k || x != op.nr_excluded)
		return false;
	for (unsigned long i = 0; i < k; i++)
		if (status[i] != want[i]) {
			printf("# pair %lu: status %x and not %x\n", i, status[i], want[i]);
			return false;
		}
	return true;
}

TEST_F_TIMEOUT(swap, random, 300)
{
	for (unsigned int round = 0; round < 25; round++) {
		srand(round);
		if (round % 5 == 4) {
			model_free(&model);
			machine_destroy();
			machine_create(FRAMES, variant->ept);
			populate();
			take_model();
		}
		if (round % 5 == 1)
			for (unsigned int i = 0; i < 30; i++)
				make_busy(rand() & 1, rand() % GFNS);
		if (round % 5 == 2) {
			for (unsigned int i = 0; i < 30; i++)
				machine_make_stale(machine.d[rand() & 1], rand() % GFNS, rand() % 3 * 9);
		}
		begin();
		op.flags = round & 1 ? XEN_P2M_SWAP_EXCHANGE : 0;
		machine.preempt = rand() % 2;
		p2m_swap_set_pause(rand() % 2000);
		random_list();
		ASSERT_TRUE(as_expected())
			TH_LOG("round %u", round);
	}
}

static void record(void)
{
	unsigned long k = 0;

	undo_reserve(op.nr_done);
	for (unsigned int i = 0; i < op.nr_extents; i++)
		for (unsigned int j = 0; j < extents[i].nr && k < op.nr_done; j++, k++)
			if (status[k] == XEN_P2M_SWAP_ST_SWAPPED || status[k] == XEN_P2M_SWAP_ST_EXCHANGED ||
			    status[k] == XEN_P2M_SWAP_ST_KEPT)
				undo_add(extents[i].gfn_a + j, extents[i].gfn_b + j, 1,
					 status[k] == XEN_P2M_SWAP_ST_KEPT);
}

/* Whatever was swapped, the module's log puts each side's contents back. */
TEST_F_TIMEOUT(swap, undone, 300)
{
	struct model before;

	model_take(&before, GFNS, true);
	undo_begin();
	for (unsigned int round = 0; round < 5; round++) {
		srand(100 + round);
		if (round)
			for (unsigned int i = 0; i < 10; i++)
				make_busy(rand() & 1, rand() % GFNS);
		begin();
		op.flags = round & 1 ? XEN_P2M_SWAP_EXCHANGE : 0;
		random_list();
		ASSERT_EQ(0, swap_and_check());
		record();
	}
	for (;;) {
		uint64_t a, b;
		uint32_t nr;
		bool kept;

		if (!undo_take(&a, &b, &nr, &kept))
			break;
		if (kept)
			continue;
		begin();
		op.flags = XEN_P2M_SWAP_EXCHANGE;
		add(a, b, nr);
		if (machine_swap(&op) || nr_with(XEN_P2M_SWAP_ST_SWAPPED) + nr_with(XEN_P2M_SWAP_ST_EXCHANGED) != nr)
			break;
		model_apply(&model, &op);
	}
	undo_end();
	EXPECT_EQ(NULL, model_check(&model));
	for (unsigned int side = 0; side < 2; side++)
		for (unsigned long gfn = 0; gfn < GFNS; gfn++)
			ASSERT_EQ(before.gfn[side][gfn].content, model.gfn[side][gfn].content);
	model_free(&before);
}

TEST_HARNESS_MAIN
