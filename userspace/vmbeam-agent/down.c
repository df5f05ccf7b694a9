// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#include "down.h"
#include "js.h"
#include "state_dir.h"
#include "sync.h"
#include "work.h"

static void path_of(const char *uuid, char *path)
{
	snprintf(path, PATH_MAX, STATE_DIR "/down-%s.json", uuid);
}

int down_lock(const char *uuid, struct error *err)
{
	char path[PATH_MAX];
	int fd;

	if (state_dir_make(RUN_DIR, err))
		return -1;
	snprintf(path, sizeof(path), RUN_DIR "/down-%s.lock", uuid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX))
		return fd;
	error_set(err, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int down_write(const char *uuid, const char *name, struct json_object *config, bool starting, struct error *err)
{
	struct json_object *json;
	char path[PATH_MAX];
	int rc;

	if (state_dir_make(STATE_DIR, err))
		return -1;
	path_of(uuid, path);
	json = json_object_new_object();
	js_add_str(json, "uuid", uuid);
	js_add_str(json, "name", name);
	js_add_bool(json, "starting", starting);
	json_object_object_add(json, "config", json_object_get(config));
	rc = state_write(path, json, err);
	json_object_put(json);
	return rc;
}

struct json_object *down_read(const char *uuid, struct error *err)
{
	struct json_object *json;
	char path[PATH_MAX];

	path_of(uuid, path);
	if (access(path, F_OK)) {
		error_set(err, "no configuration of a guest VM with the UUID %s is kept here: it was not shut down for a maintenance, or has been started since",
			  uuid);
		return NULL;
	}
	json = json_object_from_file(path);
	if (js_str(json, "name", NULL) && js_get(json, "config", json_type_object) && !strcasecmp(js_str(json, "uuid", ""), uuid))
		return json;
	error_set(err, "%s makes no sense, or is of another guest VM: create the guest VM by hand (xl create), and remove it", path);
	json_object_put(json);
	return NULL;
}

int down_list(void (*each)(const char *uuid, const char *name, void *arg), void *arg, struct error *err)
{
	DIR *dir = opendir(STATE_DIR);
	struct dirent *d;

	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, STATE_DIR ": %s", strerror(errno));
	while ((d = readdir(dir))) {
		struct json_object *json;
		char uuid[37], end[8];
		struct error unread;

		if (sscanf(d->d_name, "down-%36[0-9a-f-]%7s", uuid, end) != 2 || strcmp(end, ".json"))
			continue;
		json = down_read(uuid, &unread);
		each(uuid, json ? js_str(json, "name", uuid) : uuid, arg);
		json_object_put(json);
	}
	closedir(dir);
	return 0;
}

int down_forget(const char *uuid, struct error *err)
{
	char path[PATH_MAX];

	path_of(uuid, path);
	if (unlink(path) && errno != ENOENT)
		return error_set(err, "%s: %s", path, strerror(errno));
	sync_dir_of(path);	/* else it is there again: starting what runs is no error */
	return 0;
}
