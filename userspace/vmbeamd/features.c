// SPDX-License-Identifier: GPL-2.0
/* CPU features by their names: Xen's featureset is an ABI, its bits keep their places. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "js.h"
#include "rules.h"

#define XEN_CPUFEATURE(name, value) [value] = #name,
static const char *const names[] = {
#include <xen/arch-x86/cpufeatureset.h>
};

/*
 * AMD's leaf 0x80000001 repeats these bits of leaf 1 in its EDX (Xen: CPUID_COMMON_1D_FEATURES). A domain's policy has
 * them there, a system's has not; they say nothing that word 0 does not say.
 */
#define WORD_E1D	2
#define COMMON_1D	0x0183f3ffU

static uint32_t word(struct json_object *list, size_t i)
{
	struct json_object *v = i < js_len(list) ? json_object_array_get_idx(list, i) : NULL;
	uint32_t bits = json_object_is_type(v, json_type_int) ? json_object_get_uint64(v) : 0;

	return i == WORD_E1D ? bits & ~COMMON_1D : bits;
}

static void add_name(unsigned int bit, char *text, size_t size)
{
	size_t at = strlen(text);
	char name[40];

	if (bit < sizeof(names) / sizeof(names[0]) && names[bit])
		snprintf(name, sizeof(name), "%s", names[bit]);
	else
		snprintf(name, sizeof(name), "bit %u of word %u", bit % 32, bit / 32);
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : tolower((unsigned char)*p);
	snprintf(text + at, size - at, "%s%s", at ? ", " : "", name);
}

int features_missing(struct json_object *need, struct json_object *offer, char *text, size_t size)
{
	int nr = 0;

	*text = 0;
	for (size_t w = 0; w < js_len(need); w++) {
		uint32_t missing = word(need, w) & ~word(offer, w);

		for (unsigned int bit = 0; bit < 32; bit++)
			if (missing & 1U << bit) {
				add_name(32 * w + bit, text, size);
				nr++;
			}
	}
	return nr;
}

int features_count(struct json_object *list)
{
	int nr = 0;

	for (size_t w = 0; w < js_len(list); w++)
		nr += __builtin_popcount(word(list, w));
	return nr;
}
