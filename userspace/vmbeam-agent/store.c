// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define MAX_PATH 256

struct xs_handle *store_open(void)
{
	return xs_open(0);
}

void store_close(struct xs_handle *xs)
{
	xs_close(xs);
}

char **store_list(struct xs_handle *xs, unsigned int *nr, const char *fmt, ...)
{
	char path[MAX_PATH];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	*nr = 0;
	return len < (int)sizeof(path) ? xs_directory(xs, XBT_NULL, path, nr) : NULL;
}

char *store_read(struct xs_handle *xs, const char *fmt, ...)
{
	char path[MAX_PATH];
	unsigned int len;
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return xs_read(xs, XBT_NULL, path, &len);
}

int64_t store_number(struct xs_handle *xs, int64_t max, int64_t otherwise, const char *fmt, ...)
{
	char path[MAX_PATH], *text, *end;
	unsigned int len;
	va_list args;
	int64_t v;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	text = xs_read(xs, XBT_NULL, path, &len);
	if (!text)
		return otherwise;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > max)
		v = -1;
	free(text);
	return v;
}

bool store_write(struct xs_handle *xs, const char *value, const char *fmt, ...)
{
	char path[MAX_PATH];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return xs_write(xs, XBT_NULL, path, value, strlen(value));
}

bool store_cancel(uint32_t domid, const char *request)
{
	struct xs_handle *xs = xs_open(0);
	bool cancelled = false;
	char path[MAX_PATH];

	if (!xs)
		return false;
	snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
	for (int tries = 0; tries < 100; tries++) {
		xs_transaction_t t = xs_transaction_start(xs);
		unsigned int len;
		char *text;
		bool asked;

		if (t == XBT_NULL)
			break;
		text = xs_read(xs, t, path, &len);
		asked = text && !strcmp(text, request);
		free(text);
		if (!asked) {
			xs_transaction_end(xs, t, true);
			break;
		}
		xs_write(xs, t, path, "", 0);
		if (xs_transaction_end(xs, t, false)) {
			cancelled = true;
			break;
		}
		if (errno != EAGAIN)
			break;
	}
	xs_close(xs);
	return cancelled;
}

void store_touch(uint32_t domid)
{
	struct xs_handle *xs = xs_open(0);

	if (!xs)
		return;
	/* Linux watches "device" for new devices, and takes no notice of an event for "device" itself. */
	store_write(xs, "", "/local/domain/%u/device", domid);
	xs_close(xs);
}
