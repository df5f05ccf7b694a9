// SPDX-License-Identifier: GPL-2.0
/* Ending this whole host VM, when the daemon has emptied it. */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain.h"
#include "log.h"
#include "ops.h"

/* One that runs here would end with it. What is only waiting to go does not count. */
static int check_empty(struct request *r)
{
	struct domain *list;
	size_t nr;
	int rc = domains_read(&list, &nr);

	if (rc)
		return fail(r, rc, "the domains cannot be listed: is the toolstack of this host VM up?");
	for (size_t i = 0; !rc && i < nr; i++)
		/* One that is suspended is no less alive: a save, or a migration that is not over, has it. */
		if (!list[i].dying && (!list[i].shutdown || list[i].suspended) && !probe_is(list[i].uuid))
			rc = fail(r, -EBUSY, "%s (domain %u) runs here: move it or shut it down first", list[i].called, list[i].domid);
	domains_free(list, nr);
	return rc;
}

int op_power_off(struct request *r)
{
	char *const argv[] = { "poweroff", NULL };
	pid_t pid;
	int rc = check_empty(r);

	if (rc)
		return rc;
	rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (rc)
		return fail(r, -rc, "poweroff does not start: %s", strerror(rc));
	/* One that fails does so at once; one that goes on may take all that is left of this system's time. */
	for (int i = 0; i < 20; i++) {
		int status;

		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (status)
				return fail(r, -EIO, "poweroff failed (status %#x)", status);
			break;
		}
		usleep(100000);
	}
	log_info("this management VM powers off: the daemon wants it");
	return 0;
}
