/* SPDX-License-Identifier: GPL-2.0 */
/* A record of the disk writer: 512 bytes, checked by a sum over all before it. */
#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>
#include <stdint.h>

struct record {
	uint64_t seq;
	uint64_t fill[62];
	uint64_t sum;
};

static inline uint64_t record_sum(const struct record *r)
{
	const unsigned char *p = (const unsigned char *)r;
	uint64_t h = 0xcbf29ce484222325ULL;	/* FNV-1a */

	for (size_t i = 0; i < offsetof(struct record, sum); i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

static inline void record_make(struct record *r, uint64_t seq)
{
	r->seq = seq;
	for (int i = 0; i < 62; i++)
		r->fill[i] = (seq + i) * 0x9e3779b97f4a7c15ULL;
	r->sum = record_sum(r);
}

#endif
