/* SPDX-License-Identifier: GPL-2.0 */
/* A sysfs of a test's own. */
#ifndef MADE_UP_SYSFS_H
#define MADE_UP_SYSFS_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A file of this sysfs, and all directories above it. */
static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

#endif
