// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's program: a call with any lists, on a small machine with any frames busy, stale or refused. Whatever the
 * caller gives, nothing is read or written that is not its own, and the books of both domains stay in order.
 *
 * An input is the bytes of a struct head, then of struct item: so many extents, excluded extents and disturbances.
 */
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"
#include "model.h"

#define GFNS		1152UL	/* two superpages, then single frames */
#define SMALL		1024UL
#define FRAMES		8192UL
#define MAX_ITEMS	32

struct head {
	uint8_t flags, nr_extents, nr_excluded, nr_disturbed, nr_done, pause, options;
} __attribute__((packed));

struct item {
	uint16_t a, b, nr;
	uint8_t odd;
} __attribute__((packed));

static struct xen_p2m_swap_extent extents[MAX_ITEMS], excluded[MAX_ITEMS];
static uint8_t status[XEN_P2M_SWAP_MAX_PAIRS];

/* Most are within the domain; some are not, or are at the end of all numbers. */
static struct xen_p2m_swap_extent extent(const struct item *i)
{
	struct xen_p2m_swap_extent e = { .gfn_a = i->a % (GFNS + 8), .gfn_b = i->b % (GFNS + 8), .nr = i->nr % 1200 };

	if (i->odd & 1)
		e.gfn_a = -1UL - i->a;
	if (i->odd & 2)
		e.gfn_b = (uint64_t)i->b << 24;
	if (i->odd & 4)
		e.nr = (uint32_t)i->nr << 16;
	if (i->odd & 8)
		e.pad = 1;
	/* Parts of what is there are what excluded extents have to be. */
	if (i->odd & 16)
		e.gfn_b = e.gfn_a;
	if (i->odd & 32)
		e.nr = 1;
	if (i->odd & 64) {
		e.gfn_a &= ~511UL;
		e.gfn_b &= ~511UL;
		e.nr = (e.nr + 511) & ~511U;
	}
	return e;
}

static void disturb(const struct item *i)
{
	struct domain *d = machine.d[i->odd & 1];
	const unsigned long gfn = i->a % GFNS;
	unsigned int order;
	const uint64_t *e = machine_entry(d, gfn, &order);
	struct page_info *pg;

	if (!e || !entry_frame(*e))
		return;
	pg = pdx_to_page(entry_frame(*e) + (gfn & ((1UL << order) - 1)));
	switch (i->odd >> 1 & 7) {
	case 0:
		pg->count_info++;
		break;
	case 1:
		pg->u.inuse.type_info++;
		break;
	case 2:
		pg->count_info |= PGC_broken;
		break;
	case 3:
		machine_make_stale(d, gfn, i->b % 3 * 9);
		break;
	case 4:
		pg->u.inuse.type_info |= PGT_non_coherent;
		break;
	case 5:
		pg->count_info |= PGC_extra;
		break;
	default:
		machine_to_phys_mapping[page_to_pdx(pg)] ^= 1;
		break;
	}
}

/* @ept: or else NPT's tables */
static void create(bool ept)
{
	machine_create(FRAMES, ept);
	for (unsigned int side = 0; side < 2; side++) {
		for (unsigned long gfn = 0; gfn < SMALL; gfn += SUPERPAGE_PAGES)
			machine_populate(machine.d[side], gfn, machine_alloc(9), 9, p2m_ram_rw);
		for (unsigned long gfn = SMALL; gfn < GFNS; gfn++)
			machine_populate(machine.d[side], gfn, machine_alloc(0), 0, p2m_ram_rw);
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static void check(const struct model *m, struct xen_p2m_swap *op, long rc)
{
	unsigned long total = 0;
	const char *wrong;

	for (unsigned int i = 0; i < op->nr_extents && i < MAX_ITEMS; i++)
		total += extents[i].nr;
	if (rc != 0 && rc != -EINVAL && rc != -E2BIG && rc != -EOPNOTSUPP && rc != -ESRCH && rc != -ENOMEM)
		fail("an error that is in no list");
	if (!rc && op->nr_done != total)
		fail("not all pairs were dealt with");
	for (unsigned long k = op->nr_done; k < total && k < sizeof(status); k++)
		if (status[k] != 0xee)
			fail("a status behind the last");
	for (unsigned long k = 0; k < op->nr_done && k < sizeof(status); k++)
		if ((status[k] & XEN_P2M_SWAP_ST_MASK) > XEN_P2M_SWAP_ST_KEPT && status[k] != 0xee)
			fail("a status that is in no list");
	wrong = model_check_books(m);
	if (wrong)
		fail(wrong);
}

/* The continuation's place may be the caller's own idea. */
static void swap(const uint8_t *data, size_t size)
{
	struct head head;
	struct item items[3 * MAX_ITEMS] = {};
	struct xen_p2m_swap op = {};
	struct model model;
	long rc;

	memcpy(&head, data, sizeof(head));
	size = min(size - sizeof(head), sizeof(items));
	memcpy(items, data + sizeof(head), size);
	create(head.options & 1);
	op.domid_a = machine.d[0]->domain_id;
	op.domid_b = machine.d[1]->domain_id;
	op.flags = head.flags % 5;
	op.nr_extents = head.nr_extents % (MAX_ITEMS + 1);
	op.nr_excluded = head.nr_excluded % (MAX_ITEMS + 1);
	op.nr_done = head.nr_done;
	op.extents.p = extents;
	op.excluded.p = excluded;
	op.status.p = status;
	for (unsigned int i = 0; i < MAX_ITEMS; i++) {
		extents[i] = extent(&items[i]);
		excluded[i] = extent(&items[MAX_ITEMS + i]);
	}
	memset(status, 0xee, sizeof(status));
	for (unsigned int i = 0; i < head.nr_disturbed % (MAX_ITEMS + 1); i++)
		disturb(&items[2 * MAX_ITEMS + i]);
	p2m_swap_set_pause(head.pause * 16);
	machine.preempt = head.options & 2;
	if (head.options & 4)
		machine.no_memory_at = head.options >> 3;
	model_take(&model, GFNS, false);
	rc = machine_swap(&op);
	if (op.nr_done < head.nr_done)
		fail("nr_done has become less");
	/* What was passed over has no status; and one region that comes twice is more than the model knows. */
	if (!head.nr_done && !op.nr_excluded) {
		model_apply(&model, &op);
		if (model_check(&model))
			fail(model_check(&model));
	}
	check(&model, &op, rc);
	model_free(&model);
	machine_destroy();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < sizeof(struct head))
		return 0;
	swap(data, size);
	return 0;
}
