// SPDX-License-Identifier: GPL-2.0
/*
 * invalidate DOMID DOMID - ask the device models of two domains to drop the mappings that they only keep. It takes
 * effect a moment later, by vCPUs on their way back into the domains.
 */
#include <stdio.h>
#include <stdlib.h>

#include "txn.h"

int main(int argc, char **argv)
{
	struct vmbeam_txn_swap res;
	int txn, rc;

	if (argc != 3) {
		fprintf(stderr, "usage: invalidate DOMID DOMID\n");
		return 1;
	}
	txn = txn_begin(dev_open(), strtoul(argv[1], NULL, 0), strtoul(argv[2], NULL, 0), NULL);
	rc = txn < 0 ? txn : txn_swap_list(txn, NULL, 0, VMBEAM_SWAP_INVALIDATE, NULL, &res);
	if (rc)
		fprintf(stderr, "invalidate: %s\n", strerror(-rc));
	return rc != 0;
}
