// SPDX-License-Identifier: GPL-2.0
/* The status codes of both modules in words. */
#include "vmbeam.h"

const char *vmbeam_pair_status(uint8_t status)
{
	static const char *const names[] = {
		[VMBEAM_PAIR_SWAPPED] = "swapped",
		[VMBEAM_PAIR_EXCHANGED] = "contents exchanged",
		[VMBEAM_PAIR_BUSY] = "busy: someone else holds a reference",
		[VMBEAM_PAIR_TYPE] = "not plain RAM",
		[VMBEAM_PAIR_SPECIAL] = "a special page, or no valid machine frame",
		[VMBEAM_PAIR_OWNER] = "owned by another domain",
		[VMBEAM_PAIR_M2P] = "the hypervisor's M2P disagrees",
		[VMBEAM_PAIR_RANGE] = "beyond the domain's largest gfn",
		[VMBEAM_PAIR_DUPLICATE] = "given twice",
		[VMBEAM_PAIR_NOMEM] = "a superpage could not be split: the hypervisor is out of memory",
		[VMBEAM_PAIR_KEPT] = "excluded",
		[VMBEAM_PAIR_SKIPPED] = "never reached",
	};
	unsigned int code = status & VMBEAM_PAIR_MASK;

	return code < sizeof(names) / sizeof(names[0]) && names[code] ? names[code] : "unknown status";
}

const char *vmbeam_frame_status(uint8_t status)
{
	switch (status) {
	case VMBEAM_FRAME_PINNED: return "pinned";
	case VMBEAM_FRAME_FOREIGN: return "not a frame of this domain";
	case VMBEAM_FRAME_M2P: return "the M2P names another pfn";
	case VMBEAM_FRAME_DUPLICATE: return "given twice";
	}
	return "unknown status";
}
