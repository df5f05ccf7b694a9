/* SPDX-License-Identifier: GPL-2.0 */
/* CRC-32 as in Ethernet, gzip and zlib (reflected 0xedb88320); crc32("123456789") is 0xcbf43926. */
#ifndef VMBEAM_CRC32_H
#define VMBEAM_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32(const void *data, size_t len);

#endif
