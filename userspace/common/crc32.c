// SPDX-License-Identifier: GPL-2.0
#include "crc32.h"

/* Bit by bit: it runs over 20 bytes of header and over short journal lines only. */
uint32_t vmbeam_crc32(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}
