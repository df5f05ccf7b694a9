// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of a guest VM's frames. An export is its fd until it is armed; an armed one is the module's and is opened again by
 * its id.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "domain.h"
#include "export.h"
#include "fill.h"
#include "guard.h"
#include "ops.h"
#include "vmbeam.h"
#include "work.h"

#define MAX_EXPORTS	16

static struct export exports[MAX_EXPORTS];
static bool ready;

static void exports_init(void)
{
	if (ready)
		return;
	for (int i = 0; i < MAX_EXPORTS; i++)
		exports[i].fd = -1;
	ready = true;
}

static void export_close(struct export *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->filled)
		munmap(e->filled, sizeof(*e->filled));
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}

static struct export *export_slot(void)
{
	exports_init();
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd < 0)
			return &exports[i];
	return NULL;
}

/* 0, -ENOENT, or -errno. Told as an error in @r. */
static int export_get(struct request *r, struct export **out)
{
	struct export *e;
	uint64_t id;
	int dev, fd, rc;

	rc = get_number(r, "export", INT64_MAX, &id);
	if (rc)
		return rc;
	exports_init();
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd >= 0 && exports[i].id == id) {
			*out = &exports[i];
			return 0;
		}

	e = export_slot();
	if (!e)
		return fail(r, -EMFILE, "more than %d exports are open: release some", MAX_EXPORTS);
	dev = vmbeam_open();
	if (dev < 0)
		return fail(r, dev, "/dev/vmbeam does not open: %s", strerror(-dev));
	fd = vmbeam_export_open(dev, id);
	close(dev);
	if (fd < 0)
		return fail(r, fd, "there is no export %llu here, or it was never armed: %s", (unsigned long long)id,
			    strerror(-fd));
	e->fd = fd;
	e->id = id;
	*out = e;
	return 0;
}

static int put_export(struct request *r, struct export *e)
{
	struct vmbeam_export_info info;
	int rc = vmbeam_export_info(e->fd, &info);

	if (rc < 0)
		return fail(r, rc, "export %llu cannot be looked at: %s", (unsigned long long)e->id, strerror(-rc));
	put_number(r, "export", e->id);
	put_number(r, "frames", info.nr_frames);
	put_number(r, "extents", info.nr_extents);
	put_number(r, "refused", e->filled->refused);
	return 0;
}

static int export_create(struct request *r, uint32_t domid, const char *migration, struct export **out)
{
	struct export *e = export_slot();
	int dev, fd;

	if (!e)
		return fail(r, -EMFILE, "more than %d exports are open: release some", MAX_EXPORTS);
	dev = vmbeam_open();
	if (dev < 0)
		return fail(r, dev, "/dev/vmbeam does not open: %s; load vmbeam_guest.ko in this host VM",
			    strerror(-dev));
	fd = vmbeam_export_create(dev, domid, &e->id);
	close(dev);
	if (fd < 0)
		return fail(r, fd, "no export of domain %u can be made: %s", domid, strerror(-fd));
	e->fd = fd;
	e->domid = domid;
	snprintf(e->migration, sizeof(e->migration), "%s", migration);
	*out = e;
	return 0;
}

static int get_how(struct request *r, bool *m2p)
{
	const char *how;
	int rc = get_string(r, "how", 3, false, &how);

	if (rc)
		return rc;
	*m2p = !strcmp(how, "m2p");
	if (!*m2p && strcmp(how, "p2m"))
		return fail(r, -EINVAL, "\"how\" is p2m or m2p, not %s", how);
	return 0;
}

/* Fills it, and says what it has then. */
static int fill_and_tell(struct request *r, struct export *e, uint32_t domid, bool m2p)
{
	int rc = export_fill(r, e, domid, m2p);

	return rc || r->again ? rc : put_export(r, e);
}

static int release_work(const void *arg);
static int export_work(struct request *r, const char *op, struct export *e, int (*fn)(const void *arg));

/*
 * The daemon has one migration at a time: whoever made other exports was given up by an operator (vmbeam forget). An armed
 * one is the module's, and can be opened and released by its id. One that is not is held here alone.
 */
static int let_go_of_others(struct request *r, const char *migration)
{
	struct vmbeam_export_info info;
	int rc;

	for (int i = 0; i < MAX_EXPORTS; i++) {
		struct export *e = &exports[i];

		if (e->fd < 0 || !strcmp(e->migration, migration))
			continue;
		if (vmbeam_export_info(e->fd, &info) || info.state != VMBEAM_EXPORT_ARMED) {
			rc = export_work(r, "export-release", e, release_work);
			if (rc || r->again)
				return rc;
		}
		export_close(e);
	}
	return 0;
}

int op_export_begin(struct request *r)
{
	const char *migration;
	struct export *e = NULL;
	uint32_t domid;
	bool m2p;
	int rc;

	rc = get_migration(r, &migration);
	rc = rc ?: get_domid(r, &domid);
	rc = rc ?: get_how(r, &m2p);
	if (rc)
		return rc;

	/* The same export, asked for again: to go on with it, or because the answer was lost. */
	exports_init();
	rc = let_go_of_others(r, migration);
	if (rc || r->again)
		return rc;
	for (int i = 0; i < MAX_EXPORTS; i++)
		if (exports[i].fd >= 0 && exports[i].domid == domid && !strcmp(exports[i].migration, migration))
			e = &exports[i];
	if (!e)
		rc = export_create(r, domid, migration, &e);
	/* One that could not be filled is released as any other: that, too, can take long. */
	return rc ?: fill_and_tell(r, e, domid, m2p);
}

int op_export_sync(struct request *r)
{
	struct export *e;
	uint32_t domid;
	bool m2p = false;
	int rc;

	rc = get_domid(r, &domid);
	if (!rc && has_key(r, "how"))
		rc = get_how(r, &m2p);
	rc = rc ?: export_get(r, &e);
	if (rc)
		return rc;
	if (e->domid && e->domid != domid)
		return fail(r, -EINVAL, "export %llu is of domain %u, not %u", (unsigned long long)e->id, e->domid,
			    domid);
	rc = fill_and_tell(r, e, domid, m2p);
	if (!rc && !r->again) {
		put_number(r, "added", e->filled->added);
		put_number(r, "removed", e->filled->removed);
	}
	return rc;
}

/* The module makes its list of extents at a read of the first one, and keeps it for the others. */
static int read_work(const void *arg)
{
	const struct export *e = arg;
	struct vmbeam_extent first;
	int rc = vmbeam_export_read(WORK_FD, 0, &first, 1);

	if (rc < 0)
		fprintf(stderr, "export %llu cannot be read: %s\n", (unsigned long long)e->id, strerror(-rc));
	return rc < 0;
}

static int release_work(const void *arg)
{
	const struct export *e = arg;
	int rc = vmbeam_export_release(WORK_FD);

	/* EBADFD: by a request whose answer was lost. */
	if (rc >= 0 || rc == -EBADFD)
		return 0;
	fprintf(stderr, "export %llu cannot be released: %s\n", (unsigned long long)e->id, strerror(-rc));
	return 1;
}

static int export_work(struct request *r, const char *op, struct export *e, int (*fn)(const void *arg))
{
	char key[40];

	snprintf(key, sizeof(key), "%s %llu", op, (unsigned long long)e->id);
	return work_run(r, key, fn, e, e->fd);
}

int op_export_read(struct request *r)
{
	const size_t room = MAX_BLOB_OUT / sizeof(struct vmbeam_extent);
	struct export *e;
	uint64_t offset;
	int rc;

	rc = get_number(r, "offset", INT64_MAX, &offset);
	rc = rc ?: export_get(r, &e);
	if (rc)
		return rc;
	if (offset % sizeof(struct vmbeam_extent))
		return fail(r, -EINVAL, "\"offset\" is not a multiple of %zu", sizeof(struct vmbeam_extent));
	if (!offset) {
		rc = export_work(r, "export-read", e, read_work);
		if (rc || r->again)
			return rc;
	}
	r->out_blob = malloc(room * sizeof(struct vmbeam_extent));
	if (!r->out_blob)
		return fail(r, -ENOMEM, "out of memory");
	rc = vmbeam_export_read(e->fd, offset / sizeof(struct vmbeam_extent), (struct vmbeam_extent *)r->out_blob, room);
	if (rc < 0)
		return fail(r, rc, "export %llu cannot be read: %s", (unsigned long long)e->id, strerror(-rc));
	r->out_len = rc * sizeof(struct vmbeam_extent);
	put_bool(r, "eof", !rc);
	return 0;
}

/*
 * The source's guest VM is named, and is going to leave: from now on no restart of this system may start it by itself. One
 * that cannot be kept from that does not leave: it could run on both sides.
 */
static int leave(struct request *r, uint32_t domid)
{
	char called[TEXT_SHORT], why[400];
	struct json_object *config;
	struct xl_guest guest = {};
	struct error err;
	int rc;

	if (!has_key(r, "uuid"))
		return 0;
	rc = get_string(r, "uuid", UUID_TEXT - 1, false, &guest.uuid);
	rc = rc ?: get_name(r, "name", &guest.name);
	if (rc)
		return rc;
	/* It may have been renamed since its files were written: then its disks tell which are its own. */
	if (domain_config(domid, &config, why, sizeof(why))) {
		rc = error_set(&err, "the toolstack cannot read its configuration, to see which disks it has: %s", why);
	} else {
		guest.disks = config_written_disks(config);
		rc = guard_leave(&guard_here, &guest, time(NULL), &err);
		json_object_put(guest.disks);
		json_object_put(config);
	}
	if (!rc)
		return 0;
	text_short(called, sizeof(called), guest.name);
	return fail(r, -EIO, "%s would be started here by itself while it is away, after a restart of this host VM, and that cannot be prevented: %s",
		    called, err.text);
}

int op_export_arm(struct request *r)
{
	struct vmbeam_export_info info;
	struct export *e;
	int rc = export_get(r, &e);

	if (rc)
		return rc;
	rc = vmbeam_export_info(e->fd, &info);
	/* Then the guest VM has been guarded since before that. */
	if (!rc && info.state == VMBEAM_EXPORT_ARMED)
		return 0;
	if (!rc && leave(r, e->domid))
		return -EIO;
	rc = rc ?: vmbeam_export_arm(e->fd);
	return rc < 0 ? fail(r, rc, "export %llu cannot be armed: %s", (unsigned long long)e->id, strerror(-rc)) : 0;
}

int op_export_release(struct request *r)
{
	struct export *e;
	int rc = export_get(r, &e);

	if (rc == -ENOENT || rc == -EBADFD) {
		/* Released before, or its fd went with an earlier agent and took it along. */
		*r->error = 0;
		return 0;
	}
	if (rc)
		return rc;
	rc = export_work(r, "export-release", e, release_work);
	if (!rc && !r->again)
		export_close(e);
	return rc;
}

bool exports_available(void)
{
	struct vmbeam_query query = {};
	int dev = vmbeam_open();
	bool is;

	if (dev < 0)
		return false;
	is = !vmbeam_query(dev, &query) && (query.features & VMBEAM_FEATURE_EXPORT);
	close(dev);
	return is;
}
