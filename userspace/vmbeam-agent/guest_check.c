// SPDX-License-Identifier: GPL-2.0
/* What stands in the way of moving a guest VM, as its own management VM sees it. Touches nothing. */
#include <errno.h>
#include <string.h>

#include "devices.h"
#include "installed.h"
#include "get_domain.h"
#include "js.h"
#include "ops.h"

/* The configuration is what its author wrote: what he left out is not there, or says so. */
static bool said_yes(struct json_object *part, const char *key)
{
	return !strcasecmp(js_str(part, key, ""), "True");
}

/* What the toolstack reads when the guest VM is started anew. */
static void list_boot(struct json_object *b_info, struct request *r)
{
	static const struct {
		const char *what, *key;
	} files[] = {
		{ "kernel", "kernel" }, { "ramdisk", "ramdisk" }, { "boot loader", "bootloader" },
	};
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const char *path = js_str(b_info, files[i].key, "");
		struct json_object *obj;

		if (!*path)
			continue;
		obj = json_object_new_object();
		put_string(obj, "what", files[i].what);
		put_string(obj, "path", path);
		json_object_array_add(list, obj);
	}
	json_object_object_add(r->out, "boot", list);
}

static void check_config(const struct domain *d, struct request *r, struct json_object *problems)
{
	struct json_object *config, *b_info;
	char why[400];
	size_t nr;

	if (domain_config(d->domid, &config, why, sizeof(why))) {
		add_problem(problems, "the configuration of %s cannot be read: %s", d->called, why);
		return;
	}
	b_info = js_get(config, "b_info", json_type_object);
	put_number(r, "vcpus", js_u64(b_info, "max_vcpus", 1));
	nr = js_len(js_array(config, "pcidevs"));
	if (nr)
		add_problem(problems, "%s has %zu PCI devices passed through: detach them", d->called, nr);
	if (said_yes(b_info, "disable_migrate"))
		add_problem(problems, "%s has nomigrate=1: whoever set it up says that it must not be moved", d->called);
	if (said_yes(js_get(config, "c_info", json_type_object), "driver_domain"))
		add_problem(problems, "%s has driver_domain=1: it serves devices to other guest VMs here, which would lose them. Move these to other backends first",
			    d->called);
	nr = js_len(js_array(config, "channels"));
	if (nr)
		add_problem(problems, "%s has %zu consoles of channel=, which QEMU serves and which cannot be moved: start it without",
			    d->called, nr);
	list_boot(b_info, r);
	if (js_len(js_array(config, "vfbs")) || js_len(js_array(config, "vkbs")))
		add_problem(problems, "%s has a virtual framebuffer or keyboard, which cannot be moved", d->called);
	json_object_put(config);
}

int op_guest_check(struct request *r)
{
	struct json_object *problems, *backends;
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
	backends = json_object_new_array();
	put_number(r, "domid", d->domid);
	put_string(r->out, "name", d->name);
	put_string(r->out, "uuid", d->uuid);
	put_number(r, "frames", d->current_kib / 4);
	put_number(r, "max_kib", d->max_kib);
	put_string(r->out, "type", d->pv ? "pv" : "other");
	check_config(d, r, problems);
	can = devices_can_suspend(d->domid);
	put_bool(r, "can_suspend", can);
	rc = devices_list(d->domid, backends, problems);
	if (rc) {
		add_problem(problems, "the devices of %s cannot be listed: %s", d->called, strerror(-rc));
		rc = 0;
	}
	json_object_object_add(r->out, "backends", backends);
	json_object_object_add(r->out, "problems", problems);

	if (!d->pv)
		add_problem(problems, "%s is not a PV guest VM: only these can be moved", name);
	if (d->paused)
		add_problem(problems, "%s is paused: unpause it, it has to suspend itself", name);
	if (d->shutdown)
		add_problem(problems, "%s has shut down or is suspended", name);
	if (!can)
		add_problem(problems, "%s does not say that it can suspend (control/feature-suspend)", name);
	check_installed(problems);
out:
	domains_free(list, nr);
	return rc;
}

int op_devices(struct request *r)
{
	struct json_object *list;
	struct domain d;
	int rc = get_domain(r, &d);

	if (rc)
		return rc;
	list = json_object_new_array();
	json_object_object_add(r->out, "devices", list);
	rc = devices_list(d.domid, list, NULL);
	return rc ? fail(r, rc, "the devices of %s cannot be listed: %s", d.called, strerror(-rc)) : 0;
}
