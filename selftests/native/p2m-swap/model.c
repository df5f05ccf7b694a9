// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

#define WORDS	(PAGE_SIZE / sizeof(uint64_t))

static char said[200];
#define SAY(...)	({ snprintf(said, sizeof(said), __VA_ARGS__); (const char *)said; })

static uint64_t word(uint32_t content, unsigned int i)
{
	return (uint64_t)content * 0x9e3779b97f4a7c15 + i;
}

static uint32_t content_of(unsigned int side, unsigned long gfn)
{
	return (side + 1) << 24 | gfn;
}

void model_fill(unsigned long nr_gfns)
{
	for (unsigned int side = 0; side < 2; side++)
		for (unsigned long gfn = 0; gfn < nr_gfns; gfn++) {
			unsigned int order;
			const uint64_t *e = machine_entry(machine.d[side], gfn, &order);
			uint64_t *p;

			if (!e || !entry_frame(*e))
				continue;
			p = pdx_to_virt(entry_frame(*e) + (gfn & ((1UL << order) - 1)));
			for (unsigned int i = 0; i < WORDS; i++)
				p[i] = word(content_of(side, gfn), i);
		}
}

static struct model_gfn look_at(unsigned int side, unsigned long gfn)
{
	struct model_gfn s = {};
	unsigned int order;
	const uint64_t *e = machine_entry(machine.d[side], gfn, &order);

	if (!e)
		return s;
	s.order = order;
	s.entry = machine_fresh(*e) & ~(ENTRY_FRAME | _PAGE_PSE);
	if (entry_frame(*e))
		s.mfn = entry_frame(*e) + (gfn & ((1UL << order) - 1));
	return s;
}

void model_take(struct model *m, unsigned long nr_gfns, bool filled)
{
	m->nr_gfns = nr_gfns;
	m->nr_frames = machine.next;
	m->frame = calloc(m->nr_frames, sizeof(*m->frame));
	for (unsigned long mfn = 0; mfn < m->nr_frames; mfn++)
		m->frame[mfn] = (struct model_frame){
			.count = pdx_to_page(mfn)->count_info,
			.type = pdx_to_page(mfn)->u.inuse.type_info,
			.m2p = machine_to_phys_mapping[mfn],
			.owner = page_get_owner(pdx_to_page(mfn)),
		};
	for (unsigned int side = 0; side < 2; side++) {
		m->gfn[side] = calloc(nr_gfns, sizeof(*m->gfn[side]));
		for (unsigned long gfn = 0; gfn < nr_gfns; gfn++) {
			struct model_gfn *s = &m->gfn[side][gfn];

			*s = look_at(side, gfn);
			s->content = filled && s->mfn ? content_of(side, gfn) : 0;
		}
	}
}

void model_free(struct model *m)
{
	free(m->gfn[0]);
	free(m->gfn[1]);
	free(m->frame);
}

static void frame_moved(struct model *m, unsigned long mfn, unsigned int to, unsigned long gfn)
{
	m->frame[mfn] = (struct model_frame){ .count = PGC_allocated | 1, .m2p = gfn, .owner = machine.d[to] };
}

static void apply_pair(struct model *m, unsigned long gfn_a, unsigned long gfn_b, uint8_t status)
{
	struct model_gfn *a, *b;
	bool moved = status == XEN_P2M_SWAP_ST_SWAPPED;
	bool contents = moved || status == XEN_P2M_SWAP_ST_EXCHANGED;

	if (gfn_a >= m->nr_gfns || gfn_b >= m->nr_gfns) {
		if (contents)
			BAD("a pair was swapped that there is not");
		return;
	}
	a = &m->gfn[0][gfn_a];
	b = &m->gfn[1][gfn_b];
	/* Either is right: with the superpage around it, or not at all. */
	if (status == XEN_P2M_SWAP_ST_KEPT)
		moved = a->mfn && b->mfn && look_at(0, gfn_a).mfn == b->mfn && a->order >= PAGE_ORDER_2M &&
			b->order >= PAGE_ORDER_2M && look_at(0, gfn_a).order == PAGE_ORDER_2M;
	if (moved) {
		frame_moved(m, a->mfn, 1, gfn_b);
		frame_moved(m, b->mfn, 0, gfn_a);
		SWAP(a->mfn, b->mfn);
	}
	if (contents)
		SWAP(a->content, b->content);
}

void model_apply(struct model *m, const struct xen_p2m_swap *op)
{
	unsigned long k = 0;

	for (unsigned int i = 0; i < op->nr_extents && k < op->nr_done; i++) {
		const struct xen_p2m_swap_extent *e = &op->extents.p[i];

		for (unsigned int j = 0; j < e->nr && k < op->nr_done; j++, k++)
			apply_pair(m, e->gfn_a + j, e->gfn_b + j, op->status.p[k]);
	}
	/* A superpage that was split stays so; that nothing else was, is for the tests. */
	for (unsigned int side = 0; side < 2; side++)
		for (unsigned long gfn = 0; gfn < m->nr_gfns; gfn++)
			m->gfn[side][gfn].order = min(m->gfn[side][gfn].order, look_at(side, gfn).order);
}

static const char *check_contents(unsigned int side, unsigned long gfn, const struct model_gfn *s)
{
	const uint64_t *p = pdx_to_virt(s->mfn);

	for (unsigned int i = 0; s->content && i < WORDS; i++)
		if (p[i] != word(s->content, i))
			return SAY("domain %c, gfn %lx, word %u: not the contents of %x", 'A' + side, gfn, i,
				   s->content);
	return NULL;
}

static const char *check_gfn(const struct model *m, unsigned int side, unsigned long gfn)
{
	const struct model_gfn *s = &m->gfn[side][gfn], is = look_at(side, gfn);
	const struct page_info *pg = pdx_to_page(s->mfn);
	const struct model_frame *f;

	if (is.mfn != s->mfn)
		return SAY("domain %c, gfn %lx: frame %lx and not %lx", 'A' + side, gfn, is.mfn, s->mfn);
	if (is.entry != s->entry)
		return SAY("domain %c, gfn %lx: entry %lx and not %lx", 'A' + side, gfn, is.entry, s->entry);
	if (is.order != s->order)
		return SAY("domain %c, gfn %lx: order %u and not %u", 'A' + side, gfn, is.order, s->order);
	if (!s->mfn)
		return NULL;
	f = &m->frame[s->mfn];
	if (pg->count_info != f->count)
		return SAY("domain %c, gfn %lx: count %lx and not %lx", 'A' + side, gfn, pg->count_info, f->count);
	if (pg->u.inuse.type_info != f->type)
		return SAY("domain %c, gfn %lx: type %lx and not %lx", 'A' + side, gfn, pg->u.inuse.type_info, f->type);
	if (page_get_owner(pg) != f->owner)
		return SAY("domain %c, gfn %lx: another owner", 'A' + side, gfn);
	if (machine_to_phys_mapping[s->mfn] != f->m2p)
		return SAY("domain %c, gfn %lx: M2P %lx and not %lx", 'A' + side, gfn, machine_to_phys_mapping[s->mfn],
			   f->m2p);
	return check_contents(side, gfn, s);
}

/* Are these all of the domain's frames, each once, in both directions? */
static const char *check_list(unsigned int side)
{
	const struct domain *d = machine.d[side];
	struct page_info *pg, *prev = NULL;
	unsigned long nr = 0;

	for (pg = d->page_list.next; pg; prev = pg, pg = page_list_next(pg, &d->page_list)) {
		if (page_list_prev(pg, &d->page_list) != prev)
			return SAY("domain %c: the list is not the same backwards, at frame %lx", 'A' + side,
				   (unsigned long)page_to_pdx(pg));
		if (page_get_owner(pg) != d && page_get_owner(pg) == machine.d[!side])
			return SAY("domain %c: frame %lx of the other is in the list", 'A' + side,
				   (unsigned long)page_to_pdx(pg));
		if (pg->list.next == PAGE_LIST_NULL && pg != d->page_list.tail)
			return SAY("domain %c: the list ends before its end", 'A' + side);
		if (++nr > d->tot_pages)
			break;
	}
	if (nr != d->tot_pages)
		return SAY("domain %c: %lu frames in the list, %u in all", 'A' + side, nr, d->tot_pages);
	if (prev != d->page_list.tail)
		return SAY("domain %c: the list's tail is not its last", 'A' + side);
	if (prev && (prev->list.next != PAGE_LIST_NULL || d->page_list.next->list.prev != PAGE_LIST_NULL))
		return SAY("domain %c: the list has no ends", 'A' + side);
	return NULL;
}

const char *model_check(const struct model *m)
{
	const char *wrong = machine.wrong;

	for (unsigned int side = 0; side < 2; side++) {
		for (unsigned long gfn = 0; gfn < m->nr_gfns && !wrong; gfn++)
			wrong = check_gfn(m, side, gfn);
		if (!wrong)
			wrong = check_list(side);
		if (!wrong && machine.d[side]->arch.p2m->locked)
			wrong = "a P2M is left locked";
		if (!wrong && machine.d[side]->page_alloc_lock)
			wrong = "a page_alloc lock is left locked";
	}
	return wrong;
}

const char *model_check_books(const struct model *m)
{
	for (unsigned int side = 0; side < 2; side++) {
		for (unsigned long gfn = 0; gfn < m->nr_gfns; gfn++) {
			const struct model_gfn is = look_at(side, gfn);
			const struct page_info *pg = pdx_to_page(is.mfn);

			if (!is.mfn)
				continue;
			if (!(pg->count_info & PGC_count_mask))
				return SAY("domain %c, gfn %lx: frozen", 'A' + side, gfn);
			if (page_get_owner(pg) != machine.d[side])
				return SAY("domain %c, gfn %lx: another owner", 'A' + side, gfn);
			if (machine_to_phys_mapping[is.mfn] != gfn && m->frame[is.mfn].m2p == gfn)
				return SAY("domain %c, gfn %lx: M2P %lx", 'A' + side, gfn,
					   machine_to_phys_mapping[is.mfn]);
		}
		if (check_list(side))
			return said;
	}
	return machine.wrong;
}
