/* SPDX-License-Identifier: GPL-2.0 */
/* A request as an op of the agent's gets it. */
#ifndef MADE_UP_REQUEST_H
#define MADE_UP_REQUEST_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "request.h"

static inline void request_forget(struct request *r)
{
	json_object_put(r->in);
	json_object_put(r->out);
	free(r->out_blob);
	memset(r, 0, sizeof(*r));
}

/* In the place of the one before; without arguments. @again: as who waits for the end of a long one says it again. */
static inline void request_begin(struct request *r, bool again)
{
	request_forget(r);
	r->in = json_object_new_object();
	r->out = json_object_new_object();
	if (again)
		js_add_bool(r->in, "again", true);
}

#endif /* MADE_UP_REQUEST_H */
