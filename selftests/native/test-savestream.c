// SPDX-License-Identifier: GPL-2.0
/* The stream watcher, on a stream put together here: cut at every byte, in odd pieces, with lies in it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "savestream.h"

struct stream {
	uint8_t *v;
	size_t len;
	size_t libxc_at;	/* where libxc's part begins */
	size_t pages_at;	/* where the first PAGE_DATA record's header is */
};

FIXTURE(savestream) {
	struct stream st;
	struct savestream s;
};

static void put(struct stream *st, const void *data, size_t len)
{
	st->v = realloc(st->v, st->len + len);
	if (data)
		memcpy(st->v + st->len, data, len);
	else
		memset(st->v + st->len, 0x5a, len);
	st->len += len;
}

static void put32(struct stream *st, uint32_t v)
{
	v = htole32(v);
	put(st, &v, 4);
}

static void put32be(struct stream *st, uint32_t v)
{
	v = htobe32(v);
	put(st, &v, 4);
}

static void put64(struct stream *st, uint64_t v)
{
	v = htole64(v);
	put(st, &v, 8);
}

static void record(struct stream *st, uint32_t type, uint32_t len)
{
	put32(st, type);
	put32(st, len);
	put(st, NULL, (len + 7) & ~7U);
}

static void pages(struct stream *st, const uint64_t *words, uint32_t nr, uint32_t content)
{
	put32(st, 1);
	put32(st, 8 + nr * 8 + content * 4096);
	put32(st, nr);
	put32(st, 0);
	for (uint32_t i = 0; i < nr; i++)
		put64(st, words[i]);
	put(st, NULL, content * 4096);
}

#define TYPE(t) ((uint64_t)(t) << 60)

/* Announced: 0 to 9. Later with content: 2 (L1), 3 (pinned L4), 5 (plain); 20 is new, 21 broken, 22 not there. */
FIXTURE_SETUP(savestream)
{
	struct stream *st = &self->st;
	uint64_t announce[10];
	const uint64_t keep[] = { 2 | TYPE(1), 3 | TYPE(12), 5, 20 | TYPE(14), 21 | TYPE(13), 22 | TYPE(15) };

	memset(self, 0, sizeof(*self));
	put(st, "Xen saved domain, xl format\n \0 \r", 32);
	put32(st, 0x01020304);
	put32(st, 3);
	put32(st, 0);
	put32(st, 13);
	put(st, NULL, 13);
	put32be(st, 0x4c696278);
	put32be(st, 0x6c466d74);
	put32be(st, 2);
	put32be(st, 0);
	put32(st, 1);
	put32(st, 0);
	st->libxc_at = st->len;
	put64(st, ~0ULL);
	put32be(st, 0x58454e46);
	put32be(st, 3);
	put64(st, 0);
	put32(st, 1);
	put32(st, 12);
	put32(st, 4);
	put32(st, 20);
	record(st, 2, 8);
	record(st, 0x10, 0);
	st->pages_at = st->len;
	for (int i = 0; i < 10; i++)
		announce[i] = i | TYPE(14);
	pages(st, announce, 10, 0);
	record(st, 4, 13);
	pages(st, keep, 6, 3);
	record(st, 0x80000077, 3);
	record(st, 0, 0);
	record(st, 2, 21);
	record(st, 0, 0);
}

FIXTURE_TEARDOWN(savestream)
{
	savestream_clear(&self->s);
	free(self->st.v);
}

static int right(const struct savestream *s)
{
	return savestream_ended(s) && s->populated.nr == 11 && s->kept.nr == 3 && pfn_set_has(&s->kept, 2) &&
	       pfn_set_has(&s->kept, 3) && pfn_set_has(&s->kept, 5) && pfn_set_has(&s->populated, 20) &&
	       !pfn_set_has(&s->populated, 21) && !pfn_set_has(&s->populated, 22);
}

TEST_F(savestream, in_one_piece)
{
	struct vmbeam_extents e = { 0 };

	ASSERT_EQ(0, savestream_feed(&self->s, self->st.v, self->st.len)) TH_LOG("%s", self->s.error);
	EXPECT_EQ(1, right(&self->s));
	ASSERT_EQ(0, pfn_set_extents(&self->s.populated, &e));
	EXPECT_EQ(2, e.nr);
	EXPECT_EQ(10, e.v[0].nr);
	vmbeam_extents_free(&e);
}

TEST_F(savestream, in_odd_pieces)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 8, 9, 13, 47, 63, 64, 100, 4095, 4097 };

	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		for (size_t at = 0; at < self->st.len; at += sizes[k]) {
			size_t n = self->st.len - at < sizes[k] ? self->st.len - at : sizes[k];

			ASSERT_EQ(0, savestream_feed(&self->s, self->st.v + at, n));
		}
		ASSERT_EQ(1, right(&self->s));
		savestream_clear(&self->s);
	}
}

TEST_F(savestream, cut_at_every_byte)
{
	for (size_t cut = 0; cut < self->st.len; cut++) {
		uint8_t *copy = malloc(cut + 1);	/* of its own, for ASan to watch */

		memcpy(copy, self->st.v, cut);
		ASSERT_EQ(0, savestream_feed(&self->s, copy, cut));
		/* libxl's END is complete with its header, and ours is the last record: only the last byte ends it. */
		ASSERT_EQ(0, savestream_ended(&self->s));
		ASSERT_EQ(0, savestream_feed(&self->s, self->st.v + cut, self->st.len - cut));
		ASSERT_EQ(1, right(&self->s));
		free(copy);
		savestream_clear(&self->s);
	}
}

TEST_F(savestream, every_bit_of_the_heads_flipped)
{
	for (size_t bit = 0; bit < (self->st.pages_at + 100) * 8; bit++) {
		self->st.v[bit / 8] ^= 1 << bit % 8;
		savestream_feed(&self->s, self->st.v, self->st.len);
		self->st.v[bit / 8] ^= 1 << bit % 8;
		savestream_clear(&self->s);
	}
}

TEST_F(savestream, bytes_behind_the_end)
{
	ASSERT_EQ(0, savestream_feed(&self->s, self->st.v, self->st.len));
	EXPECT_EQ(-EBADMSG, savestream_feed(&self->s, "x", 1));
	EXPECT_EQ(-EBADMSG, savestream_feed(&self->s, "x", 1));
}

static int with(struct stream *st, size_t at, uint32_t value)
{
	struct savestream s = { 0 };
	uint32_t saved;
	int rc;

	value = htole32(value);
	memcpy(&saved, st->v + at, 4);
	memcpy(st->v + at, &value, 4);
	rc = savestream_feed(&s, st->v, st->len);
	memcpy(st->v + at, &saved, 4);
	savestream_clear(&s);
	return rc;
}

TEST_F(savestream, lies)
{
	size_t at = self->st.pages_at;

	EXPECT_EQ(-EBADMSG, with(&self->st, 0, 0));			/* not a savefile */
	EXPECT_EQ(-EBADMSG, with(&self->st, 44, 0xffffffff));		/* a huge configuration */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 4, 0xfffffff8));	/* a huge record */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 4, 4));		/* no room for the count */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 8, 0));		/* no pfns */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 8, 0xffffffff));	/* more than there is room for */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 8, 9));		/* less: the rest would be content */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 16, 0x04000000));	/* a pfn beyond the limit */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 20, 0x70000000));	/* an unknown type */
	EXPECT_EQ(-EBADMSG, with(&self->st, at + 20, 0));		/* content announced, none there */
}

/* What xen/tools/test/run.sh had the patched helper make of its made-up guest: libxc's part, put into the rest. */
TEST_F(savestream, of_the_patched_helper)
{
	const char *path = getenv("SAVED_STREAM");
	FILE *f = path ? fopen(path, "r") : NULL;
	static uint8_t data[1 << 20];
	struct stream st = { 0 };
	size_t n;

	if (!f)
		SKIP(return, "no stream: run xen/tools/test/run.sh first");
	put(&st, self->st.v, self->st.libxc_at);
	while ((n = fread(data, 1, sizeof(data), f)) > 0)
		put(&st, data, n);
	fclose(f);
	put64(&st, 0);	/* libxl's END */
	ASSERT_EQ(0, savestream_feed(&self->s, st.v, st.len)) TH_LOG("%s", self->s.error);
	free(st.v);
	EXPECT_EQ(1, savestream_ended(&self->s));
	EXPECT_EQ(2980, self->s.populated.nr);
	EXPECT_EQ(18, self->s.kept.nr);
	for (uint64_t pfn = 10; pfn < 16; pfn++)
		EXPECT_EQ(1, pfn_set_has(&self->s.kept, pfn));	/* P2M leaves */
	EXPECT_EQ(0, pfn_set_has(&self->s.populated, 100));	/* ballooned out */
}

/* Runs that begin and end anywhere in a word, beside what one pfn after the other comes to. */
TEST(extents_of_a_set)
{
	uint64_t bits[64];
	struct pfn_set set = { .bits = bits, .room = sizeof(bits) * 8 };
	uint32_t x = 1;

	for (int round = 0; round < 200; round++) {
		struct vmbeam_extents e = { 0 }, plain = { 0 };
		bool in = false;

		memset(bits, round == 0 ? 0xff : 0, sizeof(bits));
		for (uint64_t pfn = 0; round && pfn < set.room; pfn++) {
			x = x * 1664525 + 1013904223;
			/* On average as long as the round: alone, within a word, over several. */
			in = (x >> 8) % round ? in : !in;
			bits[pfn / 64] |= (uint64_t)in << pfn % 64;
		}
		for (uint64_t pfn = 0; pfn < set.room; pfn++)
			if (pfn_set_has(&set, pfn))
				ASSERT_EQ(0, vmbeam_extents_add(&plain, pfn, pfn, 1));
		ASSERT_EQ(0, pfn_set_extents(&set, &e));
		ASSERT_EQ(plain.nr, e.nr) TH_LOG("round %d", round);
		if (e.nr)
			EXPECT_EQ(0, memcmp(plain.v, e.v, e.nr * sizeof(*e.v))) TH_LOG("round %d", round);
		vmbeam_extents_free(&e);
		vmbeam_extents_free(&plain);
	}
}

TEST_HARNESS_MAIN
