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

static int run_limited(const struct script *s, const char *what, int ms)
{
	int status = 0, rc;
	pid_t pid = fork();

	if (!pid) {
		setsid();
		run(s, what);
	}
	rc = pid < 0 ? -1 : wait_child(pid, ms, &status);
	if (rc > 0 && !status)
		return 0;
	if (pid > 0 && rc <= 0)
		kill(-pid, SIGKILL);
	fprintf(stderr, "the hotplug script \"%s %s\" for %s failed (%s)\n", s->path, what, s->vif,
		rc > 0 ? exit_text(status) : pid < 0 ? "it could not be started" : "it did not end, and was killed");
	return -1;
}

/*
 * A process between: the guest VM must not wait for a script that hangs, and one that is slow should still get the network
 * card going. So it lives on when nobody waits for it any more, holds nothing of the agent's, and ends what hangs.
 */
static void supervise(const struct script *s)
{
	setsid();
	dup2(2, 1);
	close_range(3, ~0U, 0);
	/* "offline" takes away what the first "online" left, firewall rules for example. It may find nothing, or hang. */
	run_limited(s, "offline", limit_ms(LIMIT_SCRIPT));
	_exit(run_limited(s, "online", limit_ms(LIMIT_LONG)) ? 1 : 0);
}

static int wait_for(pid_t pid, const struct script *s, int64_t until)
{
	int ms = clock_left_ms(until), status = 0, rc = pid < 0 ? -1 : wait_child(pid, ms, &status);

	if (!rc) {
		fprintf(stderr, "the hotplug script %s for %s had not ended within %d s: this network card has no connection until it does. Look at what it waits for\n",
			s->path, s->vif, (ms + 999) / 1000);
		return -ETIMEDOUT;
	}
	if (rc < 0)
		fprintf(stderr, "the hotplug script %s for %s could not be started\n", s->path, s->vif);
	/* What failed was told by the process between. */
	return rc < 0 || status ? -1 : 0;
}

int script_reconnect(struct tools *t, const struct device *d, int64_t until)
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
			supervise(&s);
		rc = wait_for(pid, &s, until);
	}
	free(s.gateway);
	free(s.path);
	return rc;
}
