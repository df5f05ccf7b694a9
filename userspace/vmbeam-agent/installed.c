// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include "domain.h"
#include "export.h"
#include "installed.h"
#include "request.h"

bool installed_helper(void)
{
	return !access(domain_helper(), X_OK);
}

/* The helper saves and it restores. */
void check_installed(struct json_object *problems)
{
	if (!installed_helper())
		add_problem(problems, "the save helper %s is not there: install vmbeam in this host VM", domain_helper());
	if (!exports_available())
		add_problem(problems, "/dev/vmbeam does not open: load vmbeam_guest.ko in this host VM");
}
