// SPDX-License-Identifier: GPL-2.0
/* What the whole host used of its processors. */
#include <errno.h>
#include <time.h>

#include "account.h"
#include "domain.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

int account_read(struct account *a)
{
	xc_cpuinfo_t idle[ACCOUNT_CPUS];
	xc_domaininfo_t info[ACCOUNT_DOMAINS];
	uint64_t idle_ns = 0;
	int cpus = 0, nr;

	nr = xc_domain_getinfolist(xch, 0, ACCOUNT_DOMAINS, info);
	if (nr < 0 || xc_getcpuinfo(xch, ACCOUNT_CPUS, idle, &cpus))
		return -1;
	if (nr == ACCOUNT_DOMAINS || cpus == ACCOUNT_CPUS) {
		errno = E2BIG;	/* the list may have been cut */
		return -1;
	}
	for (int i = 0; i < cpus; i++)
		idle_ns += idle[i].idletime;
	a->ns = now_ns();
	a->busy_ns = a->ns * cpus - idle_ns;
	a->nr = nr;
	for (int i = 0; i < nr; i++) {
		a->domid[i] = info[i].domain;
		a->cpu_ns[i] = info[i].cpu_time;
	}
	return 0;
}

static uint64_t *cpu_of(struct account *a, uint32_t domid)
{
	for (unsigned int i = 0; i < a->nr; i++)
		if (a->domid[i] == domid)
			return &a->cpu_ns[i];
	if (a->nr == ACCOUNT_DOMAINS)
		return NULL;
	a->domid[a->nr] = domid;
	a->cpu_ns[a->nr] = 0;
	return &a->cpu_ns[a->nr++];
}

void account_add(struct account *sum, const struct account *from, const struct account *to)
{
	sum->ns += to->ns - from->ns;
	sum->busy_ns += to->busy_ns - from->busy_ns;
	for (unsigned int i = 0; i < to->nr; i++) {
		uint64_t before = 0, *cpu = cpu_of(sum, to->domid[i]);

		for (unsigned int k = 0; k < from->nr; k++)
			if (from->domid[k] == to->domid[i])
				before = from->cpu_ns[k];
		if (cpu)
			*cpu += to->cpu_ns[i] - before;
	}
}

void account_print(FILE *f, const struct account *a)
{
	fprintf(f, "\"ns\":%llu,\"busy_ns\":%llu,\"domains\":{", (unsigned long long)a->ns,
		(unsigned long long)a->busy_ns);
	for (unsigned int i = 0; i < a->nr; i++)
		fprintf(f, "%s\"%u\":%llu", i ? "," : "", a->domid[i], (unsigned long long)a->cpu_ns[i]);
	fprintf(f, "}");
}
