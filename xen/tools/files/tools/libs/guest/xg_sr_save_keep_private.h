/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the files of a save with the memory left in place know of each other.
 *
 *   xg_sr_save_keep.c           whether it is asked for, socket and list
 *   xg_sr_save_keep_announce.c  before the suspend: all frames, as XALLOC
 *   xg_sr_save_keep_set.c       after it: the frames that travel as content
 *   xg_sr_save_keep_p2m.c       the guest's P2M: its place, each pfn of it
 *   xg_sr_save_keep_frames.c    the list of its frames, for who moves them
 */

#ifndef XG_SR_SAVE_KEEP_PRIVATE_H
#define XG_SR_SAVE_KEEP_PRIVATE_H

#include "xg_sr_common_x86_pv.h"
#include "xg_sr_save_keep.h"

#ifdef VMBEAM_HOLD
#include "hold.h"
#else
static inline void hold_point(const char *name) {}
#endif

/* Pfns in one XALLOC record: the receiver populates them with one hypercall. */
#define ALLOC_BATCH 32768U

/* Entries of the list of frames that are written at a time. */
#define FRAMES_BATCH 1024U

/* Where the guest says its P2M is.  A change means that our view is stale. */
struct p2m_place
{
    uint64_t generation, cr3, vaddr, max_pfn;
};

struct xc_sr_keep
{
    int fd;

    /* The pfns that went out as XALLOC: the receiver has memory for them. */
    unsigned long *announced;
    unsigned long nr_announced;

    struct p2m_place place;

    /* The XALLOC record that is being filled. */
    uint64_t *alloc;
    unsigned int nr_alloc;

    /* The file that gets the list of frames, or -1; what is to be written. */
    int frames_fd;
    uint64_t frames[FRAMES_BATCH];
    unsigned int nr_frames;
};

/* xg_sr_save_keep_announce.c: one more pfn; the record that it is in. */
int xc_sr_keep_add_alloc(struct xc_sr_context *ctx, xen_pfn_t pfn);
int xc_sr_keep_flush_alloc(struct xc_sr_context *ctx);

/* xg_sr_save_keep_frames.c: the next pfn's frame, or INVALID_MFN; the rest. */
int xc_sr_keep_add_frame(struct xc_sr_context *ctx, xen_pfn_t mfn);
int xc_sr_keep_flush_frames(struct xc_sr_context *ctx);

/* xg_sr_save_keep_p2m.c */
void xc_sr_keep_read_place(const struct xc_sr_context *ctx,
                           struct p2m_place *place);
int xc_sr_keep_check_place(struct xc_sr_context *ctx);

/* Called for every pfn of the guest; mfn is INVALID_MFN or what the P2M has. */
typedef int (*xc_sr_keep_visit_fn)(struct xc_sr_context *ctx, xen_pfn_t pfn,
                                   xen_pfn_t mfn, xen_pfn_t type, void *data);

int xc_sr_keep_for_each_pfn(struct xc_sr_context *ctx,
                            xc_sr_keep_visit_fn visit, void *data);

#endif /* XG_SR_SAVE_KEEP_PRIVATE_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * tab-width: 4
 * indent-tabs-mode: nil
 * End:
 */
