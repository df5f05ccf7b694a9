// SPDX-License-Identifier: GPL-2.0
/* The swap itself: pieces, retries of busy pairs, and the exchange of contents for those that stay busy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hold.h"
#include "log.h"
#include "migration.h"

/* Pairs in one call: the daemon hears its sockets between two calls. */
#define PIECE_FRAMES	16384
/* Busy frames are mostly a device model's mapping that is about to go. */
#define BUSY_TRIES	3
#define BUSY_WAIT_US	20000
/* With the exchange, a pair is left alone only while somebody holds it for a moment. */
#define EXCHANGE_TRIES	20

/* Cuts the next piece off @from, beginning at frame *@done of extent *@at. Returns its frames. */
static uint64_t cut(const struct vmbeam_pairs *from, size_t *at, uint64_t *done, uint64_t max_frames, size_t max_extents,
		    struct vmbeam_extent_pair *piece, uint32_t *nr)
{
	uint64_t frames = 0;

	*nr = 0;
	while (*at < from->nr && *nr < max_extents && frames < max_frames) {
		const struct vmbeam_extent_pair *e = &from->v[*at];
		uint64_t part = e->nr - *done;

		if (part > max_frames - frames)
			part = max_frames - frames;
		piece[(*nr)++] = (struct vmbeam_extent_pair){
			.gfn_a = e->gfn_a + *done, .gfn_b = e->gfn_b + *done, .nr = part,
		};
		frames += part;
		*done += part;
		if (*done == e->nr) {
			*done = 0;
			++*at;
		}
	}
	return frames;
}

/* Sorts a piece's pairs by what became of them. */
static int account(struct migration *m, const struct vmbeam_extent_pair *piece, uint32_t nr, const uint8_t *status,
		   struct vmbeam_pairs *busy)
{
	for (uint32_t i = 0; i < nr; i++) {
		for (uint32_t k = 0; k < piece[i].nr; k++, status++) {
			uint64_t a = piece[i].gfn_a + k, b = piece[i].gfn_b + k;

			switch (*status & VMBEAM_PAIR_MASK) {
			case VMBEAM_PAIR_SWAPPED:
				m->swapped++;
				break;
			case VMBEAM_PAIR_EXCHANGED:
				m->exchanged++;
				if (vmbeam_pairs_add(&m->exchanged_pairs, a, b, 1))
					return error_set(&m->error, "out of memory");
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

static int pass(struct migration *m, const struct vmbeam_pairs *pairs, uint32_t flags, struct vmbeam_pairs *busy,
		bool first)
{
	uint64_t total = vmbeam_pairs_frames(pairs), through = 0, done = 0, max = PIECE_FRAMES;
	size_t max_extents = PIECE_FRAMES, at = 0;
	struct vmbeam_extent_pair *piece = NULL;
	uint8_t *status = NULL;
	bool held = false;
	int rc = -1;

	if (m->max_frames && m->max_frames < max)
		max = m->max_frames;
	if (m->max_extents && m->max_extents < max_extents)
		max_extents = m->max_extents;
	/* Two pieces at least, so that there is a half to hold at. */
	if (first && max > (total + 1) / 2)
		max = (total + 1) / 2;
	piece = calloc(max_extents, sizeof(*piece));
	status = malloc(max + 1);
	if (!piece || !status) {
		error_set(&m->error, "out of memory");
		goto out;
	}
	while (at < pairs->nr) {
		struct vmbeam_txn_swap result;
		uint32_t nr;
		uint64_t frames = cut(pairs, &at, &done, max, max_extents, piece, &nr);

		memset(status, VMBEAM_PAIR_SKIPPED, frames);
		rc = vmbeam_txn_swap(m->txn, flags, piece, nr, status, &result);
		if (rc) {
			rc = error_set(&m->error, "the swap failed at gfn 0x%llx of %s, after %llu of %llu pairs: %s",
				       (unsigned long long)piece[0].gfn_a, m->from, (unsigned long long)through,
				       (unsigned long long)total, strerror(-rc));
			goto out;
		}
		rc = account(m, piece, nr, status, busy);
		if (rc)
			goto out;
		through += frames;
		if (agent_idle)
			agent_idle();
		if (first && !held && through >= total / 2) {
			held = true;
			hold_point("vmbeamd:swap-half");
		}
	}
	rc = 0;
out:
	free(status);
	free(piece);
	return rc;
}

int swap_all(struct migration *m)
{
	struct vmbeam_pairs left = { 0 }, still = { 0 };
	int rc = pass(m, &m->pairs, 0, &left, true);

	for (int try = 0; !rc && left.nr && try < BUSY_TRIES + EXCHANGE_TRIES; try++) {
		uint32_t flags = try < BUSY_TRIES ? 0 : VMBEAM_SWAP_EXCHANGE;

		m->busy_retries += vmbeam_pairs_frames(&left);
		if (try != BUSY_TRIES)
			usleep(BUSY_WAIT_US);
		rc = pass(m, &left, flags, &still, false);
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
