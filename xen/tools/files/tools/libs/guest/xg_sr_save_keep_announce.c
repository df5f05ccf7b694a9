/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Before the suspend: what the receiver is to have memory for, and the wait for
 * leave to suspend the domain.
 */
#include <poll.h>
#include <sys/socket.h>

#include "xg_sr_save_keep_private.h"

/* How often the wait for 'G' looks whether it was interrupted. */
#define WAIT_MS 1000

int xc_sr_keep_flush_alloc(struct xc_sr_context *ctx)
{
    struct xc_sr_keep *keep = ctx->save.keep;
    struct xc_sr_rec_page_data_header hdr = { .count = keep->nr_alloc };
    struct xc_sr_record rec = {
        .type = REC_TYPE_PAGE_DATA,
        .length = sizeof(hdr),
        .data = &hdr,
    };

    if ( !keep->nr_alloc )
        return 0;

    keep->nr_alloc = 0;

    return write_split_record(ctx, &rec, keep->alloc,
                              hdr.count * sizeof(*keep->alloc));
}

int xc_sr_keep_add_alloc(struct xc_sr_context *ctx, xen_pfn_t pfn)
{
    struct xc_sr_keep *keep = ctx->save.keep;

    if ( keep->nr_alloc == ALLOC_BATCH && xc_sr_keep_flush_alloc(ctx) )
        return -1;

    keep->alloc[keep->nr_alloc++] =
        ((uint64_t)XEN_DOMCTL_PFINFO_XALLOC << 32) | pfn;
    set_bit(pfn, keep->announced);
    ++keep->nr_announced;

    return 0;
}

static int announce_pfn(struct xc_sr_context *ctx, xen_pfn_t pfn,
                        xen_pfn_t mfn, xen_pfn_t type, void *data)
{
    return page_type_to_populate(type) ? xc_sr_keep_add_alloc(ctx, pfn) : 0;
}

/*
 * On SIGTERM the helper replaces the stream's descriptor by a read-only one,
 * so that the next write fails.  Nothing is written during the wait: look.
 */
static bool interrupted(const struct xc_sr_context *ctx)
{
    int flags = fcntl(ctx->fd, F_GETFL);

    return flags < 0 || (flags & O_ACCMODE) == O_RDONLY;
}

static int wait_for_go(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    struct pollfd pfd = { .fd = ctx->save.keep->fd, .events = POLLIN };
    char byte = 'P';
    ssize_t len;
    int rc;

    if ( send(pfd.fd, &byte, 1, MSG_NOSIGNAL) != 1 )
    {
        PERROR("Nobody there to be told that dom%u is prepared", ctx->domid);
        return -1;
    }

    /* No limit of its own: how long to wait is for the other side to know. */
    do {
        if ( interrupted(ctx) )
        {
            ERROR("Interrupted before the suspend of dom%u; the domain was"
                  " not touched", ctx->domid);
            errno = EINTR;
            return -1;
        }

        rc = poll(&pfd, 1, WAIT_MS);
    } while ( rc == 0 || (rc < 0 && errno == EINTR) );

    if ( rc < 0 )
    {
        PERROR("Failed to wait for the word to suspend dom%u", ctx->domid);
        return -1;
    }

    len = recv(pfd.fd, &byte, 1, 0);
    if ( len < 0 )
    {
        PERROR("Failed to read the word to suspend dom%u", ctx->domid);
        return -1;
    }

    if ( len == 0 || byte != 'G' )
    {
        if ( len == 0 )
            ERROR("Called off before the suspend of dom%u: the other side has"
                  " gone; the domain was not touched", ctx->domid);
        else
            ERROR("Called off before the suspend of dom%u: got byte %#x where"
                  " 'G' was due; the domain was not touched",
                  ctx->domid, (unsigned char)byte);
        errno = ECANCELED;
        return -1;
    }

    return 0;
}

int xc_sr_keep_announce(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    struct xc_sr_keep *keep = ctx->save.keep;
    int rc;

    if ( !keep )
        return 0;

    /*
     * A guest that has its P2M as a tree rebuilds it while it suspends, and
     * says nothing of changes: its leaves may be others than the stream named.
     */
    if ( ctx->x86.pv.p2m_generation == ~0ULL )
    {
        ERROR("dom%u has no linear P2M list (Linux has it since 3.19), so"
              " changes of its P2M could not be seen", ctx->domid);
        errno = EOPNOTSUPP;
        return -1;
    }

    keep->announced = bitmap_alloc(ctx->save.p2m_size);
    if ( !keep->announced )
    {
        ERROR("Unable to allocate %lu bytes for the bitmap of announced pfns",
              bitmap_size(ctx->save.p2m_size));
        errno = ENOMEM;
        return -1;
    }

    /* The generation that counts is the one from before the P2M was mapped. */
    xc_sr_keep_read_place(ctx, &keep->place);
    keep->place.generation = ctx->x86.pv.p2m_generation;

    xc_set_progress_prefix(xch, "Announced frames");

    rc = xc_sr_keep_for_each_pfn(ctx, announce_pfn, NULL);
    if ( !rc )
        rc = xc_sr_keep_flush_alloc(ctx);

    xc_set_progress_prefix(xch, NULL);
    if ( rc )
        return rc;

    IPRINTF("Announced %lu frames of dom%u", keep->nr_announced, ctx->domid);

    /* Records are written without a buffer: the other side has them all. */
    hold_point("helper:prepare");
    rc = wait_for_go(ctx);
    if ( rc )
        return rc;
    hold_point("helper:suspend");

    return 0;
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
