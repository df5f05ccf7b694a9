// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "limit.h"
#include "rings.h"
#include "store.h"

#define MAX_QUEUES	64
#define MAX_PORTS	(2 * MAX_QUEUES + 1)
#define MAX_PORT	(1 << 17)	/* of the FIFO event channels */
/* A ring must be found empty twice, this far apart: blkback drops its count of the request just after the answer. */
#define SETTLE_MS	20

void tools_close(struct tools *t)
{
	if (t->evtchn)
		xenevtchn_close(t->evtchn);
	if (t->gnttab)
		xengnttab_close(t->gnttab);
	if (t->xs)
		store_close(t->xs);
}

int tools_open(struct tools *t)
{
	memset(t, 0, sizeof(*t));
	t->xs = store_open();
	t->gnttab = xengnttab_open(NULL, 0);
	t->evtchn = xenevtchn_open(NULL, 0);
	if (t->xs && t->gnttab && t->evtchn)
		return 0;
	fprintf(stderr, "xenstore, /dev/xen/gntdev or /dev/xen/evtchn does not open: %s\n", strerror(errno));
	tools_close(t);
	return -1;
}

int64_t backend_state(struct tools *t, const struct device *d)
{
	return store_number(t->xs, 9, 0, "backend/%s/%u/%u/state", d->kind, d->domid, d->devid);
}

static bool frontend_connected(struct tools *t, const struct device *d)
{
	return store_number(t->xs, 9, 0, "/local/domain/%u/device/%s/%u/state", d->domid, d->kind, d->devid) == STATE_CONNECTED;
}

bool frontend_waits(struct tools *t, const struct device *d)
{
	return frontend_connected(t, d) &&
	       store_number(t->xs, 1, 1, "backend/%s/%u/%u/online", d->kind, d->domid, d->devid) == 1;
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

int ports_free(struct tools *t, const struct device *d, bool ring)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_PORT);
	uint32_t ports[MAX_PORTS];
	/* The keys of a device that the guest VM does not use name ports of the past: they may be anything's by now. */
	int nr = frontend_connected(t, d) ? ports_read(t, d, ports) : 0;

	for (int i = 0; i < nr; i++)
		while (!port_free(t, d, ports[i], ring)) {
			if (clock_ms() >= until) {
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

int drain(struct tools *t, const struct device *d)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_DRAIN), left;

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
		if (clock_ms() >= until) {
			fprintf(stderr, "%s still has %lld requests under way after %d s: is its disk stuck?\n",
				device_name(d), (long long)left, limit_s(LIMIT_DRAIN));
			return -1;
		}
		usleep(10000);
	}
}
