/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* The ioctl of /dev/vmbeam_mfn, for tests: which machine frame is behind a frame of an HVM domain? */
#ifndef _VMBEAM_MFN_H
#define _VMBEAM_MFN_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct vmbeam_mfn_query - VMBEAM_MFN_QUERY
 * @size: sizeof(struct vmbeam_mfn_query)
 * @flags: must be 0
 * @domid: the domain
 * @nr: frames; 1 to VMBEAM_MFN_MAX
 * @gfns: user pointer to @nr of __u64
 * @mfns: user pointer to @nr of __u64, VMBEAM_MFN_NONE where the frame cannot be mapped
 */
struct vmbeam_mfn_query {
	__u32 size;
	__u32 flags;
	__u32 domid;
	__u32 nr;
	__aligned_u64 gfns;
	__aligned_u64 mfns;
};

#define VMBEAM_MFN_QUERY	_IO(0xBE, 0x40)
#define VMBEAM_MFN_MAX		65536
#define VMBEAM_MFN_NONE		(~0ULL)

#endif /* _VMBEAM_MFN_H */
