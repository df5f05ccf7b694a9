// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxlutil.h>

#include "js.h"
#include "text.h"
#include "xl_file.h"

#define MAX_CONFIG	(1 << 20)

/* There is no file behind that path, for anybody: xl does not find one either. */
static bool is_missing(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP;
}

static int cannot_tell(const char *path, int err, struct error *e)
{
	return is_missing(err) ? 0 : error_set(e, "%s cannot be read: %s", path, strerror(err));
}

/* The whole file, to be freed. 1; 0: there is none that xl would read; or -1. */
static int read_file(const char *path, char **text, size_t *len, struct error *err)
{
	struct stat st;
	ssize_t n = 1;
	int fd, why = 0;

	if (stat(path, &st))
		return cannot_tell(path, errno, err);
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cannot_tell(path, errno, err);
	*text = malloc(MAX_CONFIG + 1);
	if (!*text)
		why = ENOMEM;
	for (*len = 0; !why && n && *len <= MAX_CONFIG; *len += n) {
		n = read(fd, *text + *len, MAX_CONFIG + 1 - *len);
		if (n < 0) {
			why = errno;
			n = 0;
		}
	}
	close(fd);
	if (!why && *len <= MAX_CONFIG)
		return 1;
	free(*text);
	*text = NULL;
	return why ? error_set(err, "%s cannot be read: %s", path, strerror(why)) :
		     error_set(err, "%s has more than %d bytes, and is not read to see which guest VM it is of: move it out of that directory if it is no configuration of one",
			       path, MAX_CONFIG);
}

/* 1, 0, or -1. */
static int same_disk(const char *a, const char *b, struct error *err)
{
	struct stat x, y;

	if (!strcmp(a, b))
		return 1;
	if (stat(a, &x))
		return cannot_tell(a, errno, err);
	if (stat(b, &y))
		return cannot_tell(b, errno, err);
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* As the toolstack takes it: what is no path is one in /dev. */
static void full_path(char *full, const char *path)
{
	snprintf(full, PATH_MAX, "%s%s", *path == '/' ? "" : "/dev/", path);
}

static int is_disk_of(const char *path, const struct xl_guest *guest, struct error *err)
{
	char a[PATH_MAX], b[PATH_MAX];
	int rc = 0;

	full_path(a, path);
	for (size_t i = 0; !rc && i < js_len(guest->disks); i++) {
		full_path(b, json_object_get_string(json_object_array_get_idx(guest->disks, i)));
		rc = same_disk(a, b, err);
	}
	return rc;
}

/* A disk that both may write to. One that is only read, a CD, say, belongs to nobody. */
static int shares_disk(XLU_Config *config, const char *path, const struct xl_guest *guest, struct error *err)
{
	XLU_ConfigList *list;
	int nr = 0, rc = 0;

	if (xlu_cfg_get_list(config, "disk", &list, &nr, 1))
		return 0;
	for (int i = 0; !rc && i < nr; i++) {
		const char *spec = xlu_cfg_get_listitem(list, i);
		libxl_device_disk disk;
		int bad;

		if (!spec)
			continue;
		libxl_device_disk_init(&disk);
		bad = xlu_disk_parse(config, 1, &spec, &disk);
		if (!bad && disk.readwrite && disk.pdev_path && *disk.pdev_path)
			rc = is_disk_of(disk.pdev_path, guest, err);
		else if (bad && bad != EINVAL)
			rc = error_set(err, "%s cannot be read: %s", path, strerror(bad));
		libxl_device_disk_dispose(&disk);
		/* xl takes no part of a file that has one it does not understand. */
		if (bad == EINVAL)
			return 0;
	}
	return rc;
}

static int is_of(XLU_Config *config, const char *path, const struct xl_guest *guest, struct error *err)
{
	const char *uuid = NULL, *name = NULL;
	char *form;
	bool is;

	xlu_cfg_get_string(config, "uuid", &uuid, 1);
	xlu_cfg_get_string(config, "name", &name, 1);
	form = name ? text_name(name) : NULL;
	if (name && !form)
		return error_set(err, "%s cannot be read: out of memory", path);
	is = (uuid && !strcasecmp(uuid, guest->uuid)) || (form && !strcmp(form, guest->name));
	free(form);
	return is ? 1 : shares_disk(config, path, guest, err);
}

int xl_file_is_of(const char *path, const struct xl_guest *guest, struct error *err)
{
	XLU_Config *config;
	char *text = NULL;
	FILE *report;
	size_t len = 0;
	int rc = read_file(path, &text, &len, err), bad;

	if (rc <= 0)
		return rc;
	/* What it says of mistakes is of no use to anybody here. */
	report = fopen("/dev/null", "we");
	config = report ? xlu_cfg_init(report, path) : NULL;
	bad = config ? xlu_cfg_readdata(config, text, len) : ENOMEM;
	/* What the parser does not take xl does not start either. */
	if (!bad)
		rc = is_of(config, path, guest, err);
	else
		rc = bad == EINVAL || bad == ERANGE ? 0 : error_set(err, "%s cannot be read: %s", path, report ? strerror(bad) : "/dev/null does not open");
	if (config)
		xlu_cfg_destroy(config);
	if (report)
		fclose(report);
	free(text);
	return rc;
}
