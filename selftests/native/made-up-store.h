/* SPDX-License-Identifier: GPL-2.0 */
/* A xenstore of a test's own: what node() has put into it. */
#ifndef MADE_UP_STORE_H
#define MADE_UP_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#define MAX_NODES 64

static struct {
	char path[200], value[100];
} store[MAX_NODES];
static size_t nr_nodes;
static bool no_store;

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	errno = ECONNREFUSED;
	return no_store ? NULL : (struct xs_handle *)store;
}

void xs_close(struct xs_handle *xs)
{
	(void)xs;
}

void *xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *len)
{
	(void)xs;
	(void)t;
	for (size_t i = 0; i < nr_nodes; i++)
		if (!strcmp(store[i].path, path)) {
			*len = strlen(store[i].value);
			return strdup(store[i].value);
		}
	return NULL;
}

/* One block of memory, as the library's: the strings lie behind the pointers. */
char **xs_directory(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *num)
{
	char **list = calloc(1, 64 * sizeof(*list) + 4096), *text = (char *)(list + 64);
	size_t len = strlen(path);

	(void)xs;
	(void)t;
	*num = 0;
	for (size_t i = 0; i < nr_nodes; i++) {
		const char *key = store[i].path + len + 1;
		size_t n = strcspn(key, "/");
		bool had = strncmp(store[i].path, path, len) || store[i].path[len] != '/';

		for (unsigned int k = 0; !had && k < *num; k++)
			had = strlen(list[k]) == n && !strncmp(list[k], key, n);
		if (had)
			continue;
		memcpy(text, key, n);
		list[(*num)++] = text;
		text += n + 1;
	}
	return list;
}

xs_transaction_t xs_transaction_start(struct xs_handle *xs)
{
	(void)xs;
	return XBT_NULL;
}

bool xs_transaction_end(struct xs_handle *xs, xs_transaction_t t, bool abort)
{
	(void)xs;
	(void)t;
	(void)abort;
	return false;
}

static void node(const char *path, const char *value)
{
	size_t i = 0;

	while (i < nr_nodes && strcmp(store[i].path, path))
		i++;
	if (i == MAX_NODES)
		abort();
	nr_nodes += i == nr_nodes;
	snprintf(store[i].path, sizeof(store[0].path), "%s", path);
	snprintf(store[i].value, sizeof(store[0].value), "%s", value);
}

bool xs_write(struct xs_handle *xs, xs_transaction_t t, const char *path, const void *data, unsigned int len)
{
	char value[100];

	(void)xs;
	(void)t;
	snprintf(value, sizeof(value), "%.*s", (int)len, (const char *)data);
	node(path, value);
	return true;
}

#endif
