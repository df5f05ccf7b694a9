/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches a migration stream pass by: xl's savefile header, libxl's stream, and libxc's stream inside it. It learns
 * which pfns the receiver populates, and which of them travel as content. Nothing is kept but two bitmaps; the bytes
 * may come in pieces of any size. The sender is not trusted.
 */
#ifndef VMBEAM_SAVESTREAM_H
#define VMBEAM_SAVESTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "vmbeam.h"

/* 256 GiB of guest VM; both bitmaps together are then 16 MiB. */
#define SAVESTREAM_MAX_PFN (1ULL << 26)

struct pfn_set {
	uint64_t *bits;
	uint64_t room;		/* in pfns */
	uint64_t nr;
};

enum savestream_state {
	SAVESTREAM_XL_HEADER,
	SAVESTREAM_LIBXL_HEADER,
	SAVESTREAM_LIBXL_RECORD,
	SAVESTREAM_LIBXC_IMAGE,
	SAVESTREAM_LIBXC_DOMAIN,
	SAVESTREAM_LIBXC_RECORD,
	SAVESTREAM_PAGES_HEADER,
	SAVESTREAM_PAGES_PFN,
	SAVESTREAM_END,
	SAVESTREAM_BAD,
};

/* All-zero is a fresh one. */
struct savestream {
	struct pfn_set populated, kept;
	enum savestream_state state;
	char error[160];	/* what was wrong, in SAVESTREAM_BAD */

	uint64_t offset;	/* bytes of the stream seen */
	uint8_t head[64];	/* the fixed-size thing that is being put together, and how much of it is there */
	size_t have;
	uint64_t skip;		/* bytes that do not matter, to the next thing */
	uint64_t rec_left;	/* PAGE_DATA: bytes of the record behind the pfns read so far, padding not counted */
	uint64_t rec_pad;
	uint32_t pfns_left;	/* PAGE_DATA: pfns still to come, and pages of content announced by those before */
	uint64_t pages;
};

void savestream_clear(struct savestream *s);
/* 0, -EBADMSG (see error), -ENOMEM. */
int savestream_feed(struct savestream *s, const void *data, size_t len);
/* Has the whole stream been seen, up to its last record? */
int savestream_ended(const struct savestream *s);

int pfn_set_has(const struct pfn_set *set, uint64_t pfn);
/* One more than the largest pfn in it; 0 if it is empty. */
uint64_t pfn_set_end(const struct pfn_set *set);
/* @out += the set, as extents whose gfn is the pfn. */
int pfn_set_extents(const struct pfn_set *set, struct vmbeam_extents *out);

#endif
