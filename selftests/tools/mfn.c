// SPDX-License-Identifier: GPL-2.0
/*
 * mfn DOMID: reads "pfn gfn" lines, prints "pfn gfn mfn": the machine frame behind each, read from the raw page table
 * entry of a short-lived mapping (vmbeam_mfn.ko), which shares no code with the swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../mfn/vmbeam_mfn.h"

static __u64 pfns[VMBEAM_MFN_MAX], gfns[VMBEAM_MFN_MAX], mfns[VMBEAM_MFN_MAX];

int main(int argc, char **argv)
{
	struct vmbeam_mfn_query q = { .size = sizeof(q), .gfns = (unsigned long)gfns, .mfns = (unsigned long)mfns };
	int dev = open("/dev/vmbeam_mfn", O_RDWR | O_CLOEXEC);

	if (argc != 2 || dev < 0) {
		fprintf(stderr, "usage: mfn DOMID (with vmbeam_mfn.ko loaded: %s)\n", strerror(errno));
		return 2;
	}
	q.domid = strtoul(argv[1], NULL, 0);
	while (q.nr < VMBEAM_MFN_MAX && scanf("%llu %llu", &pfns[q.nr], &gfns[q.nr]) == 2)
		q.nr++;
	if (!q.nr || ioctl(dev, VMBEAM_MFN_QUERY, &q)) {
		perror("mfn");
		return 1;
	}
	for (unsigned int i = 0; i < q.nr; i++)
		printf("%llu %llu %llu\n", pfns[i], gfns[i], mfns[i]);
	return 0;
}
