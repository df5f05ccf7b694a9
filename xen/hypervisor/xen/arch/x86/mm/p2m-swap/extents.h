/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call's lists of extents, and a place in them.
 */
#ifndef ARCH_X86_MM_P2M_SWAP_EXTENTS_H
#define ARCH_X86_MM_P2M_SWAP_EXTENTS_H

#include "private.h"

/* Extents copied from the caller at a time. */
#define WINDOW          32U

/* A look at one of the caller's two lists of extents. */
struct extent_list {
    XEN_GUEST_HANDLE_64(xen_p2m_swap_extent_t) extents;
    unsigned int nr;
    unsigned int start, held;   /* of the window; 0 are held before the first */
    xen_p2m_swap_extent_t window[WINDOW];
};

/* A place in both lists. */
struct swap_place {
    unsigned int idx, off;      /* extent, and pair of it */
    unsigned int excluded;      /* extent: the first that is not passed yet */
    unsigned int excluded_to;   /* where the one before it ends, in extent idx */
};

struct swap_call {
    struct extent_list extents, excluded;
    struct swap_batch batch;
};

int p2m_swap_find_place(struct swap_call *c, const struct xen_p2m_swap *op,
                        struct swap_place *place);
int p2m_swap_fill_batch(struct swap_call *c, struct swap_place *place);

#endif /* ARCH_X86_MM_P2M_SWAP_EXTENTS_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
