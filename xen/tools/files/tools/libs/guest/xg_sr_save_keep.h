/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Saving a PV domain whose memory stays where it is.
 *
 * VMBEAM_HELPER_FD in the environment asks for it and names a socket to the
 * process that moves the memory.  The stream then says of most frames only
 * that they exist (XALLOC), and has content for those alone that hold machine
 * addresses or that the receiving toolstack reads or writes: the keep set.
 *
 *   running    every populated pfn goes out as XALLOC, then 'P' to the socket
 *   waiting    for 'G' from the socket
 *   suspended  the keep set goes out as content, and new pfns as XALLOC
 *
 * VMBEAM_FRAMES_FD names a file that gets, after the suspend, a uint64_t for
 * each pfn from 0 on: the frame behind it, or ~0 if it has no memory.
 *
 * Without the variable ctx->save.keep is NULL and none of this happens.
 */

#ifndef XG_SR_SAVE_KEEP_H
#define XG_SR_SAVE_KEEP_H

struct xc_sr_context;

/*
 * Sets ctx->save.keep if the environment asks for it.  An error if it asks
 * for what this cannot do: not PV, live, checkpointed, or no such socket or
 * file.
 */
int xc_sr_keep_open(struct xc_sr_context *ctx, bool hvm);

/* Before the suspend: announce every populated pfn, then wait for 'G'. */
int xc_sr_keep_announce(struct xc_sr_context *ctx);

/*
 * After the suspend: reduce 'pages', the bitmap of the pfns to send with
 * content, to the keep set.  Fails if the migration must be called off.
 */
int xc_sr_keep_select(struct xc_sr_context *ctx, unsigned long *pages);

/* After the content was sent: fails if part of it was not. */
int xc_sr_keep_finish(struct xc_sr_context *ctx);

void xc_sr_keep_close(struct xc_sr_context *ctx);

#endif /* XG_SR_SAVE_KEEP_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * tab-width: 4
 * indent-tabs-mode: nil
 * End:
 */
