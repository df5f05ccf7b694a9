// SPDX-License-Identifier: GPL-2.0
/*
 * hold_frames DOMID: reads "pfn gfn" lines, maps the gfns of that HVM domain and keeps them mapped until it is killed.
 * To the hypervisor they are busy: somebody else holds a reference. Prints "held N" when all are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenforeignmemory.h>

#define MAX 4096

int main(int argc, char **argv)
{
	static xen_pfn_t gfns[MAX];
	unsigned long pfn, gfn;
	size_t nr = 0;
	xenforeignmemory_handle *fm = xenforeignmemory_open(NULL, 0);
	void *p;

	if (argc != 2 || !fm) {
		fprintf(stderr, "usage: hold_frames DOMID\n");
		return 2;
	}
	while (nr < MAX && scanf("%lu %lu", &pfn, &gfn) == 2)
		gfns[nr++] = gfn;
	p = xenforeignmemory_map(fm, strtoul(argv[1], NULL, 0), PROT_READ, nr, gfns, NULL);
	if (!p) {
		perror("hold_frames");
		return 1;
	}
	printf("held %zu\n", nr);
	fflush(stdout);
	pause();
	return 0;
}
