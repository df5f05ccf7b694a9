/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_MEMORY_H
#define VMBEAM_MEMORY_H

#include <malloc.h>

/*
 * For a process that handles a stream in pieces of a MiB, while a guest VM stands still: what it frees it keeps for the next
 * piece. The kernel would have to clear each page anew, and in a PV management VM each fault goes through the hypervisor.
 */
static inline void memory_keep(void)
{
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

#endif
