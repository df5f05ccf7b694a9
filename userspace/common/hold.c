// SPDX-License-Identifier: GPL-2.0
#include "hold.h"

#ifdef VMBEAM_HOLD
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

#define HOLD_POLL_US 50000

void hold_point(const char *name)
{
	const char *dir = getenv("VMBEAM_HOLD_DIR");
	char path[512], held[528], temp[544];
	FILE *f;

	if (!dir)
		dir = "/run/vmbeam/hold";
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (access(path, F_OK))
		return;

	/* By rename: whoever waits for the file finds the pid in it. */
	snprintf(held, sizeof(held), "%s.held", path);
	snprintf(temp, sizeof(temp), "%s.%d", held, getpid());
	f = fopen(temp, "w");
	if (f) {
		fprintf(f, "%d\n", getpid());
		fclose(f);
		if (rename(temp, held))
			unlink(temp);
	}
	log_info("held at %s until %s is removed", name, path);
	while (!access(path, F_OK))
		usleep(HOLD_POLL_US);
	unlink(held);
	log_info("going on from %s", name);
}
#endif
