// SPDX-License-Identifier: GPL-2.0
/*
 * Guest VMs that cannot be moved: shut down before this host VM is restarted, and started again afterwards. Both can be asked
 * for again whatever was killed in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "create.h"
#include "destroy.h"
#include "down.h"
#include "get_domain.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "store.h"
#include "watch.h"
#include "work.h"

/* The toolstack's own process for the domain destroys it when it has shut down. So long it is left to that. */
#ifndef LEAVE_MS
#define LEAVE_MS	15000
#endif
#define LOOK_MS		200

struct power_job {
	uint32_t domid;
	const char *uuid;
};

/* The domain of that UUID, but for one that is dying. 0, -ESRCH, or -errno. */
static int find(const char *uuid, struct domain *d, char **name)
{
	struct domain *list;
	size_t nr;
	int rc = domains_read(&list, &nr);

	if (rc)
		return rc;
	rc = -ESRCH;
	for (size_t i = 0; rc && i < nr; i++) {
		if (list[i].dying || strcasecmp(list[i].uuid, uuid))
			continue;
		*d = list[i];
		d->name = NULL;
		if (name)
			*name = strdup(list[i].name);
		rc = 0;
	}
	domains_free(list, nr);
	return rc;
}

/* Waits until the domain has gone, or, if @shutdown, has shut down. 1: it has; 0: not within @ms. */
static int wait_for_end(uint32_t domid, int64_t ms, bool shutdown)
{
	int64_t until = clock_ms() + ms;

	for (;;) {
		struct domain d;
		int rc = domain_read(domid, &d);

		if (rc == -ESRCH || (!rc && (d.dying || (shutdown && d.shutdown))))
			return 1;
		if (clock_ms() >= until)
			return 0;
		usleep(LOOK_MS * 1000);
	}
}

/* As it will be read for the start, by somebody who has nothing else. */
static int read_back(const struct power_job *job)
{
	struct error err;
	struct json_object *down = down_read(job->uuid, &err);
	int rc = -EIO;

	if (down)
		rc = create_check(js_get(down, "config", json_type_object), job->uuid);
	else
		fprintf(stderr, "%s\n", err.text);
	json_object_put(down);
	if (!rc)
		return 0;
	fprintf(stderr, "domain %u could not be started again from its configuration as it is kept, so it is not shut down\n", job->domid);
	down_forget(job->uuid, &err);
	return rc;
}

static int keep(const struct power_job *job, const char *name)
{
	struct json_object *config;
	struct error err;
	int rc = domain_keep(job->domid, true, &config);

	if (rc)
		return rc;
	/* It stays there if the guest VM does not shut down in time: it may still do so later. */
	rc = down_write(job->uuid, name, config, false, &err);
	if (rc)
		fprintf(stderr, "its configuration cannot be kept for its start: %s\n", err.text);
	json_object_put(config);
	return rc ?: read_back(job);
}

static int ask_to_shut_down(const struct power_job *job)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_SHUTDOWN);
	int rc = domain_shutdown(job->domid);

	if (wait_for_end(job->domid, rc ? 0 : until - clock_ms(), true))
		return 0;
	if (rc || store_cancel(job->domid, "poweroff"))
		fprintf(stderr, "domain %u did not take the request to shut down, and runs on\n", job->domid);
	else
		fprintf(stderr, "domain %u did not shut down within %d s, and runs on. It has taken the request: it may still do so\n",
			job->domid, limit_s(LIMIT_SHUTDOWN));
	if (rc)
		store_cancel(job->domid, "poweroff");
	return 1;
}

static int shutdown_work(const void *arg)
{
	const struct power_job *job = arg;
	char *name = NULL;
	struct domain d;
	int rc = find(job->uuid, &d, &name);

	/* By a request whose answer was lost; or it has rebooted, which gave it another domain. */
	if (rc == -ESRCH || (!rc && d.domid != job->domid)) {
		free(name);
		return 0;
	}
	if (rc || !name)
		fprintf(stderr, "the domains cannot be listed: is the toolstack of this host VM up?\n");
	rc = rc ?: name ? keep(job, name) : -ENOMEM;
	free(name);
	if (rc)
		return rc;
	if (!d.shutdown && ask_to_shut_down(job))
		return 1;
	if (wait_for_end(job->domid, LEAVE_MS, false))
		return 0;
	/* It may fail because somebody else is at it. */
	rc = destroy(job->domid);
	return rc && !wait_for_end(job->domid, 0, false) ? rc : 0;
}

int op_guest_shutdown(struct request *r)
{
	struct power_job job = {};
	char key[32];
	struct domain d;
	int rc;

	rc = get_domid(r, &job.domid);
	rc = rc ?: get_string(r, "uuid", UUID_TEXT - 1, false, &job.uuid);
	if (rc)
		return rc;
	snprintf(key, sizeof(key), "guest-shutdown %u", job.domid);
	if (!work_pending(key)) {
		rc = get_domain(r, &d);
		if (rc == -ESRCH) {
			*r->error = 0;	/* as it was wanted */
			return 0;
		}
		if (!rc && (d.paused || d.suspended))
			rc = fail(r, -EINVAL, "domain %u is %s and cannot shut down", job.domid, d.suspended ? "suspended" : "paused");
	}
	return rc ?: work_run(r, key, shutdown_work, &job, -1);
}

/* A child that was killed may have left it: as long as it has not run, nothing is lost with it. */
static bool half_made(struct json_object *down, const struct domain *d)
{
	return js_bool(down, "starting") && d->paused && !d->cpu_ns;
}

static int start_work(const void *arg)
{
	const struct power_job *job = arg;
	struct json_object *down, *config;
	const char *name;
	struct error err;
	uint32_t domid;
	struct domain d;
	int rc;

	/* Its process may be making it anew after a reboot. The lock goes with this child. */
	down = down_lock(job->uuid, &err) < 0 ? NULL : down_read(job->uuid, &err);
	if (!down) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	name = js_str(down, "name", "");
	config = js_get(down, "config", json_type_object);
	rc = find(job->uuid, &d, NULL);
	/* By a request whose answer was lost. */
	if (!rc && !half_made(down, &d))
		goto out;
	if (rc && rc != -ESRCH)
		fprintf(stderr, "the domains cannot be listed: is the toolstack of this host VM up?\n");
	rc = rc == -ESRCH ? 0 : rc ?: destroy(d.domid);
	rc = rc ?: create_check(config, job->uuid);
	if (!rc && down_write(job->uuid, name, config, true, &err)) {
		fprintf(stderr, "%s\n", err.text);
		rc = -EIO;
	}
	rc = rc ?: create_domain(config, name, &domid);
	if (!rc) {
		watched(domid);
		rc = domain_unpause(domid);
	}
out:
	json_object_put(down);
	return rc;
}

int op_guest_start(struct request *r)
{
	struct power_job job = {};
	struct json_object *down;
	struct error err;
	char key[64];
	struct domain d;
	int rc = get_string(r, "uuid", UUID_TEXT - 1, false, &job.uuid);

	if (rc)
		return rc;
	snprintf(key, sizeof(key), "guest-start %s", job.uuid);
	down = down_read(job.uuid, &err);
	rc = work_pending(key) ? -ESRCH : find(job.uuid, &d, NULL);
	if (rc == -ESRCH || (!rc && half_made(down, &d))) {
		rc = down || work_pending(key) ? work_run(r, key, start_work, &job, -1) : fail(r, -ENOENT, "%s", err.text);
		if (!rc && !r->again)
			rc = find(job.uuid, &d, NULL);
	}
	json_object_put(down);
	if (r->again || (rc && *r->error))
		return rc;
	if (rc)
		return fail(r, rc, "the guest VM with the UUID %s is not to be found: %s", job.uuid, strerror(-rc));
	if (d.paused || d.shutdown)
		return fail(r, -EEXIST, "the guest VM with the UUID %s is here as domain %u, but it %s", job.uuid, d.domid,
			    d.paused ? "is paused" : "has shut down");
	if (down_forget(job.uuid, &err))
		return fail(r, -EIO, "%s", err.text);
	put_number(r, "domid", d.domid);
	return 0;
}
