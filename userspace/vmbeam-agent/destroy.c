// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include "destroy.h"
#include "domain.h"
#include "quiesced.h"

int destroy(uint32_t domid)
{
	struct domain d;
	int rc = domain_read(domid, &d);

	/* A domain whose frames an export pins stays dying until that is released: for the toolstack it is gone. */
	if (rc == -ESRCH || (!rc && d.dying))
		return 0;
	quiesced_forget(domid);
	return domain_destroy(domid);
}
