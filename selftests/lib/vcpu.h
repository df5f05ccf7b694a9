/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU for a bare domain: flat 32-bit mode without paging, interrupts off, one program.
 *
 * Return 0, or -1 with errno set.
 */
#ifndef _SELFTESTS_VCPU_H
#define _SELFTESTS_VCPU_H

#include <stddef.h>
#include <stdint.h>

/*
 * Puts a program of at most a page into the frame and starts it there; @arg is in %esi. The vCPU may run on any CPU of
 * the host but the first, where in the lab nothing in guest mode may run.
 */
int vcpu_start(uint32_t domid, uint64_t gfn, const void *code, size_t size, uint32_t arg);

#endif /* _SELFTESTS_VCPU_H */
