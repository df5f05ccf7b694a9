// SPDX-License-Identifier: GPL-2.0
/*
 * Who else has a disk. The kernel does not say: blkback opens devices without O_EXCL, and a guest VM that is paused has
 * not written anything yet. The toolstack checks within one system, and only where it runs its block script to the end.
 * So all disks of all backends in xenstore are looked through, also those of driver domains.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "request.h"
#include "store.h"
#include "text.h"
#include "users.h"

#define STATE_CLOSED "6"

struct search {
	struct xs_handle *xs;
	const struct disk *disk;
	const char *called;
	uint32_t domid;
	struct json_object *problems;
};

/* Calls @each for each key below a path, which is passed on. */
static void for_each(struct search *s, const char *path, void (*each)(struct search *s, const char *path))
{
	unsigned int nr = 0;
	char **keys = store_list(s->xs, &nr, "%s", path), below[256];

	for (unsigned int i = 0; keys && i < nr; i++)
		if ((size_t)snprintf(below, sizeof(below), "%s/%s", path, keys[i]) < sizeof(below))
			each(s, below);
	free(keys);
}

/* What a backend serves: blkback writes it down in hexadecimal; of QEMU only the path is known, behind a format. */
static dev_t device_of(struct search *s, const char *path)
{
	char *number = store_read(s->xs, "%s/physical-device", path), *params = NULL, *target;
	unsigned int maj, min;
	struct stat st;
	dev_t dev = 0;

	if (number && sscanf(number, "%x:%x", &maj, &min) == 2) {
		dev = makedev(maj, min);
	} else {
		params = store_read(s->xs, "%s/params", path);
		target = params ? strchr(params, '/') : NULL;
		if (target && !stat(target, &st) && S_ISBLK(st.st_mode))
			dev = st.st_rdev;
	}
	free(number);
	free(params);
	return dev;
}

static void look_at(struct search *s, const char *path)
{
	int64_t domid = store_number(s->xs, UINT32_MAX, -1, "%s/frontend-id", path);
	char *mode = store_read(s->xs, "%s/mode", path), *state = store_read(s->xs, "%s/state", path);
	bool writes = mode && *mode == 'w' && (!state || strcmp(state, STATE_CLOSED));

	if (writes && domid != s->domid && disk_overlap(s->disk->dev, device_of(s, path))) {
		char *name = store_read(s->xs, "/local/domain/%lld/name", (long long)domid);
		char who[TEXT_SHORT];

		text_short(who, sizeof(who), name ? name : "?");
		add_problem(s->problems, "the disk %s can be written by guest VM %s, too (domain %lld here): two guest VMs would destroy what is on it. Detach it there (xl block-detach), or shut that guest VM down",
			    s->called, who, (long long)domid);
		free(name);
	}
	free(mode);
	free(state);
}

static void frontend(struct search *s, const char *path)
{
	for_each(s, path, look_at);
}

static void domain(struct search *s, const char *path)
{
	static const char *const kinds[] = { "vbd", "qdisk" };
	char below[256];

	for (int i = 0; i < 2; i++)
		if ((size_t)snprintf(below, sizeof(below), "%s/backend/%s", path, kinds[i]) < sizeof(below))
			for_each(s, below, frontend);
}

void users_check(const struct disk *d, const char *called, uint32_t domid, struct json_object *problems)
{
	struct search s = { .xs = store_open(), .disk = d, .called = called, .domid = domid, .problems = problems };

	if (!s.xs) {
		add_problem(problems, "who uses the disk %s is not known: xenstore does not open: %s", called, strerror(errno));
		return;
	}
	for_each(&s, "/local/domain", domain);
	store_close(s.xs);
}
