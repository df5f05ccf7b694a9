/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The guest's P2M: where it is, and each pfn of it.
 */
#include "xg_sr_save_keep_private.h"

/* The most that XEN_DOMCTL_getpageframeinfo3 takes. */
#define TYPE_BATCH 1024U

void xc_sr_keep_read_place(const struct xc_sr_context *ctx,
                           struct p2m_place *place)
{
    const shared_info_any_t *shinfo = ctx->x86.pv.shinfo;
    unsigned int width = ctx->x86.pv.width;

    place->generation = GET_FIELD(shinfo, arch.p2m_generation, width);
    place->cr3        = GET_FIELD(shinfo, arch.p2m_cr3, width);
    place->vaddr      = GET_FIELD(shinfo, arch.p2m_vaddr, width);
    place->max_pfn    = GET_FIELD(shinfo, arch.max_pfn, width);
}

int xc_sr_keep_check_place(struct xc_sr_context *ctx)
{
    xc_interface *xch = ctx->xch;
    const struct p2m_place *old = &ctx->save.keep->place;
    struct p2m_place new;

    xc_sr_keep_read_place(ctx, &new);

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

int xc_sr_keep_for_each_pfn(struct xc_sr_context *ctx,
                            xc_sr_keep_visit_fn visit, void *data)
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

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * tab-width: 4
 * indent-tabs-mode: nil
 * End:
 */
