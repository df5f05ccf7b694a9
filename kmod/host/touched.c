// SPDX-License-Identifier: GPL-2.0
/* Which frames a batch or a log has, roughly and fast: see struct vmbeam_touched. */
#include "host.h"

/* A part of a run whose bits follow each other: at most @nr from @gfn on. */
static u32 piece(u64 gfn, u32 nr)
{
	u32 left = VMBEAM_TOUCHED_BITS - gfn % VMBEAM_TOUCHED_BITS;

	return nr < left ? nr : left;
}

static void set_side(unsigned long *map, u64 gfn, u32 nr)
{
	for (u32 n; nr; nr -= n, gfn += n) {
		n = piece(gfn, nr);
		bitmap_set(map, gfn % VMBEAM_TOUCHED_BITS, n);
	}
}

static void clear_side(unsigned long *map, u64 gfn, u32 nr)
{
	for (u32 n; nr; nr -= n, gfn += n) {
		n = piece(gfn, nr);
		bitmap_clear(map, gfn % VMBEAM_TOUCHED_BITS, n);
	}
}

static bool any_of_side(const unsigned long *map, u64 gfn, u32 nr)
{
	for (u32 n; nr; nr -= n, gfn += n) {
		u32 at = gfn % VMBEAM_TOUCHED_BITS;

		n = piece(gfn, nr);
		if (n == 1 ? test_bit(at, map) : find_next_bit(map, at + n, at) < at + n)
			return true;
	}
	return false;
}

void vmbeam_touched_set(struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr)
{
	set_side(t->a, gfn_a, nr);
	set_side(t->b, gfn_b, nr);
}

/* Also for others that share bits with these frames: so all that was set is to be cleared before any is set again. */
void vmbeam_touched_clear(struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr)
{
	clear_side(t->a, gfn_a, nr);
	clear_side(t->b, gfn_b, nr);
}

/* If not, then none of the frames was set. */
bool vmbeam_touched_any(const struct vmbeam_touched *t, u64 gfn_a, u64 gfn_b, u32 nr)
{
	return any_of_side(t->a, gfn_a, nr) || any_of_side(t->b, gfn_b, nr);
}
