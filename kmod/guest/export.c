// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an export, and the list of all.
 *
 * While it is being filled an export is its fd: it goes with it. Once armed it is the module's, since from then on
 * frames may be swapped, and what is behind them is somebody's only copy: it stays until it is released by name.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "guest.h"
#include "trace.h"

/* The size of an entry of VMBEAM_EXPORT_LIST when it was first published. */
#define VMBEAM_EXPORT_ENTRY	offsetofend(struct vmbeam_export_info, pin_ns)

static DEFINE_MUTEX(vmbeam_exports_lock);	/* the three below; taken inside an export's lock */
static LIST_HEAD(vmbeam_exports);		/* by id, ascending */
static u64 vmbeam_last_id;
static u32 vmbeam_nr_exports;			/* that have memory, listed or not */

/*
 * An operator may have kept an id from before the module was reloaded, to release that export by hand: it must not be
 * that of another now. So they begin anywhere, though below 2^52: what reads JSON may keep a number as a double.
 */
void __init vmbeam_export_init(void)
{
	vmbeam_last_id = get_random_u64() >> 12;
}

struct vmbeam_export *vmbeam_export_new(domid_t domid)
{
	struct vmbeam_export *e;

	mutex_lock(&vmbeam_exports_lock);
	if (vmbeam_nr_exports == VMBEAM_MAX_EXPORTS) {
		mutex_unlock(&vmbeam_exports_lock);
		return ERR_PTR(-ENOSPC);
	}
	vmbeam_nr_exports++;
	mutex_unlock(&vmbeam_exports_lock);

	e = kvzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	mutex_lock(&vmbeam_exports_lock);
	if (e)
		e->id = ++vmbeam_last_id;
	else
		vmbeam_nr_exports--;
	mutex_unlock(&vmbeam_exports_lock);
	if (!e)
		return ERR_PTR(-ENOMEM);

	kref_init(&e->refs);
	INIT_LIST_HEAD(&e->node);
	mutex_init(&e->lock);
	e->domid = domid;
	e->state = VMBEAM_EXPORT_FILLING;
	vmbeam_frames_init(e);
	return e;
}

static void vmbeam_export_free(struct kref *refs)
{
	struct vmbeam_export *e = container_of(refs, struct vmbeam_export, refs);

	WARN_ON(e->state || !list_empty(&e->node));
	mutex_destroy(&e->lock);
	kvfree(e);
	mutex_lock(&vmbeam_exports_lock);
	vmbeam_nr_exports--;
	mutex_unlock(&vmbeam_exports_lock);
}

void vmbeam_export_put(struct vmbeam_export *e)
{
	kref_put(&e->refs, vmbeam_export_free);
}

/* Two CREATEs may come here in the other order than they got their ids. */
void vmbeam_export_enlist(struct vmbeam_export *e)
{
	struct vmbeam_export *before;

	mutex_lock(&vmbeam_exports_lock);
	list_for_each_entry_reverse(before, &vmbeam_exports, node)
		if (before->id < e->id)
			break;
	/* With none before it, this is the head of the list. */
	list_add(&e->node, &before->node);
	mutex_unlock(&vmbeam_exports_lock);
}

/* The export becomes the module's; its lock is held. The caller's file holds the module already. */
void vmbeam_export_own(struct vmbeam_export *e)
{
	kref_get(&e->refs);
	__module_get(THIS_MODULE);
	WRITE_ONCE(e->state, VMBEAM_EXPORT_ARMED);
	trace_vmbeam_export_arm(e->id, e->nr_frames);
}

/* Unpin everything and take the export off the list; its lock is held, and the caller has a reference. */
void vmbeam_export_end(struct vmbeam_export *e)
{
	bool armed = e->state == VMBEAM_EXPORT_ARMED;

	trace_vmbeam_export_release(e->id, e->nr_frames, armed);
	/* Under the list's lock: what is on the list has a state that the ABI knows. */
	mutex_lock(&vmbeam_exports_lock);
	WRITE_ONCE(e->state, 0);
	list_del_init(&e->node);
	mutex_unlock(&vmbeam_exports_lock);

	vmbeam_frames_clear(e);
	vmbeam_extents_put(e->extents);
	e->extents = NULL;

	/* What arming took. The caller's file still holds one of each. */
	if (armed) {
		vmbeam_export_put(e);
		module_put(THIS_MODULE);
	}
}

/*
 * An armed export, by id, with a reference for the caller. What is listed and armed has the module's reference, and
 * stays armed until it is released.
 */
struct vmbeam_export *vmbeam_export_find(u64 id)
{
	struct vmbeam_export *e, *found = ERR_PTR(-ENOENT);

	mutex_lock(&vmbeam_exports_lock);
	list_for_each_entry(e, &vmbeam_exports, node) {
		if (e->id != id)
			continue;
		if (READ_ONCE(e->state) == VMBEAM_EXPORT_ARMED) {
			kref_get(&e->refs);
			found = e;
		} else {
			found = ERR_PTR(-EBADFD);
		}
		break;
	}
	mutex_unlock(&vmbeam_exports_lock);
	return found;
}

/*
 * Without the export's lock, which a long ADD may hold: each number is right, of some moment.
 *
 * Return: false if it was released
 */
bool vmbeam_export_tell(const struct vmbeam_export *e, struct vmbeam_export_info *info)
{
	u32 state = READ_ONCE(e->state);

	if (!state)
		return false;
	info->id = e->id;
	info->domid = e->domid;
	info->state = state;
	info->nr_frames = READ_ONCE(e->nr_frames);
	info->nr_extents = READ_ONCE(e->nr_extents);
	info->pin_ns = READ_ONCE(e->pin_ns);
	return true;
}

/* VMBEAM_EXPORT_LIST */
long vmbeam_export_list(struct vmbeam_call *call, void *arg)
{
	struct vmbeam_export_info *infos = NULL;
	struct vmbeam_export_list *l = arg;
	struct vmbeam_export *e;
	u32 room = l->nr, nr = 0, i;
	long rc = 0;

	if (l->entry_size < VMBEAM_EXPORT_ENTRY)
		return -EINVAL;
	if (room > VMBEAM_MAX_EXPORTS || l->entry_size > PAGE_SIZE)
		return -E2BIG;
	if (room) {
		infos = kvcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			return -ENOMEM;
	}

	mutex_lock(&vmbeam_exports_lock);
	list_for_each_entry(e, &vmbeam_exports, node) {
		if (nr < room)
			vmbeam_export_tell(e, &infos[nr]);
		nr++;
	}
	mutex_unlock(&vmbeam_exports_lock);

	l->nr = nr;
	for (i = 0; i < min(nr, room) && !rc; i++)
		rc = vmbeam_ioctl_entry(l->exports, i, l->entry_size, &infos[i], sizeof(*infos));
	kvfree(infos);
	return rc;
}
