// SPDX-License-Identifier: GPL-2.0
/* Whether a backend has let go of a frontend's event channels. The hypervisor and xenstore are made up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "limit.h"
#include "rings.h"
#include "kselftest_harness.h"
#include "made-up-store.h"

#define FRONTEND "/local/domain/5/device/vif/0"

static bool in_use;
static unsigned int nr_bound, nr_rung;

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger;
	(void)flags;
	return (xenevtchn_handle *)&in_use;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	(void)xce;
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t port)
{
	(void)xce;
	if (domid != 5 || port != 18)
		abort();
	nr_bound++;
	return in_use ? -1 : 7;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	nr_rung += port == 7;
	return 0;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	return 0;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger;
	(void)flags;
	return (xengnttab_handle *)&in_use;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	(void)xgt;
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	(void)xgt;
	(void)domid;
	(void)ref;
	(void)prot;
	abort();
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	(void)xgt;
	(void)start;
	(void)count;
	abort();
}

const char *device_name(const struct device *d)
{
	(void)d;
	return "vif-5-0";
}

FIXTURE(rings) {
	struct tools tools;
	struct device device;
};

FIXTURE_SETUP(rings)
{
	nr_nodes = 0;
	no_store = false;
	in_use = false;
	nr_bound = 0;
	nr_rung = 0;
	ASSERT_EQ(0, limit_set("port", 1));
	ASSERT_EQ(0, tools_open(&self->tools));
	self->device = (struct device){ .kind = "vif", .domid = 5 };
	node(FRONTEND "/state", "4");
	node(FRONTEND "/event-channel-tx", "18");
}

FIXTURE_TEARDOWN(rings)
{
	tools_close(&self->tools);
}

TEST_F(rings, a_port_that_is_free)
{
	EXPECT_EQ(0, ports_free(&self->tools, &self->device, true));
	EXPECT_EQ(1, nr_bound);
	EXPECT_EQ(1, nr_rung);
}

TEST_F(rings, a_port_that_is_in_use)
{
	in_use = true;
	EXPECT_EQ(-1, ports_free(&self->tools, &self->device, false));
	EXPECT_LT(1, nr_bound);
	EXPECT_EQ(0, nr_rung);
}

/* The guest VM has let go of the card: the port is closed, or another one's by now, and is none of ours. */
TEST_F(rings, a_port_of_the_past)
{
	in_use = true;
	node(FRONTEND "/state", "6");
	EXPECT_EQ(0, ports_free(&self->tools, &self->device, true));
	EXPECT_EQ(0, nr_bound);
}

TEST_HARNESS_MAIN
