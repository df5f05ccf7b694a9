/* SPDX-License-Identifier: GPL-2.0 */
/* What the whole host used of its processors: the hypervisor's own accounting, of each domain. */
#ifndef _SELFTESTS_ACCOUNT_H
#define _SELFTESTS_ACCOUNT_H

#include <stdint.h>
#include <stdio.h>

#define ACCOUNT_DOMAINS 64
#define ACCOUNT_CPUS 256

/**
 * struct account - a state of the accounting, or the difference of two, or a sum of such differences
 * @ns: time on the wall
 * @busy_ns: time in which processors were not idle, over all of them
 * @nr: domains that are listed
 * @domid: of each
 * @cpu_ns: processor time of each, the hypervisor's work on its behalf included
 */
struct account {
	uint64_t ns;
	uint64_t busy_ns;
	unsigned int nr;
	uint32_t domid[ACCOUNT_DOMAINS];
	uint64_t cpu_ns[ACCOUNT_DOMAINS];
};

/* Wants the open xch of domain.h. 0, or -1 with errno set. */
int account_read(struct account *a);
/* Adds what was used from @from to @to. A domain that is new in @to had used nothing; one that is gone is left out. */
void account_add(struct account *sum, const struct account *from, const struct account *to);
/* As members of a JSON object: "ns":N,"busy_ns":N,"domains":{"DOMID":N,...} */
void account_print(FILE *f, const struct account *a);

#endif /* _SELFTESTS_ACCOUNT_H */
