// SPDX-License-Identifier: GPL-2.0
/* The guest VM has come back, or stays where it is: guard.c says what that means. */
#include <errno.h>

#include "domain.h"
#include "guard.h"
#include "ops.h"

static int guard_op(struct request *r, int (*fn)(const struct guard *g, const char *uuid, struct error *err))
{
	struct error err;
	const char *uuid;
	int rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);

	if (rc)
		return rc;
	return fn(&guard_here, uuid, &err) ? fail(r, -EIO, "%s", err.text) : 0;
}

int op_guard_back(struct request *r)
{
	const char *uuid;

	/* Then this is its home, and where it comes from was a refuge. */
	if (!get_string(r, "uuid", UUID_TEXT - 1, false, &uuid))
		put_bool(r, "was_away", guard_is_away(&guard_here, uuid));
	return guard_op(r, guard_back);
}

int op_guard_adopt(struct request *r)
{
	return guard_op(r, guard_adopt);
}
