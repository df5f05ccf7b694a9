// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "pack.h"

/* The fastest of those that find long repetitions: of differences there is hardly anything else. */
#define LEVEL	1
#define WORD	sizeof(uint64_t)

static uint64_t get_word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, WORD);
	return le64toh(v);
}

static void put_word(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, WORD);
}

/* What is left behind the last whole word stays as it is. */
static void to_differences(const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint64_t last = 0;
	uint32_t i;

	for (i = 0; i + WORD <= len; i += WORD) {
		uint64_t v = get_word(in + i);

		put_word(out + i, v - last);
		last = v;
	}
	memcpy(out + i, in + i, len - i);
}

static void from_differences(uint8_t *p, uint32_t len)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i + WORD <= len; i += WORD) {
		last += get_word(p + i);
		put_word(p + i, last);
	}
}

int pack(const void *data, uint32_t len, uint8_t **out, uint32_t *out_len)
{
	uint8_t *differences = malloc(len ?: 1), *packed = malloc(len ?: 1);
	int rc = -ENOMEM;
	size_t n;

	if (!differences || !packed)
		goto out;
	to_differences(data, len, differences);
	/* It has room for as much as there was: more is an error, and so of no use. */
	n = ZSTD_compress(packed, len, differences, len, LEVEL);
	rc = ZSTD_isError(n) || n >= len ? -E2BIG : 0;
	if (rc)
		goto out;
	*out = packed;
	*out_len = n;
	packed = NULL;
out:
	free(differences);
	free(packed);
	return rc;
}

int unpack(const void *data, uint32_t data_len, uint32_t len, uint8_t **out)
{
	uint8_t *p = malloc(len ?: 1);

	if (!p)
		return -ENOMEM;
	if (ZSTD_decompress(p, len, data, data_len) != len) {
		free(p);
		return -EBADMSG;
	}
	from_differences(p, len);
	*out = p;
	return 0;
}
