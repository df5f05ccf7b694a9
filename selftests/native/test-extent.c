// SPDX-License-Identifier: GPL-2.0
/* Extents: add, merge, check, subtract and join, by hand and against a plain array. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "vmbeam.h"

FIXTURE(extent) {
	struct vmbeam_extents a, b, out;
	struct vmbeam_pairs pairs;
};

FIXTURE_SETUP(extent)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(extent)
{
	vmbeam_extents_free(&self->a);
	vmbeam_extents_free(&self->b);
	vmbeam_extents_free(&self->out);
	vmbeam_pairs_free(&self->pairs);
}

TEST_F(extent, add_continues_the_last)
{
	ASSERT_EQ(0, vmbeam_extents_add(&self->a, 10, 100, 5));
	ASSERT_EQ(0, vmbeam_extents_add(&self->a, 15, 105, 1));
	ASSERT_EQ(1, self->a.nr);
	ASSERT_EQ(0, vmbeam_extents_add(&self->a, 16, 107, 1));
	ASSERT_EQ(2, self->a.nr);
	EXPECT_EQ(7, vmbeam_extents_frames(&self->a));
}

TEST_F(extent, add_refuses_nonsense)
{
	EXPECT_EQ(-EINVAL, vmbeam_extents_add(&self->a, 1, 1, 0));
	EXPECT_EQ(-EINVAL, vmbeam_extents_add(&self->a, ~0ULL, 1, 1));
	EXPECT_EQ(-EINVAL, vmbeam_extents_add(&self->a, 1, ~0ULL - 3, 4));
	EXPECT_EQ(-EINVAL, vmbeam_pairs_add(&self->pairs, 1, ~0ULL - 3, 4));
	EXPECT_EQ(0, self->a.nr);
}

TEST_F(extent, merge_sorts_and_joins)
{
	vmbeam_extents_add(&self->a, 20, 120, 5);
	vmbeam_extents_add(&self->a, 10, 110, 10);
	vmbeam_extents_add(&self->a, 25, 200, 1);
	ASSERT_EQ(0, vmbeam_extents_merge(&self->a));
	ASSERT_EQ(2, self->a.nr);
	EXPECT_EQ(10, self->a.v[0].pfn);
	EXPECT_EQ(15, self->a.v[0].nr);
	EXPECT_EQ(200, self->a.v[1].gfn);
	EXPECT_EQ(0, vmbeam_extents_check(&self->a));
}

TEST_F(extent, merge_refuses_overlap)
{
	vmbeam_extents_add(&self->a, 10, 110, 10);
	vmbeam_extents_add(&self->a, 19, 300, 1);
	EXPECT_EQ(-EEXIST, vmbeam_extents_merge(&self->a));
	EXPECT_EQ(-EINVAL, vmbeam_extents_check(&self->a));
}

TEST_F(extent, check_of_hostile_lists)
{
	struct vmbeam_extent v[2] = { { 1, 1, 1 }, { 2, 9, 0 } };
	struct vmbeam_extents list = { .v = v, .nr = 2 };

	EXPECT_EQ(-EINVAL, vmbeam_extents_check(&list));
	v[1] = (struct vmbeam_extent){ 2, 9, ~0ULL };
	EXPECT_EQ(-EINVAL, vmbeam_extents_check(&list));
	v[1] = (struct vmbeam_extent){ 0, 9, 1 };
	EXPECT_EQ(-EINVAL, vmbeam_extents_check(&list));
	v[1] = (struct vmbeam_extent){ 2, 9, 1 };
	EXPECT_EQ(0, vmbeam_extents_check(&list));
}

TEST_F(extent, pairs_are_cut_at_32_bits)
{
	ASSERT_EQ(0, vmbeam_pairs_add(&self->pairs, 0, 1ULL << 40, 5ULL << 31));
	ASSERT_EQ(5, self->pairs.nr);
	EXPECT_EQ(5ULL << 31, vmbeam_pairs_frames(&self->pairs));
	EXPECT_EQ((1ULL << 40) + (4ULL << 31), self->pairs.v[4].gfn_b);
}

/* The same on a plain array of pfn -> gfn, 0 for none. */
#define PFNS 200

static void random_list(struct vmbeam_extents *list, uint64_t *plain, unsigned int *seed)
{
	memset(plain, 0, PFNS * sizeof(*plain));
	for (unsigned int pfn = 0; pfn < PFNS; pfn++) {
		if (rand_r(seed) % 3 == 0)
			continue;
		if (pfn && plain[pfn - 1] && rand_r(seed) % 4)
			plain[pfn] = plain[pfn - 1] + 1;
		else
			plain[pfn] = 1000U + rand_r(seed) % 9000;
		vmbeam_extents_add(list, pfn, plain[pfn], 1);
	}
}

TEST_F(extent, against_plain_arrays)
{
	uint64_t a[PFNS], b[PFNS];
	unsigned int seed = 1;

	for (int round = 0; round < 500; round++) {
		struct vmbeam_extents la = { 0 }, lb = { 0 }, out = { 0 };
		struct vmbeam_pairs pairs = { 0 };
		unsigned int pfn = 0;
		size_t i = 0;
		uint32_t at = 0;

		random_list(&la, a, &seed);
		random_list(&lb, b, &seed);
		ASSERT_EQ(0, vmbeam_extents_subtract(&la, &lb, &out));
		ASSERT_EQ(0, vmbeam_extents_check(&out));
		for (i = 0; i < out.nr; i++) {
			for (uint64_t k = 0; k < out.v[i].nr; k++, pfn++) {
				while (pfn < PFNS && (!a[pfn] || b[pfn]))
					pfn++;
				ASSERT_EQ(pfn, out.v[i].pfn + k);
				ASSERT_EQ(a[pfn], out.v[i].gfn + k);
			}
		}
		while (pfn < PFNS && (!a[pfn] || b[pfn]))
			pfn++;
		ASSERT_EQ(PFNS, pfn);

		ASSERT_EQ(0, vmbeam_extents_join(&la, &lb, &pairs));
		for (pfn = 0, i = 0; pfn < PFNS; pfn++) {
			if (!a[pfn] || !b[pfn])
				continue;
			ASSERT_LT(i, pairs.nr);
			ASSERT_EQ(a[pfn], pairs.v[i].gfn_a + at);
			ASSERT_EQ(b[pfn], pairs.v[i].gfn_b + at);
			if (++at == pairs.v[i].nr) {
				at = 0;
				i++;
			}
		}
		ASSERT_EQ(pairs.nr, i);
		vmbeam_extents_free(&la);
		vmbeam_extents_free(&lb);
		vmbeam_extents_free(&out);
		vmbeam_pairs_free(&pairs);
	}
}

TEST_HARNESS_MAIN
