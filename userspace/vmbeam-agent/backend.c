// SPDX-License-Identifier: GPL-2.0
/*
 * A guest VM's backends: which there are, and taking them off and putting them back while the guest VM is suspended.
 *
 * What the drivers do, read in Linux 6.12 (both were made for this: "support dynamic unbind/bind", 5.5):
 *
 * unbind	xen-blkback and xen-netback have .allow_rebind. Removing them writes no state to xenstore (netback
 *		removes "hotplug-status", which no frontend watches): backend and frontend both stay "Connected" there,
 *		so the frontend has nothing to notice. The rings are unmapped and the event channels closed; the
 *		frontends' ports fall back to "unbound", still reserved for this domain. The backend's directory in
 *		xenstore and the device in sysfs stay.
 *  blkback	stops its thread, then for each ring: requests in flight mean -EBUSY, which xen_blkbk_remove() ignores;
 *		otherwise it unmaps the ring and the persistent grants. Hence the drain before: all requests answered
 *		(req_prod == rsp_prod in the ring; a request is unmapped before it is answered). Its proof afterwards:
 *		the frontend's port can be bound, which it cannot while blkback holds the other end.
 *  netback	waits for the packets that it sent on without copying (dealloc_kthread) before it unmaps its rings.
 *		Nothing to drain: a request in the ring that it had not taken yet is taken after the rebind, and the
 *		frontend's receive buffers are always outstanding. It can wait long, so it runs in a child.
 *
 * bind		the probe writes "InitWait"; the watch on the frontend fires at once, finds it "Connected" (it is
 *		suspended and has written nothing), and for that state both drivers connect to the rings that the
 *		frontend's keys name. Both attach to a ring in use, beginning at its rsp_prod: that is where the old one
 *		stopped. Xen marks the new port as pending on our side, so that requests already there are seen.
 *		blkback finds "physical-device" still there, opens the disk and writes "Connected". netback makes a new
 *		interface and writes "Connected" only when "hotplug-status" says "connected": that is the hotplug
 *		script's word, which also puts the interface on its bridge. It is run as the toolstack runs it.
 *
 * frontend	after a cancelled suspend Linux does not reconnect frontends, and must not be made to. It sees the
 *		events of "InitWait" (ignored unless it is initialising itself) and of "Connected" (blkfront, connected
 *		already, only reads the disk's size again; netfront announces itself to its peers). "Closing" or
 *		"Closed" would take the disk away from it for good: so nothing here ever writes these to a guest VM
 *		that is to run on.
 *
 * lost events	whatever was marked pending for the guest VM while its frames were away is lost, a disk's answer among
 *		it, and blkfront never asks again. So before the bind each of the frontend's ports is bound for a
 *		moment, rung, and let go: the guest VM looks at all its rings when it runs again.
 *
 * What was unbound is written to RUN_DIR/quiesced-DOMID before the first unbind, so that the next agent can put it
 * back. Every step can be repeated.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "agent.h"
#include "backend.h"
#include "domain.h"
#include "hold.h"
#include "limit.h"
#include "log.h"
#include "store.h"

#define BUS		"/sys/bus/xen-backend"
#define MAX_DEVICES	64
#define MAX_QUEUES	64
#define MAX_PORTS	(2 * MAX_QUEUES + 1)
#define MAX_PORT	(1 << 17)	/* of the FIFO event channels */
/* A ring must be found empty twice, this far apart: blkback drops its count of the request just after the answer. */
#define SETTLE_MS	20
#define STATE_CONNECTED	4
#define STATE_CLOSED	"6"

struct device {
	char kind[4];		/* vbd or vif */
	uint32_t domid, devid;
	bool bound;
};

static const char *device_name(const struct device *d)
{
	static char name[48];

	snprintf(name, sizeof(name), "%.3s-%u-%u", d->kind, d->domid, d->devid);
	return name;
}

static bool device_parse(const char *name, struct device *d)
{
	char rest;

	memset(d, 0, sizeof(*d));
	if (sscanf(name, "%3[a-z]-%u-%u%c", d->kind, &d->domid, &d->devid, &rest) != 3)
		return false;
	return !strcmp(d->kind, "vbd") || !strcmp(d->kind, "vif");
}

static bool device_exists(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), BUS "/devices/%s", device_name(d));
	return !access(path, F_OK);
}

static bool device_bound(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), BUS "/devices/%s/driver", device_name(d));
	return !access(path, F_OK);
}

bool backend_bound(const char *kind, uint32_t domid, uint32_t devid)
{
	struct device d = { .domid = domid, .devid = devid };

	snprintf(d.kind, sizeof(d.kind), "%s", kind);
	return device_bound(&d);
}

/* The guest VM's vifs first, then its vbds. The number of them, or -errno. */
static int devices_read(uint32_t domid, struct device *list)
{
	DIR *dir = opendir(BUS "/devices");
	struct dirent *entry;
	struct device d;
	int nr = 0, vifs = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!device_parse(entry->d_name, &d) || d.domid != domid)
			continue;
		if (nr == MAX_DEVICES) {
			closedir(dir);
			return -E2BIG;
		}
		d.bound = device_bound(&d);
		list[nr++] = d;
		if (d.kind[1] == 'i') {
			list[nr - 1] = list[vifs];
			list[vifs++] = d;
		}
	}
	closedir(dir);
	return nr;
}

/* --- in a child: everything from here on writes what went wrong to stderr ----------------------------------------- */

struct tools {
	struct xs_handle *xs;
	xengnttab_handle *gnttab;
	xenevtchn_handle *evtchn;
};

static void tools_close(struct tools *t)
{
	if (t->evtchn)
		xenevtchn_close(t->evtchn);
	if (t->gnttab)
		xengnttab_close(t->gnttab);
	if (t->xs)
		xs_close(t->xs);
}

static int tools_open(struct tools *t)
{
	memset(t, 0, sizeof(*t));
	t->xs = xs_open(0);
	t->gnttab = xengnttab_open(NULL, 0);
	t->evtchn = xenevtchn_open(NULL, 0);
	if (t->xs && t->gnttab && t->evtchn)
		return 0;
	fprintf(stderr, "xenstore, /dev/xen/gntdev or /dev/xen/evtchn does not open: %s\n", strerror(errno));
	tools_close(t);
	return -1;
}

static int sysfs_write(const struct device *d, const char *what)
{
	char path[128];
	const char *name = device_name(d);
	int fd, rc = 0;

	snprintf(path, sizeof(path), BUS "/drivers/%s/%s", d->kind, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	/* Somebody else did it meanwhile. */
	if (rc && device_bound(d) == !strcmp(what, "bind"))
		rc = 0;
	if (rc)
		fprintf(stderr, "%s cannot be %s its driver: %s\n", name,
			strcmp(what, "bind") ? "taken off" : "given back to", strerror(-rc));
	return rc;
}

/*
 * One process at a time: a child whose agent was killed may still be inside an unbind that cannot be interrupted, when
 * the next agent is told to put everything back. Held until the process ends; its children do not get it.
 */
static int lock_backends(void)
{
	int fd;

	mkdir(RUN_DIR, 0700);
	fd = open(RUN_DIR "/backends.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX))
		return 0;
	fprintf(stderr, RUN_DIR "/backends.lock cannot be locked: %s\n", strerror(errno));
	return -1;
}

static int64_t backend_state(struct tools *t, const struct device *d)
{
	return store_number(t->xs, 9, 0, "backend/%s/%u/%u/state", d->kind, d->domid, d->devid);
}

/* The frontend's directory, or that of one of its queues. The guest VM writes all keys below. */
static void queue_path(const struct device *d, int queue, int nr_queues, char *path, size_t len)
{
	int n = snprintf(path, len, "/local/domain/%u/device/%s/%u", d->domid, d->kind, d->devid);

	if (nr_queues > 1)
		snprintf(path + n, len - n, "/queue-%d", queue);
}

/* -1 if it is nonsense: no backend would have connected then. */
static int nr_queues(struct tools *t, const struct device *d)
{
	int64_t nr = store_number(t->xs, MAX_QUEUES, 1, "/local/domain/%u/device/%s/%u/multi-queue-num-queues",
				  d->domid, d->kind, d->devid);

	return nr < 1 ? -1 : nr;
}

/* The frontend's event channels. Their number. */
static int ports_read(struct tools *t, const struct device *d, uint32_t *ports)
{
	static const char *const keys[] = { "event-channel", "event-channel-tx", "event-channel-rx" };
	int queues = nr_queues(t, d), nr = 0;
	char path[128];
	int64_t port;

	for (int q = 0; q < queues; q++) {
		queue_path(d, q, queues, path, sizeof(path));
		for (int k = 0; k < 3 && nr < MAX_PORTS - 1; k++) {
			port = store_number(t->xs, MAX_PORT, 0, "%s/%s", path, keys[k]);
			if (port > 0)
				ports[nr++] = port;
		}
	}
	queue_path(d, 0, 1, path, sizeof(path));
	port = store_number(t->xs, MAX_PORT, 0, "%s/event-channel-ctrl", path);
	if (port > 0)
		ports[nr++] = port;
	return nr;
}

/* Binds the port and lets it go, if @ring having rung it. False: somebody has the other end. */
static bool port_free(struct tools *t, const struct device *d, uint32_t remote, bool ring)
{
	int port = xenevtchn_bind_interdomain(t->evtchn, d->domid, remote);

	if (port < 0)
		return false;
	if (ring)
		xenevtchn_notify(t->evtchn, port);
	xenevtchn_unbind(t->evtchn, port);
	return true;
}

static int ports_free(struct tools *t, const struct device *d, bool ring)
{
	int64_t until = now_ms() + limit_ms(LIMIT_PORT);
	uint32_t ports[MAX_PORTS];
	int nr = ports_read(t, d, ports);

	for (int i = 0; i < nr; i++)
		while (!port_free(t, d, ports[i], ring)) {
			if (now_ms() >= until) {
				fprintf(stderr, "%s was taken off its driver, but its event channel %u is still in "
					"use: requests were in flight\n", device_name(d), ports[i]);
				return -1;
			}
			usleep(50000);
		}
	return 0;
}

/*
 * The head of every ring of xen/io/ring.h, which the guest VM shares. It is suspended; still, nothing is believed
 * but that two numbers in it are equal, and if they never are the migration is called off.
 */
struct ring_head {
	volatile uint32_t req_prod, req_event, rsp_prod, rsp_event;
};

/* Requests that are not answered yet; -1 if a ring cannot be read. */
static int64_t ring_requests(struct tools *t, const struct device *d)
{
	int queues = nr_queues(t, d);
	int64_t sum = 0, ref;
	char path[128];

	if (queues < 0)
		return -1;
	for (int q = 0; q < queues; q++) {
		struct ring_head *ring;

		queue_path(d, q, queues, path, sizeof(path));
		/* A ring of several pages has its head in the first. */
		ref = store_number(t->xs, UINT32_MAX, -1, "%s/ring-ref", path);
		if (ref < 0)
			ref = store_number(t->xs, UINT32_MAX, -1, "%s/ring-ref0", path);
		if (ref < 0)
			return -1;
		ring = xengnttab_map_grant_ref(t->gnttab, d->domid, ref, PROT_READ);
		if (!ring)
			return -1;
		sum += (uint32_t)(ring->req_prod - ring->rsp_prod);
		xengnttab_unmap(t->gnttab, ring, 1);
	}
	return sum;
}

static int drain(struct tools *t, const struct device *d)
{
	int64_t until = now_ms() + limit_ms(LIMIT_DRAIN), left;

	if (backend_state(t, d) != STATE_CONNECTED)
		return 0;	/* never connected: there is no ring */
	for (;;) {
		left = ring_requests(t, d);
		if (left < 0) {
			fprintf(stderr, "the ring of %s cannot be mapped: %s\n", device_name(d), strerror(errno));
			return -1;
		}
		if (!left) {
			usleep(SETTLE_MS * 1000);
			if (!ring_requests(t, d))
				return 0;
		}
		if (now_ms() >= until) {
			fprintf(stderr, "%s still has %lld requests under way after %d s: is its disk stuck?\n",
				device_name(d), (long long)left, limit_s(LIMIT_DRAIN));
			return -1;
		}
		usleep(10000);
	}
}

static void list_path(uint32_t domid, char *path, size_t len)
{
	snprintf(path, len, RUN_DIR "/quiesced-%u", domid);
}

/* By rename: half a list would leave a guest VM without a disk. */
static int list_write(uint32_t domid, const struct device *devices, int nr)
{
	char path[64], temp[72];
	bool bad = false;
	FILE *f;

	list_path(domid, path, sizeof(path));
	snprintf(temp, sizeof(temp), "%s.new", path);
	mkdir(RUN_DIR, 0700);
	f = fopen(temp, "we");
	if (f) {
		for (int i = 0; i < nr; i++)
			bad |= fprintf(f, "%s\n", device_name(&devices[i])) < 0;
		bad |= fclose(f) != 0;
	}
	if (f && !bad && !rename(temp, path))
		return 0;
	fprintf(stderr, "%s cannot be written: %s\n", path, strerror(errno));
	return -1;
}

static int list_read(uint32_t domid, struct device *devices)
{
	char path[64], line[64];
	int nr = 0;
	FILE *f;

	list_path(domid, path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (nr < MAX_DEVICES && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (device_parse(line, &devices[nr]) && devices[nr].domid == domid)
			nr++;
	}
	fclose(f);
	return nr;
}

static bool list_has(const struct device *devices, int nr, const struct device *d)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(devices[i].kind, d->kind) && devices[i].devid == d->devid)
			return true;
	return false;
}

static int quiesce_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct device devices[MAX_DEVICES], list[2 * MAX_DEVICES];
	struct domain dom;
	struct tools t;
	int nr, listed, rc = 0;

	/* The lock first: while this waited for it the guest VM may have been resumed. */
	if (lock_backends())
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
	listed = list_read(domid, list);
	for (int i = 0; i < nr; i++)
		if (devices[i].bound && !list_has(list, listed, &devices[i]))
			list[listed++] = devices[i];
	rc = list_write(domid, list, listed);

	for (int i = 0; !rc && i < nr; i++) {
		struct device *d = &devices[i];

		if (d->bound && !strcmp(d->kind, "vbd"))
			rc = drain(&t, d);
		if (!rc && d->bound)
			rc = sysfs_write(d, "unbind");
		rc = rc ?: ports_free(&t, d, false);
		hold_point("agent:quiesce-half");
	}
	tools_close(&t);
	return rc;
}

/* Runs the toolstack's hotplug script for a vif as the toolstack does. */
static int run_script(struct tools *t, const struct device *d, const char *what)
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

static int wait_connected(struct tools *t, const struct device *d)
{
	int64_t until = now_ms() + limit_ms(LIMIT_RECONNECT);

	while (backend_state(t, d) != STATE_CONNECTED) {
		if (now_ms() >= until) {
			fprintf(stderr, "%s did not connect to its frontend again within %d s (state %lld)\n",
				device_name(d), limit_s(LIMIT_RECONNECT), (long long)backend_state(t, d));
			return -1;
		}
		usleep(50000);
	}
	return 0;
}

static int rebind_device(struct tools *t, const struct device *d)
{
	bool connected;
	int rc = 0;

	if (!device_exists(d)) {
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
		rc = rc ?: sysfs_write(d, "bind");
	}
	if (!rc && !connected && !strcmp(d->kind, "vif")) {
		/* "offline" takes away what the first "online" left, firewall rules for example; it may find nothing. */
		run_script(t, d, "offline");
		rc = run_script(t, d, "online");
	}
	return rc ?: wait_connected(t, d);
}

static int rebind_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct device list[MAX_DEVICES];
	struct tools t;
	char path[64];
	int nr, rc = 0;

	if (lock_backends())
		return -1;
	nr = list_read(domid, list);
	if (!nr)
		return 0;
	if (tools_open(&t))
		return -1;
	/* All are tried: a guest VM with a disk and no network is better off than one with neither. */
	for (int i = 0; i < nr; i++) {
		if (rebind_device(&t, &list[i]))
			rc = -1;
		hold_point("agent:rebind-half");
	}
	tools_close(&t);
	if (!rc) {
		list_path(domid, path, sizeof(path));
		unlink(path);
	}
	return rc;
}

bool backend_disk_off(uint32_t domid)
{
	struct device list[MAX_DEVICES];
	int nr = list_read(domid, list);

	for (int i = 0; i < nr; i++)
		if (!strcmp(list[i].kind, "vbd") && !device_bound(&list[i]))
			return true;
	return false;
}

void backend_forget(uint32_t domid)
{
	struct device devices[MAX_DEVICES];
	struct xs_handle *xs;
	char path[64];
	int nr;

	lock_backends();	/* if that fails the toolstack only takes longer */
	nr = devices_read(domid, devices);
	xs = xs_open(0);

	for (int i = 0; xs && i < nr; i++)
		if (!devices[i].bound)
			store_write(xs, STATE_CLOSED, "backend/%s/%u/%u/state", devices[i].kind, domid,
				    devices[i].devid);
	if (xs)
		xs_close(xs);
	list_path(domid, path, sizeof(path));
	unlink(path);
}

/* --- the ops ---------------------------------------------------------------------------------------------------- */

int op_quiesce(struct request *r)
{
	struct device devices[MAX_DEVICES];
	int nr, vifs = 0, vbds = 0, rc;
	uint32_t domid;
	char key[32];

	rc = get_domid(r, &domid);
	if (rc)
		return rc;
	snprintf(key, sizeof(key), "quiesce %u", domid);
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
	snprintf(key, sizeof(key), "rebind %u", domid);
	return work_run(r, key, rebind_work, &domid, -1);
}
