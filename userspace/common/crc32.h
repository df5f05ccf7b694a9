/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRC-32 as in Ethernet and gzip (reflected 0xedb88320). Not called crc32: zlib, which libxenguest uses, has one of that
 * name, and ours would take its place.
 */
#ifndef VMBEAM_CRC32_H
#define VMBEAM_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t vmbeam_crc32(const void *data, size_t len);

#endif
