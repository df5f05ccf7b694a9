// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk.h"
#include "request.h"

#define MAX_DEPTH 8

const char *disk_sysfs = "/sys";

/* One line of a file of the disk's directory in sysfs, without the blanks around it. "" if there is none. */
static void attribute(dev_t dev, const char *file, char *value, size_t size)
{
	char path[512], line[256], *p = line;
	FILE *f;

	*value = 0;
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/%s", disk_sysfs, major(dev), minor(dev), file);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(line, sizeof(line), f)) {
		p += strspn(p, " \t");
		p[strcspn(p, "\n")] = 0;
		while (*p && strchr(" \t", p[strlen(p) - 1]))
			p[strlen(p) - 1] = 0;
		/* Half an identity could be another's. */
		if (strlen(p) < size)
			strcpy(value, p);
	}
	fclose(f);
}

/* From the first of @files that says something. A partition has none of its own: its disk's, which is the directory
 * above, and where it begins on it. */
static void identity(dev_t dev, const char *const *files, char *value)
{
	char start[32], found[DISK_MAX_ID - 32], path[64];

	attribute(dev, "partition", start, sizeof(start));
	if (*start)
		attribute(dev, "start", start, sizeof(start));
	*value = 0;
	for (; *files && !*value; files++) {
		snprintf(path, sizeof(path), "%s%s", *start ? "../" : "", *files);
		attribute(dev, path, found, sizeof(found));
		if (*found)
			snprintf(value, DISK_MAX_ID, "%s%s%s", found, *start ? "@" : "", start);
	}
}

void disk_identify(struct disk *d)
{
	identity(d->dev, (const char *const[]){ "wwid", "device/wwid", NULL }, d->wwid);
	identity(d->dev, (const char *const[]){ "serial", "device/serial", NULL }, d->serial);
	identity(d->dev, (const char *const[]){ "dm/uuid", NULL }, d->dm_uuid);
}

/* Is @b what @a lies on? A partition lies on its disk, and a volume on its parts, which may be volumes again. */
static bool lies_on(dev_t a, dev_t b, int depth)
{
	char path[128], number[32], file[300];
	unsigned int maj, min;
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (depth > MAX_DEPTH)
		return false;
	attribute(a, "partition", number, sizeof(number));
	if (*number) {
		attribute(a, "../dev", number, sizeof(number));
		if (sscanf(number, "%u:%u", &maj, &min) == 2)
			found = makedev(maj, min) == b || lies_on(makedev(maj, min), b, depth + 1);
	}
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/slaves", disk_sysfs, major(a), minor(a));
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(file, sizeof(file), "slaves/%s/dev", entry->d_name);
		attribute(a, file, number, sizeof(number));
		if (sscanf(number, "%u:%u", &maj, &min) == 2)
			found = makedev(maj, min) == b || lies_on(makedev(maj, min), b, depth + 1);
	}
	if (dir)
		closedir(dir);
	return found;
}

bool disk_overlap(dev_t a, dev_t b)
{
	return a && b && (a == b || lies_on(a, b, 0) || lies_on(b, a, 0));
}

int disk_look(const char *path, struct disk *d, char *why, size_t size)
{
	struct stat st;
	int fd, ro = 0;

	memset(d, 0, sizeof(*d));
	if (*path != '/' || strlen(path) > DISK_MAX_PATH) {
		snprintf(why, size, "is not an absolute path of at most %d bytes", DISK_MAX_PATH);
		return -1;
	}
	if (stat(path, &st)) {
		snprintf(why, size, "is not here: %s", strerror(errno));
		return -1;
	}
	if (!S_ISBLK(st.st_mode)) {
		snprintf(why, size, "is %s, not a block device: no other system is known to have the same. Put the disk on a block device that both host VMs see under one path (phy:)",
			 S_ISREG(st.st_mode) ? "a file" : "not a disk");
		return -1;
	}
	d->dev = st.st_rdev;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &d->bytes) || ioctl(fd, BLKROGET, &ro)) {
		snprintf(why, size, "cannot be looked at: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	d->read_only = ro;
	disk_identify(d);
	return 0;
}

void disk_describe(const struct disk *d, struct json_object *obj)
{
	struct json_object *ids = json_object_new_object();

	if (*d->wwid)
		put_string(ids, "wwid", d->wwid);
	if (*d->serial)
		put_string(ids, "serial", d->serial);
	if (*d->dm_uuid)
		put_string(ids, "dm-uuid", d->dm_uuid);
	json_object_object_add(obj, "bytes", json_object_new_uint64(d->bytes));
	json_object_object_add(obj, "read_only", json_object_new_boolean(d->read_only));
	json_object_object_add(obj, "ids", ids);
}

int disk_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);

	if (fd < 0 && errno == EINVAL)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static ssize_t read_block(int fd, void *buf, off_t at)
{
	ssize_t n = pread(fd, buf, DISK_BLOCK, at);

	if (n >= 0 || errno != EINVAL)
		return n;
	/* The device refuses O_DIRECT: what is cached of this place is thrown away first. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT))
		return -1;
	ioctl(fd, BLKFLSBUF, 0);	/* no disk but a file in a test does not know it */
	posix_fadvise(fd, at, DISK_BLOCK, POSIX_FADV_DONTNEED);
	return pread(fd, buf, DISK_BLOCK, at);
}

/*
 * FNV-1a. It tells blocks apart that were not made to look alike. An agent that wants to lie about its own disk can, with
 * any digest.
 */
static uint64_t digest_of(const uint8_t *p)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	bool zero = true;

	for (size_t i = 0; i < DISK_BLOCK; i++) {
		h = (h ^ p[i]) * 0x100000001b3ULL;
		zero &= !p[i];
	}
	return zero ? 0 : h ?: 1;
}

int disk_digest(int fd, uint64_t nr, uint64_t *digest)
{
	static uint8_t buf[DISK_BLOCK] __attribute__((aligned(DISK_BLOCK)));
	off_t at = nr * DISK_BLOCK;
	ssize_t n;

	if (!(fcntl(fd, F_GETFL) & O_DIRECT))
		posix_fadvise(fd, at, DISK_BLOCK, POSIX_FADV_DONTNEED);
	do
		n = read_block(fd, buf, at);
	while (n < 0 && errno == EINTR);
	if (n != DISK_BLOCK)
		return n < 0 ? -errno : -ENXIO;
	*digest = digest_of(buf);
	return 0;
}
