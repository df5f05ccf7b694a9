/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The list of the domain's frames once it is suspended, pfn by pfn.  Whoever
 * moves them would have to read the P2M and the type of every frame again to
 * know as much, while the guest stands still.
 */
#include "xg_sr_save_keep_private.h"

int xc_sr_keep_flush_frames(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    struct xc_sr_keep *keep = ctx->save.keep;
    unsigned int nr = keep->nr_frames;

    keep->nr_frames = 0;
    if ( keep->frames_fd < 0 ||
         !write_exact(keep->frames_fd, keep->frames,
                      nr * sizeof(*keep->frames)) )
        return 0;

    /* Whoever was to use it can read the P2M, but must not take half a list. */
    PERROR("Failed to write the list of the frames of dom%u; there is none",
           ctx->domid);
    if ( ftruncate(keep->frames_fd, 0) )
    {
        PERROR("Failed to take back half a list of the frames of dom%u",
               ctx->domid);
        return -1;
    }
    keep->frames_fd = -1;

    return 0;
}

int xc_sr_keep_add_frame(struct xc_sr_context *ctx, xen_pfn_t mfn)
{
    struct xc_sr_keep *keep = ctx->save.keep;

    keep->frames[keep->nr_frames++] = mfn;

    return keep->nr_frames == FRAMES_BATCH ? xc_sr_keep_flush_frames(ctx) : 0;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * tab-width: 4
 * indent-tabs-mode: nil
 * End:
 */
