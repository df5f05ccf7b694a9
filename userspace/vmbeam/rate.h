/* SPDX-License-Identifier: GPL-2.0 */
/* How fast something goes and how long it takes, in words. Pure. */
#ifndef VMBEAM_RATE_H
#define VMBEAM_RATE_H

#include <stddef.h>
#include <stdint.h>

/* "2:03", or "1:02:03" from an hour on. */
void rate_duration(char *out, size_t size, int64_t s);
/*
 * ", 5.0 MiB/s, 0:02 left" of @done of @total, "frames" or "bytes", in @ms; "" as long as that says nothing: in the first
 * second, and if nothing is done or the total is not known.
 */
void rate_text(char *out, size_t size, uint64_t done, uint64_t total, const char *unit, int64_t ms);

#endif
