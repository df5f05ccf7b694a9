// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "policy.h"

#define MSR_ARCH_CAPABILITIES 0x10a
#define ANY XEN_CPUID_NO_SUBLEAF

/* Which register of which leaf each word is: include/xen/arch-x86/cpufeatureset.h in Xen, where the order is an ABI. */
static const struct {
	uint32_t leaf, subleaf;
	char reg;
} places[POLICY_WORDS] = {
	{ 1, ANY, 'd' }, { 1, ANY, 'c' }, { 0x80000001, ANY, 'd' }, { 0x80000001, ANY, 'c' }, { 0xd, 1, 'a' }, { 7, 0, 'b' },
	{ 7, 0, 'c' }, { 0x80000007, ANY, 'd' }, { 0x80000008, ANY, 'b' }, { 7, 0, 'd' }, { 7, 1, 'a' },
	{ 0x80000021, ANY, 'a' }, { 7, 1, 'b' }, { 7, 2, 'd' }, { 7, 1, 'c' }, { 7, 1, 'd' },
	{ MSR_ARCH_CAPABILITIES, 0, 'm' }, { MSR_ARCH_CAPABILITIES, 1, 'm' }, { 0x80000021, ANY, 'c' },
};

static void take(uint32_t *words, const xen_cpuid_leaf_t *leaves, uint32_t nr_leaves, const xen_msr_entry_t *msrs,
		 uint32_t nr_msrs)
{
	memset(words, 0, POLICY_WORDS * sizeof(*words));
	for (int w = 0; w < POLICY_WORDS; w++) {
		for (uint32_t i = 0; places[w].reg != 'm' && i < nr_leaves; i++)
			if (leaves[i].leaf == places[w].leaf && leaves[i].subleaf == places[w].subleaf)
				words[w] = places[w].reg == 'a' ? leaves[i].a : places[w].reg == 'b' ? leaves[i].b :
					   places[w].reg == 'c' ? leaves[i].c : leaves[i].d;
		for (uint32_t i = 0; places[w].reg == 'm' && i < nr_msrs; i++)
			if (msrs[i].idx == places[w].leaf)
				words[w] = msrs[i].val >> 32 * places[w].subleaf;
	}
}

static int read_policy(uint32_t *words, uint32_t domid, bool here)
{
	xc_interface *xch = xc_interface_open(NULL, NULL, 0);
	xc_cpu_policy_t *policy = xch ? xc_cpu_policy_init() : NULL;
	xen_cpuid_leaf_t *leaves = NULL;
	uint32_t nr_leaves, nr_msrs;
	xen_msr_entry_t *msrs = NULL;
	int rc = -EIO;

	if (!policy || xc_cpu_policy_get_size(xch, &nr_leaves, &nr_msrs))
		goto out;
	leaves = calloc(nr_leaves, sizeof(*leaves));
	msrs = calloc(nr_msrs, sizeof(*msrs));
	if (!leaves || !msrs ||
	    (here ? xc_cpu_policy_get_system(xch, XEN_SYSCTL_cpu_policy_pv_max, policy) :
		    xc_cpu_policy_get_domain(xch, domid, policy)) ||
	    xc_cpu_policy_serialise(xch, policy, leaves, &nr_leaves, msrs, &nr_msrs))
		goto out;
	take(words, leaves, nr_leaves, msrs, nr_msrs);
	rc = 0;
out:
	if (rc && errno)
		rc = -errno;
	free(leaves);
	free(msrs);
	if (policy)
		xc_cpu_policy_destroy(policy);
	if (xch)
		xc_interface_close(xch);
	return rc;
}

int policy_of(uint32_t domid, uint32_t *words)
{
	return read_policy(words, domid, false);
}

int policy_here(uint32_t *words)
{
	return read_policy(words, 0, true);
}
