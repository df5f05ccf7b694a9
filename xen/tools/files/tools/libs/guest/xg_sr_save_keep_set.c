/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The keep set: after the suspend, what travels as content, and that it did.
 */
#include "xg_sr_save_keep_private.h"

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
    bool populated = page_type_to_populate(type);

    if ( xc_sr_keep_add_frame(ctx, populated ? mfn : INVALID_MFN) )
        return -1;

    if ( !populated )
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
    else if ( mfn > ctx->x86.pv.max_mfn || mfn_to_pfn(ctx, mfn) != pfn )
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
    return xc_sr_keep_add_alloc(ctx, pfn);
}

int xc_sr_keep_select(struct xc_sr_context *ctx, unsigned long *pages)
{
    xc_interface *xch = ctx->xch;
    struct selection s = { .pages = pages };
    unsigned int i;

    if ( !ctx->save.keep )
        return 0;

    hold_point("helper:state");

    if ( xc_sr_keep_check_place(ctx) )
        return -1;

    bitmap_clear(pages, ctx->save.p2m_size);

    for ( i = 0; i <= ctx->dominfo.max_vcpu_id; ++i )
        if ( keep_vcpu(ctx, pages, i) )
            return -1;

    /* The receiver overwrites every P2M leaf that P2M_FRAMES named. */
    for ( i = 0; i < ctx->x86.pv.p2m_frames; ++i )
        if ( keep_pfn(ctx, pages, ctx->x86.pv.p2m_pfns[i], "a P2M leaf") )
            return -1;

    if ( xc_sr_keep_for_each_pfn(ctx, select_pfn, &s) )
        return -1;

    /*
     * Who reads the first record takes the save for agreed to.  Only a guest
     * that was given more than ALLOC_BATCH pfns meanwhile has sent one by now.
     */
    if ( s.nr_gone )
    {
        ERROR("Called off: %lu frames of dom%u went away while it was being"
              " prepared; keep its balloon still and try again",
              s.nr_gone, ctx->domid);
        errno = ECANCELED;
        return -1;
    }

    if ( xc_sr_keep_flush_alloc(ctx) || xc_sr_keep_flush_frames(ctx) )
        return -1;

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
