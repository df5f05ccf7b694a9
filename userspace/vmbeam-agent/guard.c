// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "js.h"
#include "log.h"
#include "sync.h"
#include "text.h"
#include "xl_file.h"

#define UUID_LEN	36

struct guard guard_here = { .autostart = GUARD_AUTOSTART, .saved = GUARD_SAVED, .state = GUARD_STATE };

/* It becomes a file's name. */
static bool is_uuid(const char *text)
{
	return strlen(text) == UUID_LEN && strspn(text, "0123456789abcdefABCDEF-") == UUID_LEN;
}

/* Where the files of the autostart are, and where they are aside. 1: there is no autostart. */
static int directories(const struct guard *g, char *from, char *aside, struct error *err)
{
	*aside = 0;
	if (!realpath(g->autostart, from))
		return errno == ENOENT ? 1 : error_set(err, "%s: %s", g->autostart, strerror(errno));
	/* Beside it: symbolic links with relative targets stay good. */
	if (snprintf(aside, PATH_MAX, "%s" GUARD_ASIDE, from) >= PATH_MAX)
		return error_set(err, "%s: its path is too long", from);
	return 0;
}

/*
 * Aside, a file has the guest VM's UUID behind its name: another guest VM's may have been called the same. Where the UUID
 * begins, behind a dot; NULL: it is none of those.
 */
static const char *aside_uuid(const char *name)
{
	size_t len = strlen(name);

	return len > UUID_LEN + 1 && name[len - UUID_LEN - 1] == '.' && is_uuid(name + len - UUID_LEN) ? name + len - UUID_LEN : NULL;
}

static int path_join(char *path, const char *dir, const char *name, const char *uuid)
{
	errno = ENAMETOOLONG;
	return snprintf(path, PATH_MAX, "%s/%s%s%s", dir, name, *uuid ? "." : "", uuid) >= PATH_MAX ? -1 : 0;
}

/*
 * Moves the guest VM's files aside. How many, or -1: then those that could be have been moved all the same. What is aside
 * already under that name is older, and makes way: somebody has put a new one in its place.
 */
static int move_aside(const char *from, const char *aside, const struct xl_guest *guest, struct error *err)
{
	DIR *dir = opendir(from);
	struct error ignored;
	struct dirent *entry;
	int moved = 0, bad = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, "%s: %s", from, strerror(errno));
	while (errno = 0, (entry = readdir(dir))) {
		char old[PATH_MAX], new[PATH_MAX];
		int is;

		/* xendomains passes over hidden ones, too. */
		if (*entry->d_name == '.' || path_join(old, from, entry->d_name, ""))
			continue;
		/* Of several errors, which follow from each other mostly, the first is told. */
		is = xl_file_is_of(old, guest, bad ? &ignored : err);
		if (is < 0)
			bad = -1;
		if (is <= 0)
			continue;
		if (!path_join(new, aside, entry->d_name, guest->uuid) &&
		    !renameat2(AT_FDCWD, old, AT_FDCWD, new, 0))
			moved++;
		else
			bad = error_set(bad ? &ignored : err, "%s cannot be moved to %s: %s", old, aside, strerror(errno));
	}
	if (errno && !bad)
		bad = error_set(err, "%s: %s", from, strerror(errno));
	closedir(dir);
	if (moved && (sync_dir(aside) || sync_dir(from)) && !bad)
		bad = error_set(err, "%s cannot be written to the disk", aside);
	return bad ?: moved;
}

/* What an operator is told of a file that could not go back. Always -1. */
static int stays(struct error *err, const char *old, const char *new)
{
	return error_set(err, "%s was put aside while a guest VM was away, and %s has come meanwhile: see which of the two is to start it, leave that one as %s, and remove %s",
			 old, new, new, old);
}

/* Moves them back. 0; 1: another file has come in the place of one, which stays where it is, and @err says so; or -1. */
static int move_back(const char *aside, const char *to, const char *uuid, struct error *err)
{
	DIR *dir = opendir(aside);
	struct dirent *entry;
	int moved = 0, rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, "%s: %s", aside, strerror(errno));
	while (rc >= 0 && (errno = 0, (entry = readdir(dir)))) {
		const char *whose = aside_uuid(entry->d_name);
		char old[PATH_MAX], new[PATH_MAX];

		if (!whose || strcasecmp(whose, uuid) || path_join(old, aside, entry->d_name, "") || path_join(new, to, entry->d_name, ""))
			continue;
		new[strlen(new) - UUID_LEN - 1] = 0;
		if (!renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE)) {
			moved++;
		} else if (errno == EEXIST) {
			stays(err, old, new);
			log_warn("%s", err->text);
			rc = 1;
		} else {
			rc = error_set(err, "%s cannot be moved to %s: %s", old, to, strerror(errno));
		}
	}
	if (rc >= 0 && errno)
		rc = error_set(err, "%s: %s", aside, strerror(errno));
	closedir(dir);
	if (moved && (sync_dir(to) || sync_dir(aside)) && rc >= 0)
		rc = error_set(err, "%s cannot be written to the disk", to);
	return rc;
}

static int hide(const struct guard *g, const struct xl_guest *guest, struct error *err)
{
	char from[PATH_MAX], aside[PATH_MAX];
	int rc = directories(g, from, aside, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (mkdir(aside, 0755) && errno != EEXIST)
		return error_set(err, "%s: %s", aside, strerror(errno));
	return move_aside(from, aside, guest, err);
}

static int record_path(const struct guard *g, const char *uuid, char *path, size_t size, struct error *err)
{
	if (!is_uuid(uuid))
		return error_set(err, "\"%s\" is no UUID", uuid);
	if (snprintf(path, size, "%s/%s", g->state, uuid) >= (int)size)
		return error_set(err, "%s: its path is too long", g->state);
	return 0;
}

static int write_record(const char *path, const struct xl_guest *guest, int64_t now, struct error *err)
{
	struct json_object *json = json_object_new_object();
	int rc;

	js_add_str(json, "uuid", guest->uuid);
	js_add_str(json, "name", guest->name);
	json_object_object_add(json, "disks", guest->disks ? json_object_get(guest->disks) : json_object_new_array());
	json_object_object_add(json, "since", json_object_new_int64(now));
	rc = state_write(path, json, err);
	json_object_put(json);
	return rc;
}

/* xendomains restores what it saved before a restart, and keeps what it could not restore. */
static int no_saved_image(const struct guard *g, const char *name, struct error *err)
{
	char *raw = text_unname(name), path[PATH_MAX];
	bool is;

	if (!raw || !g->saved || strchr(raw, '/') || snprintf(path, sizeof(path), "%s/%s", g->saved, raw) >= (int)sizeof(path)) {
		free(raw);
		return 0;
	}
	free(raw);
	is = !access(path, F_OK);
	return is ? error_set(err, "%s is an old image of this guest VM, and xendomains would restore it here after a restart while the guest VM is away: remove it",
			      path) : 0;
}

int guard_leave(const struct guard *g, const struct xl_guest *guest, int64_t now, struct error *err)
{
	char path[PATH_MAX];

	if (record_path(g, guest->uuid, path, sizeof(path), err) || no_saved_image(g, guest->name, err))
		return -1;
	if (state_dir_make(g->state, err))
		return -1;
	/* Written down first: whatever is moved after that is known to have to come back. One that is there may be outdated. */
	if (write_record(path, guest, now, err))
		return -1;
	return hide(g, guest, err) < 0 ? -1 : 0;
}

static int read_record(const char *path, struct guard_away *away)
{
	struct json_object *json = json_object_from_file(path);
	struct json_object *since = js_get(json, "since", json_type_int);
	const char *uuid = js_str(json, "uuid", ""), *name = js_str(json, "name", NULL);
	int rc = -1;

	memset(away, 0, sizeof(*away));
	if (is_uuid(uuid) && name) {
		strcpy(away->uuid, uuid);
		away->name = strdup(name);
		away->disks = json_object_get(js_array(json, "disks"));
		away->since = since ? json_object_get_int64(since) : 0;
		rc = away->name ? 0 : -1;
	}
	json_object_put(json);
	return rc;
}

static void away_clear(struct guard_away *away)
{
	free(away->name);
	json_object_put(away->disks);
}

static struct xl_guest guest_of(const struct guard_away *away)
{
	return (struct xl_guest){ .uuid = away->uuid, .name = away->name, .disks = away->disks };
}

static int forget(const struct guard *g, const char *path, struct error *err)
{
	if (unlink(path) && errno == ENOENT)
		return 0;
	return access(path, F_OK) && !sync_dir(g->state) ? 0 : error_set(err, "%s: %s", path, strerror(errno));
}

bool guard_is_away(const struct guard *g, const char *uuid)
{
	char path[PATH_MAX];
	struct error err;

	return !record_path(g, uuid, path, sizeof(path), &err) && !access(path, F_OK);
}

int guard_back(const struct guard *g, const char *uuid, struct error *err)
{
	char path[PATH_MAX], to[PATH_MAX], aside[PATH_MAX];
	int rc;

	if (record_path(g, uuid, path, sizeof(path), err))
		return -1;
	if (access(path, F_OK))
		return errno == ENOENT ? 0 : error_set(err, "%s: %s", path, strerror(errno));
	/* Something that keeps no empty directories may have removed it. */
	mkdir(g->autostart, 0755);
	rc = directories(g, to, aside, err);
	if (!rc)
		rc = move_back(aside, to, uuid, err);
	else if (rc > 0)
		rc = 0;
	/* The record goes last: until then it can be repeated. */
	if (rc < 0 || forget(g, path, err))
		return -1;
	/* Only when nobody else's are in it. */
	if (*aside)
		rmdir(aside);
	return rc;
}

int guard_left(const struct guard *g, void (*each)(const char *text, void *arg), void *arg, struct error *err)
{
	char to[PATH_MAX], aside[PATH_MAX];
	int rc = directories(g, to, aside, err);
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (rc)
		return rc < 0 ? -1 : 0;
	dir = opendir(aside);
	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, "%s: %s", aside, strerror(errno));
	while ((entry = readdir(dir))) {
		const char *uuid = aside_uuid(entry->d_name);
		char old[PATH_MAX], new[PATH_MAX];
		struct error text;

		if (!uuid || guard_is_away(g, uuid) || path_join(old, aside, entry->d_name, "") || path_join(new, to, entry->d_name, ""))
			continue;
		new[strlen(new) - UUID_LEN - 1] = 0;
		if (lstat(new, &st))
			continue;
		stays(&text, old, new);
		each(text.text, arg);
	}
	closedir(dir);
	return 0;
}

int guard_adopt(const struct guard *g, const char *uuid, struct error *err)
{
	char path[PATH_MAX];

	return record_path(g, uuid, path, sizeof(path), err) ? -1 : forget(g, path, err);
}

int guard_list(const struct guard *g, int (*each)(const struct guard_away *away, void *arg), void *arg, struct error *err)
{
	DIR *dir = opendir(g->state);
	struct dirent *entry;
	int rc = 0, bad = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, "%s: %s", g->state, strerror(errno));
	while (!rc && (errno = 0, (entry = readdir(dir)))) {
		struct guard_away away;
		char path[PATH_MAX];

		/* One that was begun when the system went down has another name, and what it stands for did not happen. */
		if (!is_uuid(entry->d_name) ||
		    snprintf(path, sizeof(path), "%s/%s", g->state, entry->d_name) >= (int)sizeof(path))
			continue;
		/* The others are to be guarded all the same. */
		if (read_record(path, &away))
			bad = error_set(err, "%s makes no sense: a guest VM is away, and it is not known which", path);
		else
			rc = each(&away, arg);
		away_clear(&away);
	}
	if (!rc && !entry && errno)
		bad = error_set(err, "%s: %s", g->state, strerror(errno));
	closedir(dir);
	return rc ?: bad;
}

struct applying {
	const struct guard *g;
	struct error *err;
	bool bad;
	int moved;
};

static int apply_one(const struct guard_away *away, void *arg)
{
	struct applying *a = arg;
	struct xl_guest guest = guest_of(away);
	struct error ignored;
	int moved = hide(a->g, &guest, a->bad ? &ignored : a->err);

	/* The others are to be guarded all the same. */
	if (moved < 0)
		a->bad = true;
	if (moved > 0)
		log_warn("%s is away: what would start it was moved from %s to %s" GUARD_ASIDE, away->name, a->g->autostart,
			 a->g->autostart);
	a->moved += moved > 0 ? moved : 0;
	return 0;
}

int guard_apply(const struct guard *g, struct error *err)
{
	struct applying a = { .g = g, .err = err };

	struct error listing;

	/* What is wrong with a file is told before what is wrong with a record. */
	if (guard_list(g, apply_one, &a, &listing) && !a.bad) {
		*err = listing;
		a.bad = true;
	}
	return a.bad ? -1 : a.moved;
}
