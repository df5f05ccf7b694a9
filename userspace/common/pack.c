// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "pack.h"

/* Fast: what repeats for long is gone by then. */
#define LEVEL		1
#define WORD		sizeof(uint64_t)
#define NR		sizeof(uint32_t)
/* A run's difference, and how many words have it. */
#define RUN		(WORD + 1)
#define MAX_COUNT	UINT8_MAX

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

static uint32_t get_nr(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, NR);
	return le32toh(v);
}

/* The most that so many bytes can become: each word a run of its own. */
static size_t runs_max(uint32_t len)
{
	return NR + len / WORD * RUN + len % WORD;
}

/*
 * What is compressed: the number of runs; the difference of each; the count of each; what is left behind the last whole word.
 * zstd alone, whose matches at this level end at the next byte that is not zero, takes more than ten times as long for a P2M.
 *
 * To @out, of runs_max() bytes; @counts has room for one of each word. Returns how many bytes it became.
 */
static size_t to_runs(const uint8_t *in, uint32_t len, uint8_t *counts, uint8_t *out)
{
	uint32_t words = len / WORD, nr = 0, head;
	uint64_t last = 0, difference = 0;

	for (uint32_t i = 0; i < words; i++) {
		uint64_t v = get_word(in + i * WORD);

		if (nr && v - last == difference && counts[nr - 1] < MAX_COUNT) {
			counts[nr - 1]++;
		} else {
			difference = v - last;
			put_word(out + NR + nr * WORD, difference);
			counts[nr++] = 1;
		}
		last = v;
	}
	head = htole32(nr);
	memcpy(out, &head, NR);
	out += NR + nr * WORD;
	memcpy(out, counts, nr);
	memcpy(out + nr, in + words * WORD, len % WORD);
	return NR + nr * RUN + len % WORD;
}

/* 0, or -EBADMSG: these are not the runs of @len bytes. */
static int from_runs(const uint8_t *in, size_t in_len, uint32_t len, uint8_t *out)
{
	uint32_t words = len / WORD, nr, i = 0;
	const uint8_t *counts;
	uint64_t last = 0;

	if (in_len < NR)
		return -EBADMSG;
	nr = get_nr(in);
	if (nr > words || in_len != NR + nr * RUN + len % WORD)
		return -EBADMSG;
	in += NR;
	counts = in + nr * WORD;
	for (uint32_t r = 0; r < nr; r++) {
		uint64_t difference = get_word(in + r * WORD);

		if (counts[r] > words - i)
			return -EBADMSG;
		for (uint32_t end = i + counts[r]; i < end; i++) {
			last += difference;
			put_word(out + i * WORD, last);
		}
	}
	memcpy(out + words * WORD, counts + nr, len % WORD);
	return i == words ? 0 : -EBADMSG;
}

int pack(const void *data, uint32_t len, uint8_t **out, uint32_t *out_len)
{
	uint8_t *runs = malloc(runs_max(len)), *counts = malloc(len / WORD ?: 1), *packed = malloc(len ?: 1);
	int rc = -ENOMEM;
	size_t n;

	if (!runs || !counts || !packed)
		goto out;
	n = to_runs(data, len, counts, runs);
	/* It has room for as much as there was: more is an error, and so of no use. */
	n = ZSTD_compress(packed, len, runs, n, LEVEL);
	rc = ZSTD_isError(n) || n >= len ? -E2BIG : 0;
	if (rc)
		goto out;
	*out = packed;
	*out_len = n;
	packed = NULL;
out:
	free(runs);
	free(counts);
	free(packed);
	return rc;
}

int unpack(const void *data, uint32_t data_len, uint32_t len, uint8_t **out)
{
	uint8_t *runs = malloc(runs_max(len)), *p = malloc(len ?: 1);
	int rc = -ENOMEM;
	size_t n;

	if (!runs || !p)
		goto out;
	n = ZSTD_decompress(runs, runs_max(len), data, data_len);
	rc = ZSTD_isError(n) ? -EBADMSG : from_runs(runs, n, len, p);
	if (rc)
		goto out;
	*out = p;
	p = NULL;
out:
	free(runs);
	free(p);
	return rc;
}
