// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "suspend.h"

/*
 * The toolstack makes this node and leaves it empty. Linux writes to it when it boots; a boot loader that waits at its menu
 * does not, and cannot suspend. Linux does not write again after a restore: whoever has let a guest VM suspend says so
 * in its place (suspend_proved).
 */
bool suspend_possible(uint32_t domid)
{
	struct xs_handle *xs = store_open();
	char *value;
	bool can;

	if (!xs)
		return false;
	value = store_read(xs, "/local/domain/%u/control/feature-suspend", domid);
	can = value && *value && strcmp(value, "0");
	free(value);
	store_close(xs);
	return can;
}

void suspend_proved(uint32_t domid)
{
	struct xs_handle *xs = store_open();

	if (!xs)
		return;
	store_write(xs, "1", "/local/domain/%u/control/feature-suspend", domid);
	store_close(xs);
}
