// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "limit.h"

#define MOST_S	86400

static struct {
	const char *name;
	int seconds;
} limits[NR_LIMITS] = {
	[LIMIT_CHECK_CONNECT] = { "check-connect", 15 },
	[LIMIT_CONNECT] = { "connect", 30 },
	[LIMIT_HELLO] = { "hello", 3 },
	[LIMIT_REPLY] = { "reply", 35 },
	[LIMIT_CHECK] = { "check", 120 },
	[LIMIT_COUNT] = { "count", 600 },
	[LIMIT_SHORT] = { "short", 60 },
	[LIMIT_LONG] = { "long", 600 },
	[LIMIT_STALL] = { "stall", 300 },
	[LIMIT_SUSPEND] = { "suspend", 120 },
	[LIMIT_LATE_SUSPEND] = { "late-suspend", 10 },
	[LIMIT_QUIESCE] = { "quiesce", 180 },
	[LIMIT_REBIND] = { "rebind", 120 },
	[LIMIT_PAUSE] = { "pause", 600 },
	[LIMIT_MIGRATION] = { "migration", 3600 },
	[LIMIT_STOP] = { "stop", 60 },
	[LIMIT_FINISH] = { "finish", 180 },
	[LIMIT_DRAIN] = { "drain", 60 },
	[LIMIT_PORT] = { "port", 10 },
	[LIMIT_RECONNECT] = { "reconnect", 30 },
	[LIMIT_SCRIPT] = { "script", 30 },
	/* Linux's freezer takes up to 20 s for processes, and as long for kernel threads. */
	[LIMIT_FREEZE] = { "freeze", 45 },
	[LIMIT_SHUTDOWN] = { "shutdown", 300 },
	[LIMIT_PROBE] = { "probe", 120 },
	[LIMIT_HOOK] = { "hook", 60 },
	[LIMIT_RUN] = { "run", 3600 },
	[LIMIT_SYSTEM] = { "system", 900 },
	[LIMIT_XL] = { "xl", 300 },
	[LIMIT_LOOK] = { "look", 60 },
	[LIMIT_CLOCK] = { "clock", 60 },
};

int limit_s(enum limit limit)
{
	return limits[limit].seconds;
}

int limit_set(const char *name, int64_t seconds)
{
	for (int i = 0; i < NR_LIMITS; i++) {
		if (strcmp(name, limits[i].name))
			continue;
		if (seconds < 1 || seconds > MOST_S)
			return -ERANGE;
		limits[i].seconds = seconds;
		return 0;
	}
	return -ENOENT;
}
