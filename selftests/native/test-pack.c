// SPDX-License-Identifier: GPL-2.0
/* Pieces of a stream, packed and unpacked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "pack.h"
#include "kselftest_harness.h"

#define LEN (64 * 1024)

FIXTURE(pack) {
	uint8_t *data, *packed, *unpacked;
	uint32_t len;
};

FIXTURE_SETUP(pack)
{
	self->data = malloc(LEN);
	self->packed = NULL;
	self->unpacked = NULL;
}

static void again(FIXTURE_DATA(pack) *self)
{
	free(self->packed);
	free(self->unpacked);
	self->packed = NULL;
	self->unpacked = NULL;
}

FIXTURE_TEARDOWN(pack)
{
	again(self);
	free(self->data);
}

/* A page table of neighbours, @shift bytes behind the piece's beginning. */
static void tables(uint8_t *data, uint32_t shift)
{
	memset(data, 0xa5, LEN);
	for (uint64_t i = 0; shift + (i + 1) * 8 <= LEN; i++) {
		uint64_t entry = 0x8000000000000067 + (i << 12);

		memcpy(data + shift + i * 8, &entry, 8);
	}
}

static void there_and_back(struct __test_metadata *_metadata, FIXTURE_DATA(pack) *self, uint32_t len)
{
	ASSERT_EQ(0, pack(self->data, len, &self->packed, &self->len));
	ASSERT_GT(len, self->len);
	ASSERT_EQ(0, unpack(self->packed, self->len, len, &self->unpacked));
	EXPECT_EQ(0, memcmp(self->data, self->unpacked, len));
}

/* Wherever the stream was cut. */
TEST_F(pack, tables_are_small)
{
	for (uint32_t shift = 0; shift < 8; shift++) {
		tables(self->data, shift);
		there_and_back(_metadata, self, LEN);
		EXPECT_GT(LEN / 100, self->len) TH_LOG("%u bytes, cut at %u", self->len, shift);
		again(self);
	}
}

TEST_F(pack, any_length)
{
	tables(self->data, 3);
	for (uint32_t len = 100; len < 120; len++) {
		there_and_back(_metadata, self, len);
		again(self);
	}
}

/* Then it goes as it is. */
TEST_F(pack, what_does_not_get_smaller)
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < LEN; i++) {
		x = x * 1664525 + 1013904223;
		self->data[i] = x >> 24;
	}
	EXPECT_EQ(-E2BIG, pack(self->data, LEN, &self->packed, &self->len));
	EXPECT_EQ(-E2BIG, pack(self->data, 1, &self->packed, &self->len));
	EXPECT_EQ(-E2BIG, pack(self->data, 0, &self->packed, &self->len));
}

/* What zstd makes of @len bytes that no pack() made. */
static void by_hand(struct __test_metadata *_metadata, FIXTURE_DATA(pack) *self, const uint8_t *runs, uint32_t len)
{
	size_t n = ZSTD_compress(self->data, LEN, runs, len, 1);

	ASSERT_EQ(0, ZSTD_isError(n));
	self->len = n;
}

/* Two words of a run, one of another, and two bytes: the sender is not trusted. */
TEST_F(pack, runs_that_are_not_right)
{
	static const uint8_t good[] = {
		2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 2, 1, 7, 8,
	};
	static const uint8_t is[] = { 5, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 8 };
	static const struct {
		uint8_t at, value;
	} wrong[] = {
		{ 0, 1 }, { 0, 3 }, { 3, 1 }, { 3, 255 }, { 20, 1 }, { 20, 3 }, { 20, 255 }, { 21, 0 }, { 21, 2 },
	};
	uint8_t bad[sizeof(good)];

	by_hand(_metadata, self, good, sizeof(good));
	ASSERT_EQ(0, unpack(self->data, self->len, sizeof(is), &self->unpacked));
	EXPECT_EQ(0, memcmp(is, self->unpacked, sizeof(is)));
	again(self);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(bad, good, sizeof(good));
		bad[wrong[i].at] = wrong[i].value;
		by_hand(_metadata, self, bad, sizeof(bad));
		EXPECT_EQ(-EBADMSG, unpack(self->data, self->len, sizeof(is), &self->unpacked)) TH_LOG("case %zu", i);
		again(self);
	}
	/* Cut short, and one byte too many. */
	for (uint32_t len = 0; len < sizeof(good); len++) {
		by_hand(_metadata, self, good, len);
		EXPECT_EQ(-EBADMSG, unpack(self->data, self->len, sizeof(is), &self->unpacked)) TH_LOG("%u bytes", len);
		again(self);
	}
	by_hand(_metadata, self, good, sizeof(good));
	EXPECT_EQ(-EBADMSG, unpack(self->data, self->len, sizeof(is) - 1, &self->unpacked));
}

/* As long as a count can say, and longer. */
TEST_F(pack, runs_of_any_length)
{
	for (uint32_t words = 250; words < 260; words++) {
		for (uint32_t i = 0; i < 600; i++) {
			uint64_t word = i < words ? i : ~0ULL;

			memcpy(self->data + i * 8, &word, 8);
		}
		there_and_back(_metadata, self, 600 * 8);
		again(self);
	}
}

/* The sender is not trusted. */
TEST_F(pack, what_was_not_packed)
{
	tables(self->data, 0);
	EXPECT_EQ(-EBADMSG, unpack(self->data, LEN, LEN, &self->unpacked));
	EXPECT_EQ(-EBADMSG, unpack(self->data, 0, LEN, &self->unpacked));
	ASSERT_EQ(0, pack(self->data, LEN, &self->packed, &self->len));
	EXPECT_EQ(-EBADMSG, unpack(self->packed, self->len - 1, LEN, &self->unpacked));
	/* It is more than was said, or less. */
	EXPECT_EQ(-EBADMSG, unpack(self->packed, self->len, LEN - 1, &self->unpacked));
	EXPECT_EQ(-EBADMSG, unpack(self->packed, self->len, LEN + 1, &self->unpacked));
	EXPECT_EQ(-EBADMSG, unpack(self->packed, self->len, 0, &self->unpacked));
}

TEST_HARNESS_MAIN
