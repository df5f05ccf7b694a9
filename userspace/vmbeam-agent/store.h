/* SPDX-License-Identifier: GPL-2.0 */
/* A little of xenstore. Values that a guest VM can write are text of any kind: numbers are parsed strictly. */
#ifndef VMBEAM_AGENT_STORE_H
#define VMBEAM_AGENT_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

/* NULL, and errno: xenstore does not answer. */
struct xs_handle *store_open(void);
void store_close(struct xs_handle *xs);
/* The keys below a path, to be freed as one; NULL, and *@nr 0, if there are none. */
char **store_list(struct xs_handle *xs, unsigned int *nr, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A string to be freed, or NULL. */
char *store_read(struct xs_handle *xs, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* @otherwise when it is not there; -1 when it is no number or beyond @max. */
int64_t store_number(struct xs_handle *xs, int64_t max, int64_t otherwise, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool store_write(struct xs_handle *xs, const char *value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Takes back a request ("suspend", "poweroff") that nobody waits for any more. True when the guest VM had not taken it yet: then it
 * will not do it. A guest VM takes it by clearing the node, in a transaction; so does this.
 */
bool store_cancel(uint32_t domid, const char *request);
/* Makes every Linux guest VM read its xenstore ring again: fires a watch that it has and whose event it ignores. */
void store_touch(uint32_t domid);

#endif
