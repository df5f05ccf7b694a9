// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_dir.h"
#include "sync.h"

int state_dir_make(const char *path, struct error *err)
{
	char copy[PATH_MAX], *above;
	int rc;

	if (!mkdir(path, 0700))
		goto made;
	if (errno == ENOENT && snprintf(copy, sizeof(copy), "%s", path) < (int)sizeof(copy)) {
		above = dirname(copy);
		if (!mkdir(above, 0755) && !mkdir(path, 0700))
			goto made;
	}
	return errno == EEXIST ? 0 : error_set(err, "%s cannot be made: %s", path, strerror(errno));
made:
	/* What is written into it later is lost with it, whatever was done for that. */
	rc = sync_dir_of(path);
	return rc ? error_set(err, "%s: %s", path, strerror(-rc)) : 0;
}

int state_write(const char *path, struct json_object *json, struct error *err)
{
	char temp[PATH_MAX + 8];
	FILE *f;
	int rc;

	snprintf(temp, sizeof(temp), "%s.new", path);
	f = fopen(temp, "we");
	rc = f ? fprintf(f, "%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)) < 0 : -1;
	rc = rc || fflush(f) || fsync(fileno(f));
	if (f && fclose(f))
		rc = -1;
	if (!rc && !rename(temp, path) && !sync_dir_of(path))
		return 0;
	error_set(err, "%s: %s", path, strerror(errno));
	unlink(temp);
	return -1;
}
