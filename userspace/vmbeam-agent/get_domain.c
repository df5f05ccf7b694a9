// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "get_domain.h"

int get_domain(struct request *r, struct domain *d)
{
	const char *uuid = NULL;
	uint32_t domid;
	int rc = get_domid(r, &domid);

	if (!rc && has_key(r, "uuid"))
		rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);
	if (rc)
		return rc;
	rc = domain_read(domid, d);
	if (rc == -ESRCH || (!rc && (d->dying || (uuid && strcasecmp(uuid, d->uuid)))))
		return fail(r, -ESRCH, "domain %u is gone", domid);
	return rc ? fail(r, rc, "domain %u cannot be looked at: %s", domid, strerror(-rc)) : 0;
}
