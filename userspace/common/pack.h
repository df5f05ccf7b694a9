/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A piece of a save's stream as it crosses a line: with less bytes. What travels while the guest VM stands still are tables of
 * eight-byte entries, most of which are the one before and a constant more: pfns that are announced, page tables, the P2M.
 * So words of the same difference to the word before become a run, and zstd does the rest.
 */
#ifndef VMBEAM_PACK_H
#define VMBEAM_PACK_H

#include <stdint.h>

/*
 * *@out, to be freed, gets @data packed. 0; -ENOMEM; or -E2BIG: packed it would not be smaller, and goes as it is.
 */
int pack(const void *data, uint32_t len, uint8_t **out, uint32_t *out_len);

/*
 * The reverse: *@out, to be freed, gets @len bytes, which is what the sender says it packed. The sender is not trusted, and
 * @len is bounded by whoever calls. 0, -ENOMEM, or -EBADMSG: it is not @len bytes packed.
 */
int unpack(const void *data, uint32_t data_len, uint32_t len, uint8_t **out);

#endif
