// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "rate.h"

#define FRAME_BYTES	4096

void rate_duration(char *out, size_t size, int64_t s)
{
	if (s >= 3600)
		snprintf(out, size, "%lld:%02d:%02d", (long long)s / 3600, (int)(s / 60 % 60), (int)(s % 60));
	else
		snprintf(out, size, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

static void bytes_text(char *out, size_t size, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	int u = 0;

	while (bytes >= 1024 && u < 4) {
		bytes /= 1024;
		u++;
	}
	snprintf(out, size, "%.*f %s", u ? 1 : 0, bytes, units[u]);
}

void rate_text(char *out, size_t size, uint64_t done, uint64_t total, const char *unit, int64_t ms)
{
	double s = ms / 1000.0;
	char rate[32], left[32];

	*out = 0;
	if (!total || !done || done > total || s < 1)
		return;
	bytes_text(rate, sizeof(rate), done * (double)(!strcmp(unit, "frames") ? FRAME_BYTES : 1) / s);
	rate_duration(left, sizeof(left), s * (total - done) / done);
	snprintf(out, size, ", %s/s, %s left", rate, left);
}
