// SPDX-License-Identifier: GPL-2.0
/*
 * Taking a guest VM's backends off while it is suspended, and putting them back. docs/drivers.md says what the drivers do.
 * Every step can be repeated.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "domain.h"
#include "hold.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "quiesced.h"
#include "rings.h"
#include "script.h"
#include "work.h"

static int quiesce_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct device devices[MAX_DEVICES], list[2 * MAX_DEVICES];
	struct domain dom;
	struct tools t;
	int nr, listed, rc = 0;

	/* The lock first: while this waited for it the guest VM may have been resumed. */
	if (quiesced_lock())
		return -1;
	if (domain_read(domid, &dom) || !dom.suspended) {
		fprintf(stderr, "domain %u is not suspended: its backends are in use\n", domid);
		return -1;
	}
	nr = devices_read(domid, devices);
	if (nr < 0) {
		fprintf(stderr, "the backends of domain %u cannot be listed: %s\n", domid, strerror(-nr));
		return -1;
	}
	if (tools_open(&t))
		return -1;

	/* What an earlier try unbound stays on the list. */
	listed = quiesced_read(domid, list);
	for (int i = 0; i < nr; i++)
		if (devices[i].bound && !quiesced_has(list, listed, &devices[i]))
			list[listed++] = devices[i];
	rc = quiesced_write(domid, list, listed);

	for (int i = 0; !rc && i < nr; i++) {
		struct device *d = &devices[i];

		if (d->bound && !strcmp(d->kind, "vbd"))
			rc = drain(&t, d);
		if (!rc && d->bound)
			rc = device_write(d, "unbind");
		rc = rc ?: ports_free(&t, d, false);
		hold_point("agent:quiesce-half");
	}
	tools_close(&t);
	return rc;
}

static int wait_connected(struct tools *t, const struct device *d)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_RECONNECT);

	while (backend_state(t, d) != STATE_CONNECTED && frontend_waits(t, d)) {
		if (clock_ms() >= until) {
			fprintf(stderr, "%s did not connect to its frontend again within %d s (state %lld)\n",
				device_name(d), limit_s(LIMIT_RECONNECT), (long long)backend_state(t, d));
			return -1;
		}
		usleep(50000);
	}
	return 0;
}

/* How long the scripts of the network cards that are left may still take together. One that hangs leaves the others their share. */
struct scripts {
	int64_t ms;
	int vifs;
};

/*
 * Connects a network card that its driver has again. A script that hangs is not waited for twice: the guest VM stands still
 * meanwhile.
 */
static int connect_vif(struct tools *t, struct device *d, struct scripts *scripts)
{
	int64_t begun = clock_ms();
	int rc;

	if (d->hung) {
		fprintf(stderr, "the hotplug script for %s still has not ended: it is not waited for\n", device_name(d));
		return -1;
	}
	rc = script_reconnect(t, d, begun + scripts->ms / scripts->vifs);
	scripts->ms -= clock_ms() - begun;
	if (scripts->ms < 0)
		scripts->ms = 0;
	d->hung = rc == -ETIMEDOUT;
	return rc;
}

static int rebind_device(struct tools *t, struct device *d, struct scripts *scripts)
{
	bool connected;
	int rc = 0;

	if (!device_exists(d)) {
		if (!backend_state(t, d))
			return 0;	/* somebody has detached it meanwhile */
		fprintf(stderr, "%s is gone\n", device_name(d));
		return -1;
	}
	/*
	 * While it is unbound the state in xenstore is still the old "Connected". The bind itself writes "InitWait"
	 * before it returns, so a driver that is there and not "Connected" has not finished.
	 */
	connected = device_bound(d) && backend_state(t, d) == STATE_CONNECTED;
	if (!device_bound(d)) {
		rc = ports_free(t, d, true);
		rc = rc ?: device_write(d, "bind");
	}
	if (!rc && !connected && !strcmp(d->kind, "vif"))
		rc = connect_vif(t, d, scripts);
	return rc ?: wait_connected(t, d);
}

static int rebind_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct device list[MAX_DEVICES];
	struct tools t;
	struct scripts scripts = { .ms = limit_ms(LIMIT_SCRIPT) };
	int nr, rc = 0;

	if (quiesced_lock())
		return -1;
	nr = quiesced_read(domid, list);
	if (!nr)
		return 0;
	if (tools_open(&t))
		return -1;
	for (int i = 0; i < nr; i++)
		scripts.vifs += list[i].kind[1] == 'i';
	/* All are tried, disks first: a guest VM with a disk and no network is better off than one with neither. */
	for (int vifs = 0; vifs < 2; vifs++)
		for (int i = 0; i < nr; i++) {
			if ((list[i].kind[1] == 'i') != vifs)
				continue;
			if (rebind_device(&t, &list[i], &scripts))
				rc = -1;
			scripts.vifs -= vifs;
			hold_point("agent:rebind-half");
		}
	tools_close(&t);
	if (!rc)
		quiesced_remove(domid);
	else
		quiesced_write(domid, list, nr);	/* which scripts hang */
	return rc;
}

int op_quiesce(struct request *r)
{
	struct device devices[MAX_DEVICES];
	int nr, vifs = 0, vbds = 0, rc;
	uint32_t domid;
	char key[32];

	rc = get_domid(r, &domid);
	if (rc)
		return rc;
	quiesced_key(domid, key);
	if (js_bool(r->in, "begin"))
		return work_begin(r, key, quiesce_work, &domid, -1);
	rc = work_run(r, key, quiesce_work, &domid, -1);
	if (rc || r->again)
		return rc;
	nr = devices_read(domid, devices);
	for (int i = 0; i < nr; i++) {
		if (devices[i].bound)
			return fail(r, -EBUSY, "%s has been bound again", device_name(&devices[i]));
		if (devices[i].kind[1] == 'i')
			vifs++;
		else
			vbds++;
	}
	put_number(r, "vbd", vbds);
	put_number(r, "vif", vifs);
	return 0;
}

int op_rebind(struct request *r)
{
	uint32_t domid;
	char key[32];
	int rc = get_domid(r, &domid);

	if (rc)
		return rc;
	quiesced_stop(domid);
	snprintf(key, sizeof(key), "rebind %u", domid);
	return work_run(r, key, rebind_work, &domid, -1);
}
