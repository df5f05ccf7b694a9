/* SPDX-License-Identifier: GPL-2.0 */
/* A disk of this management VM: what can be said about it, so that somebody else can tell whether it is theirs, too. */
#ifndef VMBEAM_AGENT_DISK_H
#define VMBEAM_AGENT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <json-c/json.h>

#define DISK_MAX_PATH	255
#define DISK_BLOCK	4096
#define DISK_MAX_ID	128

struct disk {
	dev_t dev;
	uint64_t bytes;
	bool read_only;		/* the device itself cannot be written */
	/* What the unit calls itself, or ""; a partition's have its place in the unit behind them. */
	char wwid[DISK_MAX_ID], serial[DISK_MAX_ID], dm_uuid[DISK_MAX_ID];
};

/* Where sysfs is. Tests have one of their own. */
extern const char *disk_sysfs;

/* 0, or -1 with the reason in @why, as the end of a sentence about the disk. */
int disk_look(const char *path, struct disk *d, char *why, size_t size);
/* The identity of @d->dev alone. */
void disk_identify(struct disk *d);
/* Are they one, or does one lie on the other: a partition on its disk, a volume on what it is made of? */
bool disk_overlap(dev_t a, dev_t b);
/* Adds "bytes", "read_only" and "ids". */
void disk_describe(const struct disk *d, struct json_object *obj);

/*
 * Reads block @nr of DISK_BLOCK bytes past the page cache: others write to the disk. *@digest is of its contents, 0
 * when it is all zero. 0 or -errno. disk_open() gives the fd, or -errno.
 */
int disk_open(const char *path);
int disk_digest(int fd, uint64_t nr, uint64_t *digest);

#endif
