// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "suspend.h"

/*
 * Linux writes this node when it boots, and never again: after a restore it is there and empty, as the toolstack made
 * it. So empty means that nobody knows, and the suspend itself, which has a limit and harms nothing, will tell.
 */
bool suspend_possible(uint32_t domid)
{
	struct xs_handle *xs = store_open();
	char *value;
	bool can;

	if (!xs)
		return false;
	value = store_read(xs, "/local/domain/%u/control/feature-suspend", domid);
	can = value && strcmp(value, "0");
	free(value);
	store_close(xs);
	return can;
}
