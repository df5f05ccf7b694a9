/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_p2m_swap: swap the P2M entries of two HVM domains.
 *
 * The one definition of the hypercall's ABI: the Xen patch installs it as xen/include/public/p2m_swap.h and
 * kmod/host/ includes it as it is. It needs <public/memory.h>'s types (or Linux's <xen/interface/xen.h>) first.
 */
#ifndef __XEN_PUBLIC_P2M_SWAP_H__
#define __XEN_PUBLIC_P2M_SWAP_H__

/*
 * An out-of-tree sub-op: high in the 6 bits that MEMOP_CMD_MASK leaves, so that it does not meet Xen's own
 * numbers (28 is the last one used in 4.20).
 */
#define XENMEM_p2m_swap                     62

/* One run of pairs: (gfn_a + i) of domain A with (gfn_b + i) of domain B, for i in [0, nr). */
struct xen_p2m_swap_extent {
    uint64_aligned_t gfn_a;
    uint64_aligned_t gfn_b;
    uint32_t nr;                /* frames of 4 KiB; not zero */
    uint32_t pad;               /* must be zero */
};
typedef struct xen_p2m_swap_extent xen_p2m_swap_extent_t;
DEFINE_XEN_GUEST_HANDLE(xen_p2m_swap_extent_t);

/* For a pair that is busy, let the 4 KiB of contents change places; the frames stay where they are. */
#define XEN_P2M_SWAP_EXCHANGE               (1U << 0)

/*
 * Before anything else, ask the device models of both domains to drop the mappings that they only keep for later
 * (IOREQ_TYPE_INVALIDATE): frames are busy because of these. A domain's vCPUs send it on their way back into the domain,
 * so it takes effect a moment after the call, and only if the domain runs.
 */
#define XEN_P2M_SWAP_INVALIDATE             (1U << 1)

/* Bounds of one call; more is -E2BIG. */
#define XEN_P2M_SWAP_MAX_EXTENTS            4096U
#define XEN_P2M_SWAP_MAX_PAIRS              65536U

/*
 * Status of a pair: what was done to it (the first two), or why nothing was. A refusal carries the side that it
 * was found on. The order of the checks is that of the numbers below but for BUSY and DUPLICATE, which come last, and
 * RANGE, which comes first; A before B; the first one that fails is told.
 */
#define XEN_P2M_SWAP_ST_SWAPPED             0x00 /* the machine frames changed places */
#define XEN_P2M_SWAP_ST_EXCHANGED           0x01 /* the contents changed places, the frames did not */
#define XEN_P2M_SWAP_ST_BUSY                0x02 /* -EBUSY: someone else holds a reference to the frame */
#define XEN_P2M_SWAP_ST_TYPE                0x03 /* -EINVAL: not plain RAM (hole, MMIO, grant, log-dirty, ...) */
#define XEN_P2M_SWAP_ST_SPECIAL             0x04 /* -EINVAL: a special page, or no valid machine frame */
#define XEN_P2M_SWAP_ST_OWNER               0x05 /* -EINVAL: owned by another domain */
#define XEN_P2M_SWAP_ST_M2P                 0x06 /* -EINVAL: M2P and P2M disagree */
#define XEN_P2M_SWAP_ST_RANGE               0x07 /* -EINVAL: the gfn is beyond the domain's largest */
#define XEN_P2M_SWAP_ST_DUPLICATE           0x08 /* -EINVAL: the gfn occurs before in the same pause */
#define XEN_P2M_SWAP_ST_NOMEM               0x09 /* -ENOMEM: a superpage could not be split */
#define XEN_P2M_SWAP_ST_KEPT                0x0a /* excluded: each side has the contents that it had */
#define XEN_P2M_SWAP_ST_SKIPPED             0x0f /* never reached: the call failed before */
#define XEN_P2M_SWAP_ST_MASK                0x0f
#define XEN_P2M_SWAP_ST_SIDE_A              0x10
#define XEN_P2M_SWAP_ST_SIDE_B              0x20

#define XEN_P2M_SWAP_PAUSE_SHIFT            10
#define XEN_P2M_SWAP_PAUSES                 17

/*
 * HYPERVISOR_memory_op(XENMEM_p2m_swap, struct xen_p2m_swap *).
 *
 * Both domains are paused for some pairs at a time, and run in between; the hypervisor's parameter p2m-swap-pause
 * says how many. A bad pair does not stop the others. Pairs are dealt with in the order of the list. The continuation
 * lives in nr_done alone.
 *
 * Where 512 pairs are aligned to 2 MiB on both sides and both P2Ms map them by superpages, the superpages change
 * places and stay whole. A 1 GiB entry is split to 2 MiB ones for that. If any of these frames is busy, or refused
 * for another reason, both superpages are split and the pairs are taken one by one.
 *
 * Excluded pairs are named by extents of their own, in the same order. Each belongs to the first extent that it is
 * within, behind the one before it. Each side keeps the contents that it had at an excluded gfn. If the pair is part of a
 * superpage, the frames change places and the contents are exchanged, so that the superpage stays whole; otherwise
 * nothing is done with it.
 *
 * nr_extents may be 0. The domains are looked at before the lists, so an empty call tells what stands in their way.
 *
 * Returns 0 when every pair was looked at (their statuses say with what result), or
 *   -EPERM       the caller is not allowed to do this to these domains; with FLASK, -EACCES
 *   -ESRCH       there is no such domain, or it is dying
 *   -EINVAL      unknown flag; padding is not zero; an empty extent; gfn + nr overflows; an excluded extent is not
 *                within one of the extents, or comes too late; nr_done beyond the number of pairs; a domain is the
 *                caller or another control domain, or both are the same
 *   -E2BIG       more than XEN_P2M_SWAP_MAX_EXTENTS in either list, or XEN_P2M_SWAP_MAX_PAIRS, which may be found when
 *                as many are done
 *   -EOPNOTSUPP  the caller is not PV; a domain is not HVM with HAP; or it has IOMMU mappings, access to a device's
 *                memory or ports, altp2m, log-dirty, populate-on-demand entries, memory sharing or paging
 *   -ENOMEM      the hypervisor has no memory to keep its books in (16 KiB and 8 KiB)
 *   -EFAULT      a guest handle is bad. If it is that of the statuses, nr_done counts pairs whose status was not written:
 *                they are found out by swapping them back
 *   -ENOSYS      the hypervisor does not have the op
 * After an error nr_done, and the statuses below it, tell what was done. Statuses beyond are not written.
 *
 * The last four fields only grow: the caller sets them to zero.
 */
struct xen_p2m_swap {
    domid_t domid_a;            /* IN */
    domid_t domid_b;            /* IN */
    uint32_t flags;             /* IN: XEN_P2M_SWAP_* */
    uint32_t nr_extents;        /* IN */
    uint32_t nr_excluded;       /* IN */
    uint64_aligned_t nr_done;   /* IN: zero; OUT: pairs (of 4 KiB frames) looked at */
    XEN_GUEST_HANDLE_64(xen_p2m_swap_extent_t) extents;     /* IN: nr_extents of them */
    XEN_GUEST_HANDLE_64(uint8) status;                      /* OUT: one XEN_P2M_SWAP_ST_* per pair */
    XEN_GUEST_HANDLE_64(xen_p2m_swap_extent_t) excluded;    /* IN: nr_excluded of them */
    uint64_aligned_t nr_large;  /* OUT: pairs that changed places as part of a superpage, excluded ones among them */
    uint64_aligned_t max_pause_ns;                          /* OUT: the longest pause of both domains */
    uint32_t nr_flushes;        /* OUT: flushes of all TLBs */
    /*
     * OUT: pauses by length: the first counts those below 2^XEN_P2M_SWAP_PAUSE_SHIFT ns, each further one those that
     * are less than twice as long as the one before takes, the last all that are longer.
     */
    uint32_t pauses[XEN_P2M_SWAP_PAUSES];
};
typedef struct xen_p2m_swap xen_p2m_swap_t;
DEFINE_XEN_GUEST_HANDLE(xen_p2m_swap_t);

#endif /* __XEN_PUBLIC_P2M_SWAP_H__ */
