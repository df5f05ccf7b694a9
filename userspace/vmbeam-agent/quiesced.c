// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quiesced.h"
#include "rings.h"
#include "store.h"
#include "work.h"

/* Behind a network card whose script nobody waits for again. */
#define HUNG " hung"

int quiesced_lock(void)
{
	int fd;

	mkdir(RUN_DIR, 0700);
	fd = open(RUN_DIR "/backends.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX))
		return 0;
	fprintf(stderr, RUN_DIR "/backends.lock cannot be locked: %s\n", strerror(errno));
	return -1;
}

void quiesced_key(uint32_t domid, char *key)
{
	snprintf(key, 32, "quiesce %u", domid);
}

void quiesced_stop(uint32_t domid)
{
	char key[32];

	quiesced_key(domid, key);
	work_stop(key);
}

static void list_path(uint32_t domid, char *path, size_t len)
{
	snprintf(path, len, RUN_DIR "/quiesced-%u", domid);
}

/* By rename: half a list would leave a guest VM without a disk. */
int quiesced_write(uint32_t domid, const struct device *devices, int nr)
{
	char path[64], temp[72];
	bool bad = false;
	FILE *f;

	list_path(domid, path, sizeof(path));
	snprintf(temp, sizeof(temp), "%s.new", path);
	mkdir(RUN_DIR, 0700);
	f = fopen(temp, "we");
	if (f) {
		for (int i = 0; i < nr; i++)
			bad |= fprintf(f, "%s%s\n", device_name(&devices[i]), devices[i].hung ? HUNG : "") < 0;
		bad |= fclose(f) != 0;
	}
	if (f && !bad && !rename(temp, path))
		return 0;
	fprintf(stderr, "%s cannot be written: %s\n", path, strerror(errno));
	return -1;
}

int quiesced_read(uint32_t domid, struct device *devices)
{
	char path[64], line[64];
	int nr = 0;
	FILE *f;

	list_path(domid, path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (nr < MAX_DEVICES && fgets(line, sizeof(line), f)) {
		char *hung = strstr(line, HUNG);

		line[strcspn(line, "\n ")] = 0;
		if (device_parse(line, &devices[nr]) && devices[nr].domid == domid)
			devices[nr++].hung = hung;
	}
	fclose(f);
	return nr;
}

bool quiesced_has(const struct device *devices, int nr, const struct device *d)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(devices[i].kind, d->kind) && devices[i].devid == d->devid)
			return true;
	return false;
}

void quiesced_remove(uint32_t domid)
{
	char path[64];

	list_path(domid, path, sizeof(path));
	unlink(path);
}

bool quiesced_disk(uint32_t domid)
{
	struct device list[MAX_DEVICES];
	int nr = quiesced_read(domid, list);

	for (int i = 0; i < nr; i++)
		if (!strcmp(list[i].kind, "vbd") && !device_bound(&list[i]))
			return true;
	return false;
}

void quiesced_forget(uint32_t domid)
{
	struct device devices[MAX_DEVICES];
	struct xs_handle *xs;
	int nr;

	quiesced_lock();	/* if that fails the toolstack only takes longer */
	nr = devices_read(domid, devices);
	xs = store_open();

	for (int i = 0; xs && i < nr; i++)
		if (!devices[i].bound)
			store_write(xs, STATE_CLOSED, "backend/%s/%u/%u/state", devices[i].kind, domid,
				    devices[i].devid);
	if (xs)
		store_close(xs);
	quiesced_remove(domid);
}
