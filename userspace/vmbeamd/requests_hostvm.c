// SPDX-License-Identifier: GPL-2.0
#include "requests_hostvm.h"
#include "text.h"

const struct config_hostvm *requests_hostvm(const struct config *config, struct client *c, const char *name)
{
	const struct config_hostvm *h = config_hostvm(config, name);
	char called[TEXT_SHORT];

	if (!h) {
		text_short(called, sizeof(called), name);
		control_refuse(c, "refused", "there is no host VM \"%s\" in the configuration: vmbeam status lists those that are", called);
	}
	return h;
}
