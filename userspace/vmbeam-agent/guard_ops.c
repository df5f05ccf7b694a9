// SPDX-License-Identifier: GPL-2.0
/* The guest VM has come back, or stays where it is: guard.c says what that means. */
#include <errno.h>

#include "domain.h"
#include "guard.h"
#include "ops.h"

int op_guard_back(struct request *r)
{
	struct error err;
	const char *uuid;
	int rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);

	if (rc)
		return rc;
	rc = guard_back(&guard_here, uuid, &err);
	if (rc < 0)
		return fail(r, -EIO, "%s", err.text);
	if (rc)
		put_string(r->out, "left", err.text);
	return 0;
}

int op_guard_adopt(struct request *r)
{
	struct error err;
	const char *uuid;
	int rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);

	if (rc)
		return rc;
	return guard_adopt(&guard_here, uuid, &err) ? fail(r, -EIO, "%s", err.text) : 0;
}
