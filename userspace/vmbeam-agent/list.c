// SPDX-License-Identifier: GPL-2.0
/*
 * Which domains and exports there are. The daemon asks by the UUID and the domid of its guest VM: what it does not find
 * it takes for gone, and a reply has no room for all that a host VM may hold. One that was cut says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "domain.h"
#include "message.h"
#include "ops.h"
#include "vmbeam.h"

#define MAX_DOMAINS	256
#define MAX_EXPORTS	64
/* Names can be long. The rest is for the exports and what else hello tells. */
#define DOMAINS_ROOM	(MESSAGE_MAX_JSON * 3 / 4)
/* The most that VMBEAM_EXPORT_LIST takes. */
#define LIST_ROOM	4096

struct filter {
	const char *uuid;	/* NULL: all are wanted */
	uint32_t domid;		/* 0: not known; exports may outlive their domain */
};

static int get_filter(struct request *r, struct filter *f)
{
	int rc = 0;

	f->uuid = NULL;
	f->domid = 0;
	if (has_key(r, "uuid"))
		rc = get_string(r, "uuid", UUID_TEXT - 1, false, &f->uuid);
	if (!rc && has_key(r, "domid"))
		rc = get_domid(r, &f->domid);
	return rc;
}

static bool wanted_domain(const struct filter *f, const struct domain *d)
{
	return !f->uuid || !strcasecmp(d->uuid, f->uuid);
}

static bool wanted_export(const struct filter *f, const struct vmbeam_export_info *e, const struct domain *domains,
			  size_t nr)
{
	if (!f->uuid || (f->domid && e->domid == f->domid))
		return true;
	for (size_t i = 0; i < nr; i++)
		if (domains[i].domid == e->domid)
			return wanted_domain(f, &domains[i]);
	return false;
}

static struct json_object *describe_domain(const struct domain *d)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "domid", json_object_new_int64(d->domid));
	put_string(obj, "name", d->name);
	put_string(obj, "uuid", d->uuid);
	json_object_object_add(obj, "paused", json_object_new_boolean(d->paused));
	json_object_object_add(obj, "shutdown", json_object_new_boolean(d->shutdown));
	json_object_object_add(obj, "suspended", json_object_new_boolean(d->suspended));
	json_object_object_add(obj, "dying", json_object_new_boolean(d->dying));
	return obj;
}

static struct json_object *describe_export(const struct vmbeam_export_info *e)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "id", json_object_new_int64(e->id));
	json_object_object_add(obj, "domid", json_object_new_int64(e->domid));
	json_object_object_add(obj, "frames", json_object_new_int64(e->nr_frames));
	json_object_object_add(obj, "armed", json_object_new_boolean(e->state == VMBEAM_EXPORT_ARMED));
	return obj;
}

static bool list_domains(struct json_object *list, const struct filter *f, const struct domain *domains, size_t nr)
{
	size_t used = 0, len;

	for (size_t i = 0; i < nr; i++) {
		struct json_object *obj;

		if (!wanted_domain(f, &domains[i]))
			continue;
		obj = describe_domain(&domains[i]);
		json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &len);
		used += len;
		if (used > DOMAINS_ROOM || json_object_array_length(list) == MAX_DOMAINS) {
			json_object_put(obj);
			return false;
		}
		json_object_array_add(list, obj);
	}
	return true;
}

/* 1: all of them; 0: cut; or -errno. Without the module there are none: an armed export would keep it. */
static int list_exports(struct json_object *list, const struct filter *f, const struct domain *domains, size_t nr)
{
	struct vmbeam_export_info *infos;
	int dev = vmbeam_open(), have, rc = 1;

	if (dev < 0)
		return 1;
	infos = malloc(LIST_ROOM * sizeof(*infos));
	have = infos ? vmbeam_export_list(dev, infos, LIST_ROOM) : -ENOMEM;
	close(dev);
	if (have < 0 || have > LIST_ROOM)
		rc = have < 0 ? have : 0;
	for (int i = 0; rc >= 0 && i < have && i < LIST_ROOM; i++) {
		if (!wanted_export(f, &infos[i], domains, nr))
			continue;
		if (json_object_array_length(list) == MAX_EXPORTS) {
			rc = 0;
			break;
		}
		json_object_array_add(list, describe_export(&infos[i]));
	}
	free(infos);
	return rc;
}

int list_all(struct request *r)
{
	struct json_object *list = json_object_new_array(), *exports = json_object_new_array();
	struct domain *domains = NULL;
	struct filter f;
	size_t nr = 0;
	bool all;
	int rc;

	json_object_object_add(r->out, "domains", list);
	json_object_object_add(r->out, "exports", exports);
	rc = get_filter(r, &f);
	if (rc)
		return rc;
	rc = domains_read(&domains, &nr);
	if (rc)
		return fail(r, rc, "the domains cannot be listed: is the toolstack of this host VM up?");
	all = list_domains(list, &f, domains, nr);
	rc = list_exports(exports, &f, domains, nr);
	domains_free(domains, nr);
	if (rc < 0)
		return fail(r, rc, "the exports cannot be listed: %s", strerror(-rc));
	if (!all || !rc)
		put_bool(r, "more", true);
	return 0;
}
