// SPDX-License-Identifier: GPL-2.0
/* The swap itself: pieces, retries of busy pairs, and the exchange of contents for those that stay busy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hold.h"
#include "log.h"
#include "migration.h"

/* Pairs in one call: whether it is called off is seen between two calls. */
#define PIECE_FRAMES	16384
#define SUPERPAGE	512
/* Busy frames are mostly a device model's mapping: it is asked to let go, and given this time. */
#define BUSY_TRIES	3
#define BUSY_WAIT_US	20000
/* With the exchange, a pair is left alone only while somebody holds it for a moment. */
#define EXCHANGE_TRIES	20

/* A place in a list. */
struct cursor {
	const struct vmbeam_pairs *list;
	size_t at;
	uint64_t done;	/* frames of list->v[at] that are passed */
};

/* What one call gets. There are at most as many extents as frames. */
struct piece {
	struct vmbeam_extent_pair *pairs, *excluded;
	uint32_t nr, nr_excluded;
	uint64_t frames;
};

/* The next @nr frames, as an extent of their own. */
static struct vmbeam_extent_pair take(struct cursor *c, uint64_t nr)
{
	const struct vmbeam_extent_pair *e = &c->list->v[c->at];
	struct vmbeam_extent_pair part = { .gfn_a = e->gfn_a + c->done, .gfn_b = e->gfn_b + c->done, .nr = nr };

	c->done += nr;
	if (c->done == e->nr) {
		c->done = 0;
		c->at++;
	}
	return part;
}

/* The next of the excluded frames, if they are among the pairs of @e. */
static bool take_excluded(struct cursor *c, const struct vmbeam_extent_pair *e, struct vmbeam_extent_pair *out)
{
	const struct vmbeam_extent_pair *x = &c->list->v[c->at];
	uint64_t offset, left;

	if (c->at == c->list->nr)
		return false;
	offset = x->gfn_a + c->done - e->gfn_a;
	if (x->gfn_a + c->done < e->gfn_a || offset >= e->nr || x->gfn_b + c->done - e->gfn_b != offset)
		return false;
	left = x->nr - c->done;
	*out = take(c, left < e->nr - offset ? left : e->nr - offset);
	return true;
}

/* How many of the next extent's frames go into a piece with this much room; 0: none, for they would split a superpage. */
static uint64_t fitting(const struct cursor *c, uint64_t room, bool empty)
{
	uint64_t left = c->list->v[c->at].nr - c->done, tail;

	if (left <= room)
		return left;
	tail = (c->list->v[c->at].gfn_a + c->done + room) % SUPERPAGE;
	if (tail < room)
		return room - tail;
	return empty ? room : 0;
}

/* The next of @pairs, and those of @excluded that are among them. Both lists are in the same order. */
static void cut(struct cursor *pairs, struct cursor *excluded, uint64_t max_frames, size_t max_extents, struct piece *p)
{
	p->nr = p->nr_excluded = 0;
	p->frames = 0;
	while (pairs->at < pairs->list->nr && p->nr < max_extents && p->frames < max_frames) {
		uint64_t part = fitting(pairs, max_frames - p->frames, !p->frames);

		if (!part)
			break;
		p->pairs[p->nr] = take(pairs, part);
		while (take_excluded(excluded, &p->pairs[p->nr], &p->excluded[p->nr_excluded]))
			p->nr_excluded++;
		p->nr++;
		p->frames += part;
	}
}

/* Sorts a piece's pairs by what became of them. */
static int account(struct migration *m, const struct piece *p, const uint8_t *status, struct vmbeam_pairs *busy)
{
	for (uint32_t i = 0; i < p->nr; i++) {
		for (uint32_t k = 0; k < p->pairs[i].nr; k++, status++) {
			uint64_t a = p->pairs[i].gfn_a + k, b = p->pairs[i].gfn_b + k;

			switch (*status & VMBEAM_PAIR_MASK) {
			case VMBEAM_PAIR_SWAPPED:
				m->swapped++;
				break;
			case VMBEAM_PAIR_EXCHANGED:
				m->exchanged++;
				if (vmbeam_pairs_add(&m->exchanged_pairs, a, b, 1))
					return error_set(&m->error, "out of memory");
				break;
			case VMBEAM_PAIR_KEPT:	/* by the stream's word: m->kept */
				break;
			case VMBEAM_PAIR_BUSY:
				if (vmbeam_pairs_add(busy, a, b, 1))
					return error_set(&m->error, "out of memory");
				break;
			default:
				return error_set(&m->error, "the hypervisor refuses gfn 0x%llx of %s with gfn 0x%llx of %s: %s%s%s",
						 (unsigned long long)a, m->from, (unsigned long long)b, m->to,
						 vmbeam_pair_status(*status),
						 *status & VMBEAM_PAIR_SIDE_A ? ", on the first" : "",
						 *status & VMBEAM_PAIR_SIDE_B ? ", on the second" : "");
			}
		}
	}
	return 0;
}

static int pass(struct migration *m, const struct vmbeam_pairs *pairs, const struct vmbeam_pairs *excluded,
		uint32_t flags, struct vmbeam_pairs *busy, bool first)
{
	struct cursor at = { .list = pairs }, excluded_at = { .list = excluded };
	uint64_t total = vmbeam_pairs_frames(pairs), through = 0, max = PIECE_FRAMES;
	size_t max_extents = PIECE_FRAMES;
	struct piece piece = { 0 };
	uint8_t *status = NULL;
	bool held = false;
	int rc = -1;

	if (m->max_frames && m->max_frames < max)
		max = m->max_frames;
	if (m->max_extents && m->max_extents < max_extents)
		max_extents = m->max_extents;
	/* Then there are never too many excluded extents, either. */
	if (max > max_extents)
		max = max_extents;
	/* Two pieces at least, so that there is a half to hold at. */
	if (first && max > (total + 1) / 2)
		max = (total + 1) / 2;
	piece.pairs = calloc(max_extents, sizeof(*piece.pairs));
	piece.excluded = calloc(max_extents, sizeof(*piece.excluded));
	status = malloc(max + 1);
	if (!piece.pairs || !piece.excluded || !status) {
		error_set(&m->error, "out of memory");
		goto out;
	}
	while (at.at < pairs->nr) {
		struct vmbeam_txn_swap result;

		cut(&at, &excluded_at, max, max_extents, &piece);
		memset(status, VMBEAM_PAIR_SKIPPED, piece.frames);
		rc = vmbeam_txn_swap(m->txn, flags, piece.pairs, piece.nr, piece.excluded, piece.nr_excluded, status,
				     &result);
		if (rc) {
			rc = error_set(&m->error, "the swap failed at gfn 0x%llx of %s, after %llu of %llu pairs: %s",
				       (unsigned long long)piece.pairs[0].gfn_a, m->from, (unsigned long long)through,
				       (unsigned long long)total, strerror(-rc));
			goto out;
		}
		rc = account(m, &piece, status, busy);
		if (rc)
			goto out;
		m->large += result.nr_large;
		through += piece.frames;
		rc = patience_over(&m->patience, &m->error);
		if (rc)
			goto out;
		if (first && !held && through >= total / 2) {
			held = true;
			hold_point("vmbeamd:swap-half");
		}
		if (first)
			migration_progress(m, through, total);
	}
	rc = 0;
out:
	free(status);
	free(piece.excluded);
	free(piece.pairs);
	return rc;
}

/* Device models keep mappings for later. A superpage is split for one of them, so they are asked before the first pass. */
static int invalidate(struct migration *m)
{
	struct vmbeam_txn_swap result;
	int rc = vmbeam_txn_swap(m->txn, VMBEAM_SWAP_INVALIDATE, NULL, 0, NULL, 0, NULL, &result);

	if (rc)
		return error_set(&m->error, "the device models of %s and %s cannot be asked to drop their mappings: %s",
				 m->from, m->to, strerror(-rc));
	usleep(BUSY_WAIT_US);
	log_debug("mappings dropped");
	return 0;
}

int swap_all(struct migration *m)
{
	const struct vmbeam_pairs none = { 0 };
	struct vmbeam_pairs left = { 0 }, still = { 0 };
	int rc = invalidate(m) ?: pass(m, &m->pairs, &m->kept_pairs, 0, &left, true);

	for (int try = 0; !rc && left.nr && try < BUSY_TRIES + EXCHANGE_TRIES; try++) {
		uint32_t flags = try < BUSY_TRIES ? VMBEAM_SWAP_INVALIDATE : VMBEAM_SWAP_EXCHANGE;

		m->busy_retries += vmbeam_pairs_frames(&left);
		if (try != BUSY_TRIES)
			usleep(BUSY_WAIT_US);
		log_debug("busy pairs again");
		rc = pass(m, &left, &none, flags, &still, false);
		vmbeam_pairs_free(&left);
		left = still;
		memset(&still, 0, sizeof(still));
	}
	if (!rc && left.nr)
		rc = error_set(&m->error, "%llu pairs stay busy even for an exchange of contents, the first is gfn 0x%llx of %s with gfn 0x%llx of %s",
			       (unsigned long long)vmbeam_pairs_frames(&left), (unsigned long long)left.v[0].gfn_a,
			       m->from, (unsigned long long)left.v[0].gfn_b, m->to);
	vmbeam_pairs_free(&left);
	vmbeam_pairs_free(&still);
	return rc;
}
