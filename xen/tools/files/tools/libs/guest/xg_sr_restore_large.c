/* SPDX-License-Identifier: LGPL-2.1-only */
#include <stdlib.h>

#include "xg_sr_common.h"
#include "xg_sr_restore_large.h"

#define ORDER       9U
#define RUN         (1U << ORDER)

/* Do RUN pfns from here on follow each other, from a multiple of RUN on? */
static bool is_run(const xen_pfn_t *pfns, unsigned int left)
{
    unsigned int i;

    if ( left < RUN || pfns[0] % RUN )
        return false;

    for ( i = 1; i < RUN; i++ )
        if ( pfns[i] != pfns[0] + i )
            return false;

    return true;
}

/* How many of these runs Xen has memory for in one piece; fills in mfns. */
static unsigned int populate_runs(struct xc_sr_context *ctx, unsigned int nr,
                                  xen_pfn_t *mfns)
{
    int done = nr ? xc_domain_populate_physmap(ctx->xch, ctx->domid, nr, ORDER,
                                               0, mfns) : 0;

    /* An error is not the end: single frames will do, or tell what is wrong. */
    return done < 0 ? 0 : done;
}

int xc_sr_restore_populate(struct xc_sr_context *ctx, unsigned int nr,
                           const xen_pfn_t *pfns, xen_pfn_t *mfns)
{
    xc_interface *xch = ctx->xch;
    /* Index of each run's first pfn, and of each pfn that is in none. */
    unsigned int *run_at = malloc(nr * sizeof(*run_at));
    unsigned int *small_at = malloc(nr * sizeof(*small_at));
    xen_pfn_t *some = malloc(nr * sizeof(*some));
    unsigned int i, j, nr_runs = 0, nr_small = 0, done;
    int rc = -1;

    if ( !run_at || !small_at || !some )
    {
        ERROR("Failed to allocate memory to populate %u pfns", nr);
        goto out;
    }

    for ( i = 0; i < nr; )
    {
        if ( ctx->restore.guest_type == DHDR_TYPE_X86_PV &&
             is_run(pfns + i, nr - i) )
        {
            some[nr_runs] = pfns[i];
            run_at[nr_runs++] = i;
            i += RUN;
        }
        else
            small_at[nr_small++] = i++;
    }

    done = populate_runs(ctx, nr_runs, some);
    for ( i = 0; i < done; i++ )
        for ( j = 0; j < RUN; j++ )
            mfns[run_at[i] + j] = some[i] + j;

    for ( ; i < nr_runs; i++ )
        for ( j = 0; j < RUN; j++ )
            small_at[nr_small++] = run_at[i] + j;

    DPRINTF("Populating %u pfns: %u of %u runs of %u in one piece", nr, done,
            nr_runs, RUN);

    for ( i = 0; i < nr_small; i++ )
        some[i] = pfns[small_at[i]];

    rc = nr_small ? xc_domain_populate_physmap_exact(xch, ctx->domid, nr_small,
                                                     0, 0, some) : 0;
    for ( i = 0; !rc && i < nr_small; i++ )
        mfns[small_at[i]] = some[i];

 out:
    free(some);
    free(small_at);
    free(run_at);

    return rc;
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
