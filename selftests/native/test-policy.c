// SPDX-License-Identifier: GPL-2.0
/* Which word of Xen's featureset each CPUID register and MSR becomes. The hypervisor is made up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "policy.h"
#include "kselftest_harness.h"

#define ANY XEN_CPUID_NO_SUBLEAF
#define DOMID 5

static xen_cpuid_leaf_t leaves[8];
static uint32_t nr_leaves, nr_msrs, asked_domid;
static xen_msr_entry_t msrs[4];
static int fails;		/* the errno with which it answers; 0: it does not fail */
static bool asked_system;

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned int flags)
{
	(void)logger;
	(void)dombuild_logger;
	(void)flags;
	return (xc_interface *)leaves;
}

int xc_interface_close(xc_interface *xch)
{
	(void)xch;
	return 0;
}

xc_cpu_policy_t *xc_cpu_policy_init(void)
{
	return (xc_cpu_policy_t *)leaves;
}

void xc_cpu_policy_destroy(xc_cpu_policy_t *policy)
{
	(void)policy;
}

int xc_cpu_policy_get_size(xc_interface *xch, uint32_t *leaves_max, uint32_t *msrs_max)
{
	(void)xch;
	*leaves_max = ARRAY_SIZE(leaves);
	*msrs_max = ARRAY_SIZE(msrs);
	return 0;
}

static int answer(void)
{
	errno = fails;
	return fails ? -1 : 0;
}

int xc_cpu_policy_get_system(xc_interface *xch, unsigned int which, xc_cpu_policy_t *policy)
{
	(void)xch;
	(void)policy;
	asked_system = which == XEN_SYSCTL_cpu_policy_pv_max;
	return answer();
}

int xc_cpu_policy_get_domain(xc_interface *xch, uint32_t domid, xc_cpu_policy_t *policy)
{
	(void)xch;
	(void)policy;
	asked_domid = domid;
	return answer();
}

int xc_cpu_policy_serialise(xc_interface *xch, const xc_cpu_policy_t *policy, xen_cpuid_leaf_t *to, uint32_t *nr,
			    xen_msr_entry_t *to_msrs, uint32_t *nr_to_msrs)
{
	(void)xch;
	(void)policy;
	memcpy(to, leaves, nr_leaves * sizeof(*to));
	memcpy(to_msrs, msrs, nr_msrs * sizeof(*to_msrs));
	*nr = nr_leaves;
	*nr_to_msrs = nr_msrs;
	return 0;
}

/*
 * A feature of each word, where the manuals of Intel and AMD have it, and where Xen's public cpufeatureset.h has it. Of
 * an MSR, 'l' is the low half and 'h' the high one.
 */
static const struct {
	const char *name;
	uint32_t leaf, subleaf;
	char reg;
	int bit, word;
} features[] = {
	{ "sse2", 1, ANY, 'd', 26, 0 },
	{ "aesni", 1, ANY, 'c', 25, 1 },
	{ "syscall", 0x80000001, ANY, 'd', 11, 2 },
	{ "svm", 0x80000001, ANY, 'c', 2, 3 },
	{ "xsaves", 0xd, 1, 'a', 3, 4 },
	{ "avx2", 7, 0, 'b', 5, 5 },
	{ "pku", 7, 0, 'c', 3, 6 },
	{ "itsc", 0x80000007, ANY, 'd', 8, 7 },
	{ "clzero", 0x80000008, ANY, 'b', 0, 8 },
	{ "ssbd", 7, 0, 'd', 31, 9 },
	{ "avx-vnni", 7, 1, 'a', 4, 10 },
	{ "lfence+", 0x80000021, ANY, 'a', 2, 11 },
	{ "intel-ppin", 7, 1, 'b', 0, 12 },
	{ "intel-psfd", 7, 2, 'd', 0, 13 },
	{ "a bit of 7c1", 7, 1, 'c', 5, 14 },
	{ "cet-sss", 7, 1, 'd', 18, 15 },
	{ "rdcl-no", 0x10a, 0, 'l', 0, 16 },
	{ "its-no", 0x10a, 0, 'h', 30, 17 },
	{ "tsa-sq-no", 0x80000021, ANY, 'c', 1, 18 },
};

FIXTURE(policy) { };

FIXTURE_SETUP(policy)
{
	memset(leaves, 0, sizeof(leaves));
	memset(msrs, 0, sizeof(msrs));
	nr_leaves = 0;
	nr_msrs = 0;
	asked_domid = 0;
	asked_system = false;
	fails = 0;
}

FIXTURE_TEARDOWN(policy)
{
}

/* Each alone: it is in its word, and in no other. */
TEST_F(policy, each_feature_is_in_its_word)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t bit = 1U << features[i].bit, words[POLICY_WORDS];
		xen_cpuid_leaf_t *leaf = &leaves[1];

		memset(leaves, 0, sizeof(leaves));
		memset(msrs, 0, sizeof(msrs));
		nr_leaves = 2;
		nr_msrs = 2;
		leaves[0].leaf = 0x40000000;
		msrs[0].idx = 0xce;
		leaf->leaf = features[i].leaf;
		leaf->subleaf = features[i].subleaf;
		if (strchr("lh", features[i].reg)) {
			leaf->leaf = 0;
			msrs[1].idx = features[i].leaf;
			msrs[1].val = (uint64_t)bit << (features[i].reg == 'h' ? 32 : 0);
		} else {
			*(features[i].reg == 'a' ? &leaf->a : features[i].reg == 'b' ? &leaf->b :
			  features[i].reg == 'c' ? &leaf->c : &leaf->d) = bit;
		}
		ASSERT_EQ(0, policy_of(DOMID, words));
		for (int w = 0; w < POLICY_WORDS; w++) {
			EXPECT_EQ(w == features[i].word ? bit : 0, words[w])
				TH_LOG("%s, word %d", features[i].name, w);
		}
	}
	EXPECT_EQ(DOMID, asked_domid);
	EXPECT_FALSE(asked_system);
}

TEST_F(policy, of_the_host_vm)
{
	uint32_t words[POLICY_WORDS];

	ASSERT_EQ(0, policy_here(words));
	EXPECT_TRUE(asked_system);
	EXPECT_EQ(0, asked_domid);
}

TEST_F(policy, cannot_be_read)
{
	uint32_t words[POLICY_WORDS];

	fails = EPERM;
	EXPECT_EQ(-EPERM, policy_of(DOMID, words));
	EXPECT_EQ(-EPERM, policy_here(words));
}

TEST_HARNESS_MAIN
