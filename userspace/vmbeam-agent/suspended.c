// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "clock.h"
#include "domain.h"
#include "suspended.h"

/* Kept beyond the save that did it. */
static struct {
	uint32_t domid;
	uint64_t ns;
} suspended;

uint64_t suspended_since(uint32_t domid)
{
	struct domain d;

	if (domain_read(domid, &d) || !d.suspended)
		return 0;
	if (suspended.domid != domid || !suspended.ns) {
		suspended.domid = domid;
		suspended.ns = clock_ns();
	}
	return suspended.ns;
}

void suspended_forget(void)
{
	memset(&suspended, 0, sizeof(suspended));
}
