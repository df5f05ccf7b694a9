// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "limit.h"
#include "script.h"
#include "store.h"
#include "work.h"

struct script {
	char *path, *gateway;
	char vif[32], node[64];
};

static void run(const struct script *s, const char *what)
{
	setenv("script", s->path, 1);
	setenv("XENBUS_TYPE", "vif", 1);
	setenv("XENBUS_PATH", s->node, 1);
	setenv("XENBUS_BASE_PATH", "backend", 1);
	setenv("netdev", s->gateway ? s->gateway : "", 1);
	setenv("vif", s->vif, 1);
	signal(SIGPIPE, SIG_DFL);
	execl(s->path, s->path, what, "type_if=vif", (char *)NULL);
	_exit(127);
}

/*
 * A process between: the guest VM must not wait for a script that hangs, and one that is slow should still get the network
 * card going. So it lives on when nobody waits for it any more, holds nothing of the agent's, and ends what hangs.
 */
static void supervise(const struct script *s, const char *what)
{
	int status = 0;
	pid_t pid;

	setsid();
	dup2(2, 1);
	close_range(3, ~0U, 0);
	pid = fork();
	if (!pid) {
		setsid();
		run(s, what);
	}
	if (pid < 0 || wait_child(pid, limit_ms(LIMIT_LONG), &status) <= 0) {
		if (pid > 0)
			kill(-pid, SIGKILL);
		_exit(1);
	}
	_exit(status ? 1 : 0);
}

static int wait_for(pid_t pid, const struct script *s, const char *what, int64_t until)
{
	int status = 0, rc = pid < 0 ? -1 : wait_child(pid, clock_left_ms(until), &status);

	if (!rc) {
		fprintf(stderr, "the hotplug script \"%s %s\" for %s had not ended within %d s: this network card has no connection until it does. Look at what it waits for\n",
			s->path, what, s->vif, limit_s(LIMIT_SCRIPT));
		return -ETIMEDOUT;
	}
	if (rc > 0 && !status)
		return 0;
	fprintf(stderr, "the hotplug script \"%s %s\" for %s failed (%s)\n", s->path, what, s->vif,
		rc > 0 ? exit_text(status) : "it could not be started");
	return -1;
}

int script_run(struct tools *t, const struct device *d, const char *what, int64_t until)
{
	struct script s = { .path = store_read(t->xs, "backend/vif/%u/%u/script", d->domid, d->devid) };
	int rc = -1;

	if (!s.path || *s.path != '/') {
		fprintf(stderr, "%s names no hotplug script\n", device_name(d));
	} else {
		pid_t pid;

		snprintf(s.node, sizeof(s.node), "backend/vif/%u/%u", d->domid, d->devid);
		snprintf(s.vif, sizeof(s.vif), "vif%u.%u", d->domid, d->devid);
		s.gateway = store_read(t->xs, "%s/gatewaydev", s.node);
		pid = fork();
		if (!pid)
			supervise(&s, what);
		rc = wait_for(pid, &s, what, until);
	}
	free(s.gateway);
	free(s.path);
	return rc;
}
