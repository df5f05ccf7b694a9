/* SPDX-License-Identifier: GPL-2.0 */
/* One machine with one PV domain, in a file that a helper's preloaded fake-xen.so and the test both map. */
#ifndef FAKE_XEN_H
#define FAKE_XEN_H

#define __XEN_TOOLS__ 1
#include <stdint.h>
#include <xenctrl.h>
#include <xenguest.h>
#include <xen/foreign/x86_64.h>

#define FRAMES		8192
#define M2P_FRAME	0	/* one 2 MiB chunk, as tools map it */
#define FIRST_FREE	1024
#define FAKE_DOMID	7
#define NONE		(~0UL)

struct fake {
	uint32_t hvm, suspended, next_free, grant_seeded;
	uint32_t large_left;		/* how many pieces of 2 MiB there are to be had */
	uint64_t shinfo;		/* mfn */
	uint32_t type[FRAMES];		/* XEN_DOMCTL_PFINFO_*, XTAB: not the domain's */
	uint32_t pins;
	uint32_t vcpu_set[2];
	vcpu_guest_context_x86_64_t vcpu[2];
	uint8_t ram[FRAMES][4096] __attribute__((aligned(4096)));
};

static inline uint64_t *fake_m2p(struct fake *f)
{
	return (uint64_t *)f->ram[M2P_FRAME];
}

#endif
