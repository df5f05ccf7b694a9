/* SPDX-License-Identifier: GPL-2.0 */
/* The backends of this management VM as the kernel has them, in sysfs: which there are, and whether a driver has them. */
#ifndef VMBEAM_AGENT_SYSFS_H
#define VMBEAM_AGENT_SYSFS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_DEVICES	64

struct device {
	char kind[4];		/* vbd or vif */
	uint32_t domid, devid;
	bool bound;
	bool hung;	/* its hotplug script was left behind at work: quiesced.c */
};

/* "vbd-5-51712", until the next call. */
const char *device_name(const struct device *d);
/* Is @name one of a disk or a network card? */
bool device_parse(const char *name, struct device *d);
bool device_exists(const struct device *d);
/* Does the kernel's driver serve it? */
bool device_bound(const struct device *d);
/* The guest VM's vifs first, then its vbds, into @list with room for MAX_DEVICES. The number of them, or -errno. */
int devices_read(uint32_t domid, struct device *list);
/* "bind" or "unbind". 0, or -errno with the reason on stderr. */
int device_write(const struct device *d, const char *what);

#endif
