/* SPDX-License-Identifier: GPL-2.0 */
/* Checkers are for finding errors, not for heating an emulated CPU: each rests according to what it costs. */
#ifndef PACE_H
#define PACE_H

#include <time.h>
#include <unistd.h>

static inline long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

#define REST_MAX_MS 3000

/*
 * What took @took_ms is done every @every_ms, or takes a fifth of the time where that is less often. What it took may
 * include that the guest VM was suspended: no rest is longer than REST_MAX_MS.
 */
static inline void rest(long took_ms, long every_ms)
{
	long ms = every_ms - took_ms > 4 * took_ms ? every_ms - took_ms : 4 * took_ms;

	if (ms > REST_MAX_MS)
		ms = REST_MAX_MS;
	usleep(ms > 0 ? ms * 1000 : 1000);
}

#endif
