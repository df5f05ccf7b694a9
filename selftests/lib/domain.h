/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bare HVM domains with HAP for tests: memory and no vCPU, so nothing ever runs in them.
 *
 * All functions return 0, or -1 with errno set, unless it says otherwise.
 */
#ifndef _SELFTESTS_DOMAIN_H
#define _SELFTESTS_DOMAIN_H

#include <stdint.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>

#define ORDER_4K 0
#define ORDER_2M 9

extern xc_interface *xch;

/* Opens the handles. Also destroys domains that an earlier test has left behind; not for concurrent tests. */
int domain_setup(void);
/* Destroys the domains that the test has made, and closes the handles. */
void domain_teardown(void);

/* @flags: XEN_DOMCTL_CDF_*; room for @max_frames frames of memory. */
int domain_create_flags(uint32_t *domid, uint32_t flags, uint64_t max_frames);
int domain_create(uint32_t *domid, uint64_t max_frames);
int domain_destroy(uint32_t domid);
/* What Xen tells of it; libxenctrl has no call for one domain that all its versions know. */
int domain_info(uint32_t domid, xc_domaininfo_t *info);
/*
 * The heap's free pages, once no domain is being given back any more; wants domain_setup(). Domains that are only made
 * and destroyed leave it larger or smaller by some dozen pages: Xen's own books.
 */
#define HEAP_SLACK 128
uint64_t domain_heap_free(void);
/* Fills frames [gfn, gfn + nr) with memory, in pieces of 2^order frames. */
int domain_populate(uint32_t domid, uint64_t gfn, uint64_t nr, unsigned int order);
/* Takes the memory of one frame away. */
int domain_punch(uint32_t domid, uint64_t gfn);
/*
 * Takes away what domain_populate() gave. Of a domain that lives the hypervisor takes memory as it is, while that of a
 * destroyed one is scrubbed by idle processors, nobody knows until when: in the way of whoever measures next.
 */
int domain_depopulate(uint32_t domid, uint64_t gfn, uint64_t nr, unsigned int order);

/* Lets domain @to map a frame, writable or not, by this reference. */
int domain_grant(uint32_t domid, uint32_t ref, uint32_t to, uint64_t gfn);

/* A mapping keeps its frames busy until it is gone. NULL on failure. */
void *domain_map(uint32_t domid, uint64_t gfn, uint64_t nr, int prot);
int domain_unmap(void *addr, uint64_t nr);

/*
 * The pattern of a frame is made of @seed and the number of the frame that it was written to first. domain_fill()
 * writes that of each frame; domain_wrong() tells how many of [gfn, gfn + nr) do not carry the pattern that
 * domain_fill(seed) wrote to [origin, origin + nr), or -1. Both unmap the frames again.
 */
int domain_fill(uint32_t domid, uint64_t gfn, uint64_t nr, uint64_t seed);
int64_t domain_wrong(uint32_t domid, uint64_t gfn, uint64_t nr, uint64_t seed, uint64_t origin);

/* Machine frames of [gfn, gfn + nr), by /dev/vmbeam_mfn. */
int domain_mfns(uint32_t domid, uint64_t gfn, uint64_t *mfns, uint32_t nr);

#endif /* _SELFTESTS_DOMAIN_H */
