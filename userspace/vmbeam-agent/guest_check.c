// SPDX-License-Identifier: GPL-2.0
/* What a guest VM needs, and what stands in the way of moving it from here. Touches nothing. */
#include <errno.h>
#include <string.h>

#include "get_domain.h"
#include "installed.h"
#include "needs.h"
#include "ops.h"
#include "suspend.h"

int op_guest_check(struct request *r)
{
	struct json_object *problems, *needs;
	const struct domain *d;
	struct domain *list = NULL;
	const char *name;
	size_t nr = 0;
	bool can;
	int rc;

	rc = get_name(r, "name", &name);
	if (rc)
		return rc;
	rc = domains_read(&list, &nr);
	if (rc)
		return fail(r, rc, "the domains cannot be listed: is the toolstack of this host VM up?");
	d = domains_find(list, nr, name);
	if (!d) {
		char called[TEXT_SHORT];

		text_short(called, sizeof(called), name);
		rc = fail(r, -ESRCH, "there is no guest VM called %s here, and none with that UUID or #DOMID", called);
		goto out;
	}
	name = d->called;

	problems = json_object_new_array();
	needs = json_object_new_array();
	put_number(r, "domid", d->domid);
	put_string(r->out, "name", d->name);
	put_string(r->out, "uuid", d->uuid);
	put_number(r, "frames", d->current_kib / 4);
	put_number(r, "max_kib", d->max_kib);
	put_string(r->out, "type", d->pv ? "pv" : "other");
	can = suspend_possible(d->domid);
	put_bool(r, "can_suspend", can);
	json_object_object_add(r->out, "problems", problems);
	json_object_object_add(r->out, "needs", needs);

	if (!d->pv)
		add_problem(problems, "%s is not a PV guest VM: only these can be moved", name);
	if (d->paused)
		add_problem(problems, "%s is paused: unpause it, it has to suspend itself", name);
	if (d->suspended)
		add_problem(problems, "%s is suspended", name);
	else if (d->shutdown)
		add_problem(problems, "%s has ended (%s), and its domain %u is preserved: destroy that (xl destroy) and start the guest VM anew, at its home if it is away",
			    name, d->ended, d->domid);
	if (!can)
		add_problem(problems, "%s does not say that it can suspend: boot it to the end, if its boot loader is still waiting. If it was restored (xl restore) and its kernel can, say so for it: xenstore-write /local/domain/%u/control/feature-suspend 1",
			    name, d->domid);
	check_installed(problems);
	/* Last: the clock is one of them. */
	rc = needs_all(d, needs);
	if (rc) {
		add_problem(problems, "the devices of %s cannot be listed: %s", d->called, strerror(-rc));
		rc = 0;
	}
out:
	domains_free(list, nr);
	return rc;
}

int op_needs(struct request *r)
{
	struct json_object *needs;
	struct domain d;
	int rc = get_domain(r, &d);

	if (rc)
		return rc;
	needs = json_object_new_array();
	json_object_object_add(r->out, "needs", needs);
	rc = needs_now(&d, needs);
	return rc ? fail(r, rc, "the devices of %s cannot be listed: %s", d.called, strerror(-rc)) : 0;
}
