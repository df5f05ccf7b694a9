// SPDX-License-Identifier: GPL-2.0
/*
 * p2m DOMID COUNT SEED: "pfn gfn" of COUNT random frames of a running PV guest VM, as the toolstack sees its P2M. The
 * same seed asks for the same pfns, on either side of a migration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>
#include <xenguest.h>

int main(int argc, char **argv)
{
	struct xc_domain_meminfo minfo = { 0 };
	unsigned long count, x;
	xc_interface *xch;

	if (argc != 4) {
		fprintf(stderr, "usage: p2m DOMID COUNT SEED\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 0);
	x = strtoul(argv[3], NULL, 0);
	xch = xc_interface_open(NULL, NULL, 0);
	if (!xch || xc_map_domain_meminfo(xch, strtoul(argv[1], NULL, 0), &minfo)) {
		perror("p2m");
		return 1;
	}
	for (unsigned long i = 0; i < count; i++) {
		unsigned long pfn;

		x = x * 6364136223846793005UL + 1442695040888963407UL;
		pfn = (x >> 33) % minfo.p2m_size;
		if (minfo.p2m_table[pfn] != ~0UL)
			printf("%lu %lu\n", pfn, (unsigned long)minfo.p2m_table[pfn]);
	}
	xc_unmap_domain_meminfo(xch, &minfo);
	xc_interface_close(xch);
	return 0;
}
