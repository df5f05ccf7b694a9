/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmbeam_guest.ko, shared between its files.
 *
 * main.c	the device
 * fd.c		an export's fd, and the ioctls
 * export.c	the life of an export, the list of all
 * frames.c	the set of frames of an export: which pfn is pinned in which slot
 * pin.c	a slot is a PTE that holds a reference to a foreign frame
 * chunk.c	chunks of slots: where the PTEs are, and those that wait for the next export
 * extent.c	the frames as extents, and read()
 */
#ifndef _VMBEAM_GUEST_H
#define _VMBEAM_GUEST_H

#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include <xen/xen.h>
#include <xen/interface/xen.h>

#include "../common/ioctl.h"

/* Frames that one ADD or REMOVE takes: vmbeam_query.max_frames. */
#define VMBEAM_MAX_BATCH	65536U
/* Exports at a time; also the most that a LIST has room for. */
#define VMBEAM_MAX_EXPORTS	4096U
/* Slots of a chunk: the PTEs of one page table, and the updates of one hypercall. */
#define VMBEAM_CHUNK_SLOTS	512U

/*
 * 512 slots. An export has it from the first frame that needs it to its own end; slots that become free are used
 * again. Then it waits for the next export.
 */
struct vmbeam_chunk {
	struct list_head idle;	/* vmbeam_idle, while no export has it */
	void *addr;		/* of the vmap area; nothing reads through it */
	pte_t *ptes;		/* what the hypervisor has in the slots */
	u64 ptes_maddr;
	DECLARE_BITMAP(used, VMBEAM_CHUNK_SLOTS);
};

/* One frame on its way into a slot. */
struct vmbeam_pin {
	u64 pfn;
	u64 gfn;
	u32 index;		/* in the caller's list */
	u16 slot;
	u8 status;		/* VMBEAM_FRAME_* */
};

/*
 * What one round of hypercalls works on. Part of the export, so that releasing needs no memory.
 */
struct vmbeam_batch {
	struct vmbeam_chunk *chunk;	/* where the pins go; NULL: none chosen yet */
	unsigned long chunk_id;
	unsigned int nr_pins;
	unsigned int nr_updates;
	struct vmbeam_pin pins[VMBEAM_CHUNK_SLOTS];
	struct mmu_update updates[VMBEAM_CHUNK_SLOTS];
};

struct vmbeam_extents;

/*
 * An export. References: one per open file, and one of the module's own while it is armed.
 *
 * It is on the list from the moment its first fd is installed until it is released, and that is always before the
 * last reference goes.
 */
struct vmbeam_export {
	struct kref refs;
	struct list_head node;		/* vmbeam_exports */
	u64 id;
	domid_t domid;

	struct mutex lock;		/* all that follows; the counters are read without it too */
	u32 state;			/* VMBEAM_EXPORT_*, or 0 once released and off the list */
	u64 nr_frames;
	u64 nr_extents;
	u64 pin_ns;
	struct xarray by_pfn;		/* pfn -> slot number; a reserved entry: being pinned */
	struct xarray by_gfn;		/* gfn -> pfn */
	struct xarray chunks;		/* slot number / 512 -> struct vmbeam_chunk */
	struct vmbeam_extents *extents;	/* as of the last read() at offset 0 */
	bool extents_stale;
	struct vmbeam_batch batch;
};

/* fd.c */
long vmbeam_export_create(struct vmbeam_call *call, void *arg);
long vmbeam_export_open(struct vmbeam_call *call, void *arg);

/* export.c */
void vmbeam_export_init(void);
struct vmbeam_export *vmbeam_export_new(domid_t domid);
struct vmbeam_export *vmbeam_export_find(u64 id);
void vmbeam_export_put(struct vmbeam_export *e);
void vmbeam_export_enlist(struct vmbeam_export *e);
void vmbeam_export_own(struct vmbeam_export *e);
void vmbeam_export_end(struct vmbeam_export *e);
bool vmbeam_export_tell(const struct vmbeam_export *e, struct vmbeam_export_info *info);
long vmbeam_export_list(struct vmbeam_call *call, void *arg);

/* frames.c; the export's lock is held */
void vmbeam_frames_init(struct vmbeam_export *e);
int vmbeam_frames_add(struct vmbeam_export *e, const struct vmbeam_frame *frames, u8 *status, u32 nr,
		      u32 *nr_pinned);
int vmbeam_frames_remove(struct vmbeam_export *e, const u64 *pfns, u32 nr, u32 *nr_removed);
void vmbeam_frames_clear(struct vmbeam_export *e);
u64 vmbeam_frames_gfn(struct vmbeam_export *e, unsigned long slot_nr);

/* pin.c */
bool vmbeam_pin_domain_exists(domid_t domid);
bool vmbeam_pin_possible(u64 gfn);
int vmbeam_pin_batch(struct vmbeam_batch *b, struct vmbeam_chunk *chunk, domid_t domid);
int vmbeam_unpin_slot(struct vmbeam_batch *b, struct vmbeam_chunk *chunk, unsigned int slot);
int vmbeam_unpin_finish(struct vmbeam_batch *b);

/* chunk.c */
void vmbeam_chunks_init(void);
void vmbeam_chunks_exit(void);
u64 vmbeam_chunk_dummy_gfn(void);
u64 vmbeam_chunk_gfn(const struct vmbeam_chunk *chunk, unsigned int slot);
struct vmbeam_chunk *vmbeam_chunk_get(void);
void vmbeam_chunk_put(struct vmbeam_chunk *chunk);

/* extent.c */
void vmbeam_extents_put(struct vmbeam_extents *x);
ssize_t vmbeam_extents_read(struct vmbeam_export *e, char __user *buf, size_t count, loff_t *ppos);

#endif /* _VMBEAM_GUEST_H */
