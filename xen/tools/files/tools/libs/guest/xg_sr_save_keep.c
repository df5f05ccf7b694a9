/* SPDX-License-Identifier: LGPL-2.1-only */
#include <sys/stat.h>

#include "xg_sr_save_keep_private.h"

/* The descriptor that variable 'name' gives; -1: what it says is wrong. */
static int open_fd(struct xc_sr_context *ctx, const char *name,
                   const char *text, mode_t type, const char *called)
{
    xc_interface *xch = ctx->xch;
    struct stat st;
    char *end;
    long fd;

    errno = 0;
    fd = strtol(text, &end, 10);
    if ( *text < '0' || *text > '9' || *end || errno || fd > INT_MAX )
    {
        ERROR("%s: \"%s\" is not the number of a file descriptor", name, text);
        errno = EINVAL;
        return -1;
    }

    /* 0 and 1 are how libxl talks to us, 2 takes its error messages. */
    if ( fd <= 2 || fd == ctx->fd )
    {
        ERROR("%s: file descriptor %ld is in use for something else", name, fd);
        errno = EINVAL;
        return -1;
    }

    if ( fstat(fd, &st) )
    {
        PERROR("%s: file descriptor %ld was not passed on", name, fd);
        return -1;
    }

    if ( (st.st_mode & S_IFMT) != type )
    {
        ERROR("%s: file descriptor %ld is not a %s", name, fd, called);
        errno = EINVAL;
        return -1;
    }

    return fd;
}

int xc_sr_keep_open(struct xc_sr_context *ctx, bool hvm)
{
    xc_interface *xch = ctx->xch;
    const char *text = getenv("VMBEAM_HELPER_FD"), *why = NULL;
    const char *frames = getenv("VMBEAM_FRAMES_FD");
    struct xc_sr_keep *keep;
    int fd, frames_fd = -1;

    ctx->save.keep = NULL;
    if ( !text )
        return 0;

    if ( hvm )
        why = "it is not a PV domain";
    else if ( ctx->save.live )
        why = "a live save was asked for";
    else if ( ctx->stream_type != XC_STREAM_PLAIN )
        why = "a checkpointed stream was asked for";

    if ( why )
    {
        ERROR("dom%u cannot be saved with its memory left in place: %s"
              " (VMBEAM_HELPER_FD is set)", ctx->domid, why);
        errno = EOPNOTSUPP;
        return -1;
    }

    fd = open_fd(ctx, "VMBEAM_HELPER_FD", text, S_IFSOCK, "socket");
    if ( fd < 0 )
        return -1;

    if ( frames )
    {
        frames_fd = open_fd(ctx, "VMBEAM_FRAMES_FD", frames, S_IFREG, "file");
        if ( frames_fd < 0 )
            return -1;
    }

    keep = calloc(1, sizeof(*keep));
    if ( keep )
        keep->alloc = malloc(ALLOC_BATCH * sizeof(*keep->alloc));
    if ( !keep || !keep->alloc )
    {
        free(keep);
        ERROR("Unable to allocate %zu bytes for the list of pfns",
              ALLOC_BATCH * sizeof(*keep->alloc));
        errno = ENOMEM;
        return -1;
    }

    keep->fd = fd;
    keep->frames_fd = frames_fd;
    ctx->save.keep = keep;

    return 0;
}

void xc_sr_keep_close(struct xc_sr_context *ctx)
{
    struct xc_sr_keep *keep = ctx->save.keep;

    if ( !keep )
        return;

    /* The descriptors were not opened here and go with the process. */
    free(keep->announced);
    free(keep->alloc);
    free(keep);
    ctx->save.keep = NULL;
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
