// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

#define BUS		"/sys/bus/xen-backend"

const char *device_name(const struct device *d)
{
	static char name[48];

	snprintf(name, sizeof(name), "%.3s-%u-%u", d->kind, d->domid, d->devid);
	return name;
}

bool device_parse(const char *name, struct device *d)
{
	char rest;

	memset(d, 0, sizeof(*d));
	if (sscanf(name, "%3[a-z]-%u-%u%c", d->kind, &d->domid, &d->devid, &rest) != 3)
		return false;
	return !strcmp(d->kind, "vbd") || !strcmp(d->kind, "vif");
}

bool device_exists(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), BUS "/devices/%s", device_name(d));
	return !access(path, F_OK);
}

bool device_bound(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), BUS "/devices/%s/driver", device_name(d));
	return !access(path, F_OK);
}

int devices_read(uint32_t domid, struct device *list)
{
	DIR *dir = opendir(BUS "/devices");
	struct dirent *entry;
	struct device d;
	int nr = 0, vifs = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!device_parse(entry->d_name, &d) || d.domid != domid)
			continue;
		if (nr == MAX_DEVICES) {
			closedir(dir);
			return -E2BIG;
		}
		d.bound = device_bound(&d);
		list[nr++] = d;
		if (d.kind[1] == 'i') {
			list[nr - 1] = list[vifs];
			list[vifs++] = d;
		}
	}
	closedir(dir);
	return nr;
}

int device_write(const struct device *d, const char *what)
{
	char path[128];
	const char *name = device_name(d);
	int fd, rc = 0;

	snprintf(path, sizeof(path), BUS "/drivers/%s/%s", d->kind, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	/* Somebody else did it meanwhile. */
	if (rc && device_bound(d) == !strcmp(what, "bind"))
		rc = 0;
	if (rc)
		fprintf(stderr, "%s cannot be %s its driver: %s\n", name,
			strcmp(what, "bind") ? "taken off" : "given back to", strerror(-rc));
	return rc;
}
