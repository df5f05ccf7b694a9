// SPDX-License-Identifier: GPL-2.0
/* What this host VM offers to a guest VM, and what stands in the way of taking it in. Touches nothing. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "domain.h"
#include "guard.h"
#include "installed.h"
#include "js.h"
#include "offers.h"
#include "ops.h"

#define MAX_NEEDS 512

static void check_names(const struct domain *list, size_t nr, const char *name, const char *uuid, struct json_object *problems)
{
	for (size_t i = 0; i < nr; i++) {
		if (list[i].dying)
			continue;
		if (!strcmp(list[i].name, name))
			add_problem(problems, "there is a guest VM called %s here already (domain %u): rename one of them",
				    list[i].called, list[i].domid);
		else if (!strcasecmp(list[i].uuid, uuid))
			add_problem(problems, "guest VM %s here (domain %u) has the UUID %s already", list[i].called,
				    list[i].domid, uuid);
	}
}

int op_dest_check(struct request *r)
{
	struct json_object *problems, *needs = js_array(r->in, "needs"), *offers;
	struct domain *list = NULL;
	const char *name, *uuid;
	size_t nr = 0;
	int rc;

	rc = get_name(r, "name", &name);
	rc = rc ?: get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);
	if (rc)
		return rc;
	if (!needs || js_len(needs) > MAX_NEEDS)
		return fail(r, -EINVAL, "the request lacks the list \"needs\" of at most %d", MAX_NEEDS);
	rc = domains_read(&list, &nr);
	if (rc)
		return fail(r, rc, "the domains cannot be listed: is the toolstack of this host VM up?");

	problems = json_object_new_array();
	offers = json_object_new_array();
	json_object_object_add(r->out, "problems", problems);
	json_object_object_add(r->out, "offers", offers);
	check_names(list, nr, name, uuid, problems);
	check_installed(problems);
	offers_for(needs, offers);
	put_bool(r, "home", guard_is_away(&guard_here, uuid));
	domains_free(list, nr);
	return 0;
}
