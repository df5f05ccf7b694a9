/* SPDX-License-Identifier: LGPL-2.1-only */
#include <assert.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "xg_sr_common_x86_pv.h"
#include "xg_sr_save_keep.h"

#ifdef VMBEAM_HOLD
#include "hold.h"
#else
static inline void hold_point(const char *name) {}
#endif

/* Pfns in one XALLOC record: the receiver populates them with one hypercall. */
#define ALLOC_BATCH 32768U

/* The most that XEN_DOMCTL_getpageframeinfo3 takes. */
#define TYPE_BATCH 1024U

/* How often the wait for 'G' looks whether it was interrupted. */
#define WAIT_MS 1000

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
};

static int open_fd(struct xc_sr_context *ctx, const char *text)
{
    xc_interface *xch = ctx->xch;
    struct stat st;
    char *end;
    long fd;

    errno = 0;
    fd = strtol(text, &end, 10);
    if ( *text < '0' || *text > '9' || *end || errno || fd > INT_MAX )
    {
        ERROR("VMBEAM_HELPER_FD: \"%s\" is not the number of a file"
              " descriptor", text);
        errno = EINVAL;
        return -1;
    }

    /* 0 and 1 are how libxl talks to us, 2 takes its error messages. */
    if ( fd <= 2 || fd == ctx->fd )
    {
        ERROR("VMBEAM_HELPER_FD: file descriptor %ld is in use for something"
              " else", fd);
        errno = EINVAL;
        return -1;
    }

    if ( fstat(fd, &st) )
    {
        PERROR("VMBEAM_HELPER_FD: file descriptor %ld was not passed on", fd);
        return -1;
    }

    if ( !S_ISSOCK(st.st_mode) )
    {
        ERROR("VMBEAM_HELPER_FD: file descriptor %ld is not a socket", fd);
        errno = ENOTSOCK;
        return -1;
    }

    return fd;
}

int xc_sr_keep_open(struct xc_sr_context *ctx, bool hvm)
{
    xc_interface *xch = ctx->xch;
    const char *text = getenv("VMBEAM_HELPER_FD"), *why = NULL;
    struct xc_sr_keep *keep;
    int fd;

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

    fd = open_fd(ctx, text);
    if ( fd < 0 )
        return -1;

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
    ctx->save.keep = keep;

    return 0;
}

void xc_sr_keep_close(struct xc_sr_context *ctx)
{
    struct xc_sr_keep *keep = ctx->save.keep;

    if ( !keep )
        return;

    /* The socket was not opened here and goes with the process. */
    free(keep->announced);
    free(keep->alloc);
    free(keep);
    ctx->save.keep = NULL;
}

static void read_place(const struct xc_sr_context *ctx, struct p2m_place *place)
{
    const shared_info_any_t *shinfo = ctx->x86.pv.shinfo;
    unsigned int width = ctx->x86.pv.width;

    place->generation = GET_FIELD(shinfo, arch.p2m_generation, width);
    place->cr3        = GET_FIELD(shinfo, arch.p2m_cr3, width);
    place->vaddr      = GET_FIELD(shinfo, arch.p2m_vaddr, width);
    place->max_pfn    = GET_FIELD(shinfo, arch.max_pfn, width);
}

static int flush_alloc(struct xc_sr_context *ctx)
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

static int add_alloc(struct xc_sr_context *ctx, xen_pfn_t pfn)
{
    struct xc_sr_keep *keep = ctx->save.keep;

    if ( keep->nr_alloc == ALLOC_BATCH && flush_alloc(ctx) )
        return -1;

    keep->alloc[keep->nr_alloc++] =
        ((uint64_t)XEN_DOMCTL_PFINFO_XALLOC << 32) | pfn;
    set_bit(pfn, keep->announced);
    ++keep->nr_announced;

    return 0;
}

/* Called for every pfn of the guest; mfn is INVALID_MFN or what the P2M has. */
typedef int (*visit_fn)(struct xc_sr_context *ctx, xen_pfn_t pfn,
                        xen_pfn_t mfn, xen_pfn_t type, void *data);

static int for_each_pfn(struct xc_sr_context *ctx, visit_fn visit, void *data)
{
    xc_interface *xch = ctx->xch;
    xen_pfn_t mfns[TYPE_BATCH], types[TYPE_BATCH], pfn;
    unsigned int i, nr;
    int rc;

    for ( pfn = 0; pfn < ctx->save.p2m_size; pfn += nr )
    {
        nr = min_t(unsigned long, TYPE_BATCH, ctx->save.p2m_size - pfn);

        for ( i = 0; i < nr; ++i )
            types[i] = mfns[i] = ctx->save.ops.pfn_to_gfn(ctx, pfn + i);

        if ( xc_get_pfn_type_batch(xch, ctx->domid, nr, types) )
        {
            PERROR("Failed to get the types of pfns %#"PRIpfn" to %#"PRIpfn
                   " of dom%u", pfn, pfn + nr - 1, ctx->domid);
            return -1;
        }

        for ( i = 0; i < nr; ++i )
        {
            if ( !is_known_page_type(types[i]) )
            {
                ERROR("Unknown type %#"PRIpfn" for pfn %#"PRIpfn
                      " (mfn %#"PRIpfn") of dom%u",
                      types[i], pfn + i, mfns[i], ctx->domid);
                errno = EINVAL;
                return -1;
            }

            rc = visit(ctx, pfn + i, mfns[i], types[i], data);
            if ( rc )
                return rc;
        }
    }

    return 0;
}

static int announce_pfn(struct xc_sr_context *ctx, xen_pfn_t pfn,
                        xen_pfn_t mfn, xen_pfn_t type, void *data)
{
    return page_type_to_populate(type) ? add_alloc(ctx, pfn) : 0;
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
    read_place(ctx, &keep->place);
    keep->place.generation = ctx->x86.pv.p2m_generation;

    xc_set_progress_prefix(xch, "Announced frames");

    rc = for_each_pfn(ctx, announce_pfn, NULL);
    if ( !rc )
        rc = flush_alloc(ctx);

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

static int check_place(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    const struct p2m_place *old = &ctx->save.keep->place;
    struct p2m_place new;

    read_place(ctx, &new);

    if ( new.generation != old->generation )
        ERROR("Called off: dom%u has changed the layout of its P2M since the"
              " save began (p2m_generation %"PRIu64" is now %"PRIu64");"
              " try again", ctx->domid, old->generation, new.generation);
    else if ( new.cr3 != old->cr3 || new.vaddr != old->vaddr ||
              new.max_pfn != old->max_pfn )
        ERROR("Called off: dom%u has moved its P2M since the save began"
              " (cr3 %#"PRIx64" vaddr %#"PRIx64" max_pfn %#"PRIx64" is now"
              " cr3 %#"PRIx64" vaddr %#"PRIx64" max_pfn %#"PRIx64");"
              " try again", ctx->domid, old->cr3, old->vaddr, old->max_pfn,
              new.cr3, new.vaddr, new.max_pfn);
    else
        return 0;

    errno = ECANCELED;
    return -1;
}

static int keep_pfn(struct xc_sr_context *ctx, unsigned long *pages,
                    xen_pfn_t pfn, const char *what)
{
    xc_interface *xch = ctx->xch;

    if ( pfn > ctx->x86.pv.max_pfn )
    {
        ERROR("Called off: %s of dom%u is at %#"PRIpfn", beyond its last pfn"
              " %#"PRIpfn, what, ctx->domid, pfn, ctx->x86.pv.max_pfn);
        errno = ERANGE;
        return -1;
    }

    set_bit(pfn, pages);

    return 0;
}

static int keep_mfn(struct xc_sr_context *ctx, unsigned long *pages,
                    xen_pfn_t mfn, const char *what)
{
    xc_interface *xch = ctx->xch;

    if ( !mfn_in_pseudophysmap(ctx, mfn) )
    {
        ERROR("Called off: %s of dom%u is not one of its frames",
              what, ctx->domid);
        dump_bad_pseudophysmap_entry(ctx, mfn);
        errno = ERANGE;
        return -1;
    }

    return keep_pfn(ctx, pages, mfn_to_pfn(ctx, mfn), what);
}

/*
 * The receiver writes into start_info, and hands the two rings that it names
 * to xenstored and xenconsoled.  A running guest has mfns there, and turns
 * them into pfns just before it suspends (and only then is this called).
 */
static int keep_start_info(struct xc_sr_context *ctx, unsigned long *pages,
                           xen_pfn_t mfn)
{
    xc_interface *xch = ctx->xch;
    start_info_any_t *info;
    xen_pfn_t store, console;

    if ( keep_mfn(ctx, pages, mfn, "the start_info page") )
        return -1;

    info = xc_map_foreign_range(xch, ctx->domid, PAGE_SIZE, PROT_READ, mfn);
    if ( !info )
    {
        PERROR("Failed to map the start_info page of dom%u, mfn %#"PRIpfn,
               ctx->domid, mfn);
        return -1;
    }

    store   = GET_FIELD(info, store_mfn, ctx->x86.pv.width);
    console = GET_FIELD(info, console.domU.mfn, ctx->x86.pv.width);
    munmap(info, PAGE_SIZE);

    if ( keep_pfn(ctx, pages, store, "the xenstore ring") ||
         keep_pfn(ctx, pages, console, "the console ring") )
        return -1;

    return 0;
}

/*
 * The receiver's Xen reads the GDT when it takes a vCPU's state.  A vCPU that
 * is offline does not go into the stream, but on this side it still has a GDT.
 */
static int keep_vcpu(struct xc_sr_context *ctx, unsigned long *pages,
                     unsigned int id)
{
    xc_interface *xch = ctx->xch;
    vcpu_guest_context_any_t vcpu;
    xc_vcpuinfo_t vinfo;
    unsigned int i, nr;
    xen_pfn_t mfn;

    if ( xc_vcpu_getinfo(xch, ctx->domid, id, &vinfo) )
    {
        PERROR("Failed to get information on vcpu%u of dom%u", id, ctx->domid);
        return -1;
    }

    if ( xc_vcpu_getcontext(xch, ctx->domid, id, &vcpu) )
    {
        if ( !vinfo.online )
            return 0;

        PERROR("Failed to get the context of vcpu%u of dom%u", id, ctx->domid);
        return -1;
    }

    if ( id == 0 && keep_start_info(ctx, pages,
                                    GET_FIELD(&vcpu, user_regs.edx,
                                              ctx->x86.pv.width)) )
        return -1;

    nr = GET_FIELD(&vcpu, gdt_ents, ctx->x86.pv.width);
    if ( nr > FIRST_RESERVED_GDT_ENTRY )
    {
        ERROR("vcpu%u of dom%u has %u GDT entries, more than %u",
              id, ctx->domid, nr, FIRST_RESERVED_GDT_ENTRY);
        errno = ERANGE;
        return -1;
    }
    nr = (nr + 511) / 512; /* Now in units of frames. */

    for ( i = 0; i < nr; ++i )
    {
        mfn = GET_FIELD(&vcpu, gdt_frames[i], ctx->x86.pv.width);

        if ( !vinfo.online && !mfn_in_pseudophysmap(ctx, mfn) )
            continue;

        if ( keep_mfn(ctx, pages, mfn, "a GDT frame") )
            return -1;
    }

    return 0;
}

struct selection
{
    unsigned long *pages;
    unsigned long nr_kept, nr_tables, nr_alias, nr_new, nr_gone;
};

static int select_pfn(struct xc_sr_context *ctx, xen_pfn_t pfn,
                      xen_pfn_t mfn, xen_pfn_t type, void *data)
{
    xc_interface *xch = ctx->xch;
    struct selection *s = data;
    bool announced = test_bit(pfn, ctx->save.keep->announced);

    if ( !page_type_to_populate(type) )
    {
        if ( test_bit(pfn, s->pages) )
        {
            ERROR("Called off: pfn %#"PRIpfn" of dom%u must travel, but has"
                  " no memory (type %#"PRIpfn", mfn %#"PRIpfn")",
                  pfn, ctx->domid, type, mfn);
            errno = ECANCELED;
            return -1;
        }

        /* The stream has no way to take memory back. Say so for the first. */
        if ( announced && s->nr_gone++ == 0 )
            ERROR("Called off: pfn %#"PRIpfn" of dom%u had memory before the"
                  " suspend and has none now (type %#"PRIpfn")",
                  pfn, ctx->domid, type);
        return 0;
    }

    if ( type & XEN_DOMCTL_PFINFO_LTABTYPE_MASK )
    {
        ++s->nr_tables;
        set_bit(pfn, s->pages);
    }
    else if ( !mfn_in_pseudophysmap(ctx, mfn) || mfn_to_pfn(ctx, mfn) != pfn )
    {
        /*
         * Xen's M2P names another pfn for this frame (a guest may alias its
         * frames): who goes by frames cannot move it under this pfn.
         */
        ++s->nr_alias;
        set_bit(pfn, s->pages);
    }

    if ( test_bit(pfn, s->pages) )
    {
        ++s->nr_kept;
        return 0;
    }

    if ( announced )
        return 0;

    ++s->nr_new;
    return add_alloc(ctx, pfn);
}

int xc_sr_keep_select(struct xc_sr_context *ctx, unsigned long *pages)
{
    xc_interface *xch = ctx->xch;
    struct selection s = { .pages = pages };
    unsigned int i;

    if ( !ctx->save.keep )
        return 0;

    hold_point("helper:state");

    if ( check_place(ctx) )
        return -1;

    bitmap_clear(pages, ctx->save.p2m_size);

    for ( i = 0; i <= ctx->dominfo.max_vcpu_id; ++i )
        if ( keep_vcpu(ctx, pages, i) )
            return -1;

    /* The receiver overwrites every P2M leaf that P2M_FRAMES named. */
    for ( i = 0; i < ctx->x86.pv.p2m_frames; ++i )
        if ( keep_pfn(ctx, pages, ctx->x86.pv.p2m_pfns[i], "a P2M leaf") )
            return -1;

    if ( for_each_pfn(ctx, select_pfn, &s) || flush_alloc(ctx) )
        return -1;

    if ( s.nr_gone )
    {
        ERROR("Called off: %lu frames of dom%u went away while it was being"
              " prepared; keep its balloon still and try again",
              s.nr_gone, ctx->domid);
        errno = ECANCELED;
        return -1;
    }

    IPRINTF("Keep set of dom%u: %lu frames, %lu of them page tables and %lu"
            " with two pfns; %lu pfns are new since the announcement",
            ctx->domid, s.nr_kept, s.nr_tables, s.nr_alias, s.nr_new);

    return 0;
}

/*
 * A page table with an entry that cannot be translated is put off, as in the
 * rounds of a live save, when no one but the guest has paused the domain.  A
 * non-live save has no later round.  The receiver would have the pfn without
 * its content, and the table would be taken for a frame that can be moved.
 */
int xc_sr_keep_finish(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    xen_pfn_t pfn;

    if ( !ctx->save.keep || !ctx->save.nr_deferred_pages )
        return 0;

    for ( pfn = 0; pfn < ctx->save.p2m_size; ++pfn )
        if ( test_bit(pfn, ctx->save.deferred_pages) )
            break;

    ERROR("Called off: %lu page tables of dom%u, the first at pfn %#"PRIpfn
          ", map frames that are not the guest's own",
          ctx->save.nr_deferred_pages, ctx->domid, pfn);
    errno = ECANCELED;
    return -1;
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
