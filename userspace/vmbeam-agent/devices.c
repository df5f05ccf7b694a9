// SPDX-License-Identifier: GPL-2.0
/*
 * Which devices a guest VM has, as items. The daemon asks before a migration, after the suspend and on the destination before
 * the commit, and compares: so what is told of a device here is what must be the same in all three.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "disk.h"
#include "item.h"
#include "net.h"
#include "store.h"
#include "sysfs.h"
#include "users.h"

#define STATE_CONNECTED	4
#define STATE_CLOSING	5

struct device_at {
	struct xs_handle *xs;
	uint32_t domid, back_domid;
	const char *kind, *devid;	/* as the frontend's: xenstore's keys */
	const char *path;		/* the backend's */
	char real[16];			/* the backend's kind */
	struct json_object *item;
	bool looked;			/* look into it, too: is it fit to be moved? */
};

/* The backend's key, as a string of the device's. */
static void tell(const struct device_at *d, const char *key, const char *as)
{
	char *value = store_read(d->xs, "%s/%s", d->path, key);

	if (value)
		put_string(d->item, as, value);
	free(value);
}

static const char *told(const struct device_at *d, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(d->item, key, &value) ? json_object_get_string(value) : "";
}

static void check_disk(const struct device_at *d)
{
	const char *type = told(d, "backend"), *target = told(d, "target"), *name = told(d, "dev");
	char why[400], called[400];
	struct disk disk;

	if (strcmp(type, "phy") || *target != '/')
		add_problem(item_problems(d->item), "the disk %s is \"%s:%s\": only a block device of this host VM can be moved. Use phy: and a block device that both host VMs see under one path",
			    name, type, target);
	else if (disk_look(target, &disk, why, sizeof(why)))
		add_problem(item_problems(d->item), "the disk %s, %s, %s", name, target, why);
	else
		disk_describe(&disk, d->item);
	if (!json_object_object_get_ex(d->item, "bytes", NULL))
		return;
	snprintf(called, sizeof(called), "%s, %s,", name, target);
	users_check(&disk, called, d->domid, item_problems(d->item));
}

static void list_disk(const struct device_at *d)
{
	tell(d, "dev", "dev");
	tell(d, "type", "backend");
	tell(d, "params", "target");
	tell(d, "mode", "mode");
	tell(d, "script", "script");
	if (d->looked)
		check_disk(d);
}

static void look_at_vif(const struct device_at *d)
{
	char bridge[NET_MAX_NAME + 1] = "", fallback[32];
	char *name = store_read(d->xs, "%s/vifname", d->path);

	snprintf(fallback, sizeof(fallback), "vif%u.%s", d->domid, d->devid);
	net_bridge(told(d, "bridge"), told(d, "script"), bridge);
	net_describe(name ? name : fallback, bridge, told(d, "mac"), d->item);
	free(name);
}

static void list_vif(const struct device_at *d)
{
	tell(d, "mac", "mac");
	tell(d, "bridge", "bridge");
	tell(d, "script", "script");
	if (d->looked)
		look_at_vif(d);
}

static bool backend_bound(const struct device_at *d)
{
	struct device device = { .domid = d->domid, .devid = strtoul(d->devid, NULL, 10) };

	snprintf(device.kind, sizeof(device.kind), "%.3s", d->real);
	return device_bound(&device);
}

/* "connected", "detaching", or "idle": the guest VM's kernel does not use it. */
static const char *state_of(const struct device_at *d)
{
	int64_t online = store_number(d->xs, 1, 1, "%s/online", d->path);
	int64_t state = store_number(d->xs, 9, 0, "%s/state", d->path);

	return !online || state == STATE_CLOSING ? "detaching" : state == STATE_CONNECTED ? "connected" : "idle";
}

static void check_backend(const struct device_at *d)
{
	if (strcmp(d->real, "vbd") && strcmp(d->real, "vif"))
		add_problem(item_problems(d->item), "the backend of %s %s is %s: only blkback and netback can be quiesced. %s", d->kind,
			    d->devid, *d->real ? d->real : "unknown",
			    strcmp(d->real, "qdisk") ? "Detach the device" :
			    "Use phy: and a block device that both host VMs see under one path");
	else if (d->back_domid)
		add_problem(item_problems(d->item), "the backend of %s %s is in domain %u, not here: only backends in the management VM can be moved",
			    d->kind, d->devid, d->back_domid);
	else if (!backend_bound(d))
		add_problem(item_problems(d->item), "the kernel's driver does not serve %s-%u-%s: is the device half attached?", d->real,
			    d->domid, d->devid);
}

static void list_device(struct device_at *d, struct json_object *items)
{
	char *path = store_read(d->xs, "/libxl/%u/device/%s/%s/backend", d->domid, d->kind, d->devid);

	if (!path)
		return;
	d->path = path;
	d->back_domid = ~0U;
	sscanf(path, "/local/domain/%u/backend/%15[^/]/", &d->back_domid, d->real);
	/* A PV guest VM's console is the toolstack's own, not a device that somebody serves. */
	if (strcmp(d->real, "console") || strcmp(d->devid, "0") || d->back_domid) {
		d->item = item_add(items, *d->real ? d->real : "unknown", d->devid);
		item_number(d->item, "backend_domid", d->back_domid);
		if (!strcmp(d->real, "vbd") && !d->back_domid)
			list_disk(d);
		if (!strcmp(d->real, "vif") && !d->back_domid)
			list_vif(d);
		put_string(d->item, "state", state_of(d));
		if (d->looked)
			check_backend(d);
	}
	free(path);
}

/* Domains to which this guest VM serves devices. The toolstack makes the directory for each, and mostly leaves it empty. */
static void list_served(struct xs_handle *xs, uint32_t domid, struct json_object *items)
{
	unsigned int nr = 0, nr_of = 0;
	char **kinds = store_list(xs, &nr, "/local/domain/%u/backend", domid);

	for (unsigned int i = 0; kinds && i < nr; i++) {
		char **of = store_list(xs, &nr_of, "/local/domain/%u/backend/%s", domid, kinds[i]);

		for (unsigned int k = 0; of && k < nr_of; k++)
			add_problem(item_problems(item_add(items, "served", kinds[i])),
				    "it serves a device (%s) to domain %s here, which would lose it: give that another backend first",
				    kinds[i], of[k]);
		free(of);
	}
	free(kinds);
}

int devices_list(uint32_t domid, struct json_object *items, bool looked)
{
	struct xs_handle *xs = store_open();
	unsigned int nr_kinds = 0, nr_ids, listed = 0;
	char **kinds, **ids;

	if (!xs)
		return -errno;
	kinds = store_list(xs, &nr_kinds, "/libxl/%u/device", domid);
	for (unsigned int i = 0; kinds && i < nr_kinds; i++) {
		ids = store_list(xs, &nr_ids, "/libxl/%u/device/%s", domid, kinds[i]);
		for (unsigned int k = 0; ids && k < nr_ids && listed < MAX_DEVICES; k++, listed++) {
			struct device_at d = { .xs = xs, .domid = domid, .kind = kinds[i], .devid = ids[k],
					       .looked = looked };

			list_device(&d, items);
		}
		free(ids);
	}
	free(kinds);
	list_served(xs, domid, items);
	store_close(xs);
	return listed == MAX_DEVICES ? -E2BIG : 0;
}
