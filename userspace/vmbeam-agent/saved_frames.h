/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_SAVED_FRAMES_H
#define VMBEAM_AGENT_SAVED_FRAMES_H

#include <stdint.h>
#include <stddef.h>

/* In the list: the pfn has no memory. */
#define NO_FRAME	UINT64_MAX

/*
 * The list that the save helper makes of a guest VM's frames when it has suspended: the frame of each pfn from 0 on, or
 * NO_FRAME (VMBEAM_FRAMES_FD, xen/tools/README.md). The helper has to look at each frame anyway, and doing so once more
 * would cost the guest VM as long again while it stands still.
 */

/* For a new save: the file that its helper is to write to, or -errno. It is closed with the list. */
int saved_frames_begin(void);
/* The save of @domid has ended well: the list is whole. */
void saved_frames_take(uint32_t domid);
/* There is no list any more: the guest VM may run, or has gone. */
void saved_frames_drop(void);
/* The list of @domid, of @nr pfns; NULL: there is none. It lives until the next of the three above. */
const uint64_t *saved_frames_get(uint32_t domid, size_t *nr);

#endif
