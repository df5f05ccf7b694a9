// SPDX-License-Identifier: GPL-2.0
/* host_cpu: the hypervisor's accounting of all processors and domains now, as JSON: see account.h. In dom0. */
#include <stdio.h>

#include "account.h"
#include "domain.h"

int main(void)
{
	struct account a = { 0 };

	xch = xc_interface_open(NULL, NULL, 0);
	if (!xch || account_read(&a)) {
		perror("host_cpu: the hypervisor's accounting cannot be read; it takes root in dom0");
		return 1;
	}
	printf("{");
	account_print(stdout, &a);
	printf("}\n");
	xc_interface_close(xch);
	return 0;
}
