/* SPDX-License-Identifier: GPL-2.0 */
/* What the host selftests begin with: two bare domains, A and B, each with a pattern of its own. */
#ifndef _SELFTESTS_HOST_H
#define _SELFTESTS_HOST_H

#include "domain.h"
#include "txn.h"

#include "kselftest_harness.h"
#include "timeout.h"

/* A test may take its time: in the lab, no instruction runs on real hardware. */
#define TIMEOUT 600

#define SEED_A 0xa
#define SEED_B 0xb

struct pair {
	int dev;
	uint32_t a, b;
};

/* Domains with @nr frames at gfn 0, backed in pieces of 2^order. */
static inline int pair_create(struct pair *p, uint64_t nr, unsigned int order)
{
	p->dev = dev_open();
	if (p->dev < 0 || domain_setup())
		return -1;
	if (domain_create(&p->a, nr) || domain_create(&p->b, nr))
		return -1;
	return domain_populate(p->a, 0, nr, order) || domain_populate(p->b, 0, nr, order) ? -1 : 0;
}

/* Likewise, each frame with its pattern. */
static inline int pair_setup(struct pair *p, uint64_t nr, unsigned int order)
{
	if (pair_create(p, nr, order))
		return -1;
	return domain_fill(p->a, 0, nr, SEED_A) || domain_fill(p->b, 0, nr, SEED_B) ? -1 : 0;
}

static inline void pair_teardown(struct pair *p)
{
	domain_teardown();
	txn_forget_all(p->dev);
	close(p->dev);
}

/* Frames that do not hold what they held at the beginning; -1 on an error. */
static inline int64_t pair_wrong(struct pair *p, uint64_t gfn, uint64_t nr)
{
	int64_t a = domain_wrong(p->a, gfn, nr, SEED_A, gfn), b = domain_wrong(p->b, gfn, nr, SEED_B, gfn);

	return a < 0 || b < 0 ? -1 : a + b;
}

/* Likewise, when each frame of one domain should hold what that of the same number in the other held. */
static inline int64_t pair_wrong_crosswise(struct pair *p, uint64_t gfn, uint64_t nr)
{
	int64_t a = domain_wrong(p->a, gfn, nr, SEED_B, gfn), b = domain_wrong(p->b, gfn, nr, SEED_A, gfn);

	return a < 0 || b < 0 ? -1 : a + b;
}

static inline unsigned int count_status(const uint8_t *status, unsigned int nr, uint8_t what)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		n += status[i] == what;
	return n;
}

/* Skips the whole binary where there is nothing to test with. */
static inline void host_require(int need_mfn)
{
	struct vmbeam_query query = { .size = sizeof(query) };
	int dev = dev_open();

	if (dev < 0)
		ksft_exit_skip("/dev/vmbeam: %s; load vmbeam_host in dom0, be root\n", strerror(-dev));
	if (call(dev, VMBEAM_QUERY, &query) || query.role != VMBEAM_ROLE_HOST)
		ksft_exit_skip("/dev/vmbeam is not vmbeam_host's\n");
	if (!(query.features & VMBEAM_FEATURE_SWAP))
		ksft_exit_skip("the hypervisor has no XENMEM_p2m_swap\n");
	if (need_mfn && access("/dev/vmbeam_mfn", R_OK))
		ksft_exit_skip("/dev/vmbeam_mfn: load the test module vmbeam_mfn\n");
	close(dev);
}

#define HOST_MAIN(need_mfn)				\
	int main(int argc, char **argv)			\
	{						\
		host_require(need_mfn);			\
		return test_harness_run(argc, argv);	\
	}

#endif /* _SELFTESTS_HOST_H */
