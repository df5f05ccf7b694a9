// SPDX-License-Identifier: GPL-2.0
/*
 * The set of frames of an export. Two indexes, by pfn and by gfn, find duplicates; the one by pfn also is the order
 * in which extents are read.
 *
 * The number of extents is kept up to date with each frame that comes or goes, so that asking for it costs nothing.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "guest.h"

/* A chunk that has an empty slot. */
#define VMBEAM_CHUNK_ROOM	XA_MARK_1

/* Beyond any pfn of a PV domain; the M2P's special values are beyond it too. */
#define VMBEAM_PFN_LIMIT	BIT_ULL(40)

void vmbeam_frames_init(struct vmbeam_export *e)
{
	xa_init_flags(&e->by_pfn, XA_FLAGS_ACCOUNT);
	xa_init_flags(&e->by_gfn, XA_FLAGS_ACCOUNT);
	xa_init_flags(&e->chunks, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
}

static struct vmbeam_chunk *vmbeam_chunk_of(struct vmbeam_export *e, unsigned long slot_nr)
{
	return xa_load(&e->chunks, slot_nr / VMBEAM_CHUNK_SLOTS);
}

u64 vmbeam_frames_gfn(struct vmbeam_export *e, unsigned long slot_nr)
{
	return vmbeam_chunk_gfn(vmbeam_chunk_of(e, slot_nr), slot_nr % VMBEAM_CHUNK_SLOTS);
}

static bool vmbeam_frame_is(struct vmbeam_export *e, u64 pfn, u64 gfn)
{
	void *slot = xa_load(&e->by_pfn, pfn);

	return slot && vmbeam_frames_gfn(e, xa_to_value(slot)) == gfn;
}

/* How many of its two neighbours continue a frame's extent. */
static unsigned int vmbeam_frame_joins(struct vmbeam_export *e, u64 pfn, u64 gfn)
{
	return (pfn && gfn && vmbeam_frame_is(e, pfn - 1, gfn - 1)) + vmbeam_frame_is(e, pfn + 1, gfn + 1);
}

static void vmbeam_slot_free(struct vmbeam_export *e, unsigned long chunk_id, struct vmbeam_chunk *chunk,
			     unsigned int slot)
{
	__clear_bit(slot, chunk->used);
	xa_set_mark(&e->chunks, chunk_id, VMBEAM_CHUNK_ROOM);
}

/* Choose the chunk that the next batch goes to: one that has room, or a new one. */
static int vmbeam_batch_begin(struct vmbeam_export *e)
{
	struct vmbeam_batch *b = &e->batch;
	unsigned long id = 0;
	u32 new_id;
	int rc;

	b->nr_pins = 0;
	b->chunk = xa_find(&e->chunks, &id, ULONG_MAX, VMBEAM_CHUNK_ROOM);
	b->chunk_id = id;
	if (b->chunk)
		return 0;

	b->chunk = vmbeam_chunk_get();
	if (!b->chunk)
		return -ENOMEM;
	rc = xa_alloc(&e->chunks, &new_id, b->chunk, xa_limit_31b, GFP_KERNEL);
	if (rc) {
		vmbeam_chunk_put(b->chunk);
		b->chunk = NULL;
		return rc;
	}
	b->chunk_id = new_id;
	xa_set_mark(&e->chunks, new_id, VMBEAM_CHUNK_ROOM);
	return 0;
}

/* Give a frame a slot and its places in the indexes. -EBUSY: its pfn or gfn has one already. */
static int vmbeam_batch_add(struct vmbeam_export *e, const struct vmbeam_frame *f, u32 index)
{
	struct vmbeam_batch *b = &e->batch;
	struct vmbeam_pin *pin;
	int rc;

	if (!b->chunk) {
		rc = vmbeam_batch_begin(e);
		if (rc)
			return rc;
	}

	rc = xa_insert(&e->by_gfn, f->gfn, xa_mk_value(f->pfn), GFP_KERNEL);
	if (rc)
		return rc;
	/* Reserved: nothing that walks the index meets it before it is pinned. */
	rc = xa_insert(&e->by_pfn, f->pfn, NULL, GFP_KERNEL);
	if (rc) {
		xa_erase(&e->by_gfn, f->gfn);
		return rc;
	}

	pin = &b->pins[b->nr_pins++];
	pin->pfn = f->pfn;
	pin->gfn = f->gfn;
	pin->index = index;
	pin->slot = find_first_zero_bit(b->chunk->used, VMBEAM_CHUNK_SLOTS);
	__set_bit(pin->slot, b->chunk->used);
	if (bitmap_full(b->chunk->used, VMBEAM_CHUNK_SLOTS))
		xa_clear_mark(&e->chunks, b->chunk_id, VMBEAM_CHUNK_ROOM);
	return 0;
}

/* Pin what the batch has collected. What is refused loses its slot and its places again. */
static int vmbeam_batch_settle(struct vmbeam_export *e, u8 *status, u32 *nr_pinned)
{
	struct vmbeam_batch *b = &e->batch;
	struct vmbeam_chunk *chunk = b->chunk;
	u64 start = ktime_get_ns();
	unsigned int i;
	int rc;

	b->chunk = NULL;
	if (!chunk || !b->nr_pins)
		return 0;
	rc = vmbeam_pin_batch(b, chunk, e->domid);

	for (i = 0; i < b->nr_pins; i++) {
		struct vmbeam_pin *pin = &b->pins[i];
		unsigned long slot_nr = b->chunk_id * VMBEAM_CHUNK_SLOTS + pin->slot;

		status[pin->index] = pin->status;
		if (pin->status != VMBEAM_FRAME_PINNED) {
			xa_erase(&e->by_gfn, pin->gfn);
			xa_erase(&e->by_pfn, pin->pfn);
			vmbeam_slot_free(e, b->chunk_id, chunk, pin->slot);
			continue;
		}
		/* The entry is there, reserved: this allocates nothing and cannot fail. */
		xa_store(&e->by_pfn, pin->pfn, xa_mk_value(slot_nr), GFP_KERNEL);
		WRITE_ONCE(e->nr_extents, e->nr_extents + 1 - vmbeam_frame_joins(e, pin->pfn, pin->gfn));
		WRITE_ONCE(e->nr_frames, e->nr_frames + 1);
		e->extents_stale = true;
		++*nr_pinned;
	}
	WRITE_ONCE(e->pin_ns, e->pin_ns + ktime_get_ns() - start);
	return rc;
}

/*
 * Pin frames; @status tells for each what became of it, @nr_pinned how many there are, also when an error ends it
 * before the last one.
 */
int vmbeam_frames_add(struct vmbeam_export *e, const struct vmbeam_frame *frames, u8 *status, u32 nr,
		      u32 *nr_pinned)
{
	struct vmbeam_batch *b = &e->batch;
	int rc = 0, rc2;
	u32 i;

	b->chunk = NULL;
	for (i = 0; i < nr; i++) {
		const struct vmbeam_frame *f = &frames[i];

		if (!vmbeam_pin_possible(f->gfn)) {
			status[i] = VMBEAM_FRAME_FOREIGN;
			continue;
		}
		if (f->pfn >= VMBEAM_PFN_LIMIT) {
			status[i] = VMBEAM_FRAME_M2P;
			continue;
		}
		if (e->nr_frames + (b->chunk ? b->nr_pins : 0) >= VMBEAM_EXPORT_MAX_FRAMES) {
			rc = -ENOSPC;
			break;
		}

		rc = vmbeam_batch_add(e, f, i);
		if (rc == -EBUSY && b->nr_pins) {
			/* Perhaps only with a frame that is about to be refused: settle those first. */
			rc = vmbeam_batch_settle(e, status, nr_pinned) ?: vmbeam_batch_add(e, f, i);
		}
		if (rc == -EBUSY) {
			status[i] = VMBEAM_FRAME_DUPLICATE;
			rc = 0;
		}
		if (!rc && b->chunk && bitmap_full(b->chunk->used, VMBEAM_CHUNK_SLOTS))
			rc = vmbeam_batch_settle(e, status, nr_pinned);
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		if (rc)
			break;
	}

	rc2 = vmbeam_batch_settle(e, status, nr_pinned);
	return rc ?: rc2;
}

/* Unpin frames. @nr_removed counts also when an error ends it before the last one. */
int vmbeam_frames_remove(struct vmbeam_export *e, const u64 *pfns, u32 nr, u32 *nr_removed)
{
	struct vmbeam_batch *b = &e->batch;
	int rc = 0, rc2;
	u32 i;

	b->nr_updates = 0;
	for (i = 0; i < nr && !rc; i++) {
		void *entry = xa_load(&e->by_pfn, pfns[i]);
		struct vmbeam_chunk *chunk;
		unsigned long slot_nr;
		unsigned int slot;
		u64 gfn;

		if (!entry)
			continue;
		slot_nr = xa_to_value(entry);
		slot = slot_nr % VMBEAM_CHUNK_SLOTS;
		chunk = vmbeam_chunk_of(e, slot_nr);
		gfn = vmbeam_chunk_gfn(chunk, slot);

		xa_erase(&e->by_pfn, pfns[i]);
		xa_erase(&e->by_gfn, gfn);
		WRITE_ONCE(e->nr_extents, e->nr_extents - 1 + vmbeam_frame_joins(e, pfns[i], gfn));
		WRITE_ONCE(e->nr_frames, e->nr_frames - 1);
		e->extents_stale = true;
		++*nr_removed;
		rc = vmbeam_unpin_slot(b, chunk, slot);
		/* No ADD comes between this and the end of the batch: the lock is held. */
		vmbeam_slot_free(e, slot_nr / VMBEAM_CHUNK_SLOTS, chunk, slot);
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
	}
	if (!*nr_removed)
		return rc;
	rc2 = vmbeam_unpin_finish(b);
	return rc ?: rc2;
}

/* xa_destroy() of an index of millions would keep interrupts off for as long as it takes. */
static void vmbeam_index_clear(struct xarray *index)
{
	unsigned long at;
	u32 erased = 0;
	void *entry;

	xa_for_each(index, at, entry) {
		xa_erase(index, at);
		if (!(++erased % 4096))
			cond_resched();
	}
	xa_destroy(index);
}

/* Unpin everything. Needs no memory and cannot be interrupted: it runs when a process dies. */
void vmbeam_frames_clear(struct vmbeam_export *e)
{
	struct vmbeam_batch *b = &e->batch;
	struct vmbeam_chunk *chunk;
	unsigned long id;
	unsigned int slot;

	b->nr_updates = 0;
	xa_for_each(&e->chunks, id, chunk)
		for_each_set_bit(slot, chunk->used, VMBEAM_CHUNK_SLOTS)
			vmbeam_unpin_slot(b, chunk, slot);
	if (!xa_empty(&e->chunks))
		vmbeam_unpin_finish(b);

	xa_for_each(&e->chunks, id, chunk) {
		vmbeam_chunk_put(chunk);
		cond_resched();
	}
	vmbeam_index_clear(&e->chunks);
	vmbeam_index_clear(&e->by_pfn);
	vmbeam_index_clear(&e->by_gfn);
	WRITE_ONCE(e->nr_frames, 0);
	WRITE_ONCE(e->nr_extents, 0);
	e->extents_stale = true;
}
