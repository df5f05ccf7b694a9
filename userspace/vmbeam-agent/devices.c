// SPDX-License-Identifier: GPL-2.0
/*
 * Which devices a guest VM has. The daemon asks before a migration, after the suspend and on the destination before the
 * commit, and compares: so what is told of a device here is what must be the same in all three.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "disk.h"
#include "request.h"
#include "store.h"
#include "sysfs.h"
#include "users.h"

struct item {
	struct xs_handle *xs;
	uint32_t domid, back_domid;
	const char *kind, *devid;	/* as the frontend's: xenstore's keys */
	const char *path;		/* the backend's */
	char real[16];			/* the backend's kind */
	struct json_object *obj, *problems;
};

/*
 * Linux writes this node when it boots, and never again: after a restore it is there and empty, as the toolstack made
 * it. So empty means that nobody knows, and the suspend itself, which has a limit and harms nothing, will tell.
 */
bool devices_can_suspend(uint32_t domid)
{
	struct xs_handle *xs = store_open();
	char *value;
	bool can;

	if (!xs)
		return false;
	value = store_read(xs, "/local/domain/%u/control/feature-suspend", domid);
	can = value && strcmp(value, "0");
	free(value);
	store_close(xs);
	return can;
}

/* The backend's key, as a string of the device's. */
static void tell(const struct item *d, const char *key, const char *as)
{
	char *value = store_read(d->xs, "%s/%s", d->path, key);

	if (value)
		put_string(d->obj, as, value);
	free(value);
}

static const char *told(const struct item *d, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(d->obj, key, &value) ? json_object_get_string(value) : "";
}

static void check_disk(const struct item *d)
{
	const char *type = told(d, "backend"), *target = told(d, "target"), *name = told(d, "dev");
	char why[400], called[400];
	struct disk disk;

	if (strcmp(type, "phy") || *target != '/')
		add_problem(d->problems, "the disk %s is \"%s:%s\": only a block device of this host VM can be moved. Use phy: and a block device that both host VMs see under one path",
			    name, type, target);
	else if (disk_look(target, &disk, why, sizeof(why)))
		add_problem(d->problems, "the disk %s, %s, %s", name, target, why);
	else
		disk_describe(&disk, d->obj);
	if (!json_object_object_get_ex(d->obj, "bytes", NULL))
		return;
	snprintf(called, sizeof(called), "%s, %s,", name, target);
	users_check(&disk, called, d->domid, d->problems);
}

static void list_disk(const struct item *d)
{
	tell(d, "dev", "dev");
	tell(d, "type", "backend");
	tell(d, "params", "target");
	tell(d, "mode", "mode");
	if (d->problems)
		check_disk(d);
}

static void list_vif(const struct item *d)
{
	tell(d, "mac", "mac");
	tell(d, "bridge", "bridge");
	tell(d, "script", "script");
}

static bool backend_bound(const struct item *d)
{
	struct device device = { .domid = d->domid, .devid = strtoul(d->devid, NULL, 10) };

	snprintf(device.kind, sizeof(device.kind), "%.3s", d->real);
	return device_bound(&device);
}

static void check_backend(const struct item *d)
{
	if (strcmp(d->real, "vbd") && strcmp(d->real, "vif"))
		add_problem(d->problems, "the backend of %s %s is %s: only blkback and netback can be quiesced. %s", d->kind,
			    d->devid, *d->real ? d->real : "unknown",
			    strcmp(d->real, "qdisk") ? "Detach the device" :
			    "Use phy: and a block device that both host VMs see under one path");
	else if (d->back_domid)
		add_problem(d->problems, "the backend of %s %s is in domain %u, not here: only backends in the management VM can be moved",
			    d->kind, d->devid, d->back_domid);
	else if (!backend_bound(d))
		add_problem(d->problems, "the kernel's driver does not serve %s-%u-%s: is the device half attached?", d->real,
			    d->domid, d->devid);
}

static void list_device(struct item *d, struct json_object *devices)
{
	char *path = store_read(d->xs, "/libxl/%u/device/%s/%s/backend", d->domid, d->kind, d->devid);

	if (!path)
		return;
	d->path = path;
	d->back_domid = ~0U;
	sscanf(path, "/local/domain/%u/backend/%15[^/]/", &d->back_domid, d->real);
	d->obj = json_object_new_object();
	put_string(d->obj, "kind", *d->real ? d->real : "unknown");
	json_object_object_add(d->obj, "devid", json_object_new_int64(atoll(d->devid)));
	json_object_object_add(d->obj, "backend_domid", json_object_new_int64(d->back_domid));
	if (!strcmp(d->real, "vbd") && !d->back_domid)
		list_disk(d);
	if (!strcmp(d->real, "vif") && !d->back_domid)
		list_vif(d);
	/* A PV guest VM's console is the toolstack's own, not a device that somebody serves. */
	if (d->problems && strcmp(d->real, "console"))
		check_backend(d);
	json_object_array_add(devices, d->obj);
	free(path);
}

int devices_list(uint32_t domid, struct json_object *devices, struct json_object *problems)
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
			struct item d = { .xs = xs, .domid = domid, .kind = kinds[i], .devid = ids[k],
					    .problems = problems };

			list_device(&d, devices);
		}
		free(ids);
	}
	free(kinds);
	store_close(xs);
	return listed == MAX_DEVICES ? -E2BIG : 0;
}
