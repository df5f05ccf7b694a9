// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "script.h"
#include "store.h"

int script_run(struct tools *t, const struct device *d, const char *what)
{
	char *script = store_read(t->xs, "backend/vif/%u/%u/script", d->domid, d->devid);
	char path[64], vif[32];
	int status = 0;
	pid_t pid;

	if (!script || *script != '/') {
		fprintf(stderr, "%s names no hotplug script\n", device_name(d));
		free(script);
		return -1;
	}
	snprintf(path, sizeof(path), "backend/vif/%u/%u", d->domid, d->devid);
	snprintf(vif, sizeof(vif), "vif%u.%u", d->domid, d->devid);
	pid = fork();
	if (!pid) {
		char *gateway = store_read(t->xs, "%s/gatewaydev", path);

		setenv("script", script, 1);
		setenv("XENBUS_TYPE", "vif", 1);
		setenv("XENBUS_PATH", path, 1);
		setenv("XENBUS_BASE_PATH", "backend", 1);
		setenv("netdev", gateway ? gateway : "", 1);
		setenv("vif", vif, 1);
		dup2(2, 1);
		signal(SIGPIPE, SIG_DFL);
		execl(script, script, what, "type_if=vif", (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	if (pid < 0 || status)
		fprintf(stderr, "the hotplug script \"%s %s\" for %s failed\n", script, what, vif);
	free(script);
	return pid < 0 || status ? -1 : 0;
}
