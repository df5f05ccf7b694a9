// SPDX-License-Identifier: GPL-2.0
/* What is set for a network card's interface: from a made-up sysfs, and of this kernel's own loopback interface. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_bridge.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "js.h"
#include "net.h"
#include "kselftest_harness.h"

#define OWN "00:16:3e:00:00:01"
#define PORT 0x102

FIXTURE(net) {
	char dir[64];
	struct json_object *found;
};

static void put(const char *dir, const char *name, const void *data, size_t len)
{
	char command[200], path[200];
	FILE *f;

	snprintf(command, sizeof(command), "mkdir -p $(dirname %s/%s)", dir, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (system(command))
		abort();
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		abort();
}

FIXTURE_SETUP(net)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/test-net-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	net_sysfs = self->dir;
	put(self->dir, "vif5.0/brport/port_no", "0x102\n", 6);
	self->found = json_object_new_object();
}

FIXTURE_TEARDOWN(net)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", self->dir);
	EXPECT_EQ(0, system(command));
	json_object_put(self->found);
}

static const char *list(FIXTURE_DATA(net) *self, const char *key)
{
	return json_object_to_json_string_ext(js_array(self->found, key), JSON_C_TO_STRING_PLAIN);
}

/* One that the bridge knows: the last byte of its address, the port. */
static struct __fdb_entry known(uint8_t last, unsigned int port, bool local)
{
	return (struct __fdb_entry){
		.mac_addr = { 0x00, 0x16, 0x3e, 0, 0, last },
		.port_no = port & 0xff, .port_hi = port >> 8, .is_local = local,
	};
}

TEST_F(net, addresses_behind_a_card)
{
	const struct __fdb_entry table[] = {
		known(1, PORT, false), known(7, PORT, false), known(8, PORT, true), known(9, PORT & 0xff, false),
		known(10, PORT, false),
	};

	put(self->dir, "xenbr0/brforward", table, sizeof(table));
	net_describe("vif5.0", "xenbr0", OWN, self->found);
	EXPECT_STREQ("[\"00:16:3e:00:00:07\",\"00:16:3e:00:00:0a\"]", list(self, "behind"));
}

TEST_F(net, a_card_of_no_bridge)
{
	net_describe("vif5.1", "", OWN, self->found);
	EXPECT_STREQ("[]", list(self, "behind"));
	EXPECT_STREQ("[]", list(self, "tc"));
	EXPECT_FALSE(js_bool(self->found, "vlan_filtering"));
}

/* The list ends somewhere, however many there are. */
TEST_F(net, very_many_addresses)
{
	struct __fdb_entry table[200];

	for (size_t i = 0; i < 200; i++)
		table[i] = known(20 + i, PORT, false);
	put(self->dir, "xenbr0/brforward", table, sizeof(table));
	net_describe("vif5.0", "xenbr0", OWN, self->found);
	EXPECT_EQ(16, js_len(js_array(self->found, "behind")));
}

TEST_F(net, vlans)
{
	put(self->dir, "xenbr0/bridge/vlan_filtering", "1\n", 2);
	net_describe("vif5.0", "xenbr0", OWN, self->found);
	EXPECT_TRUE(js_bool(self->found, "vlan_filtering"));
	json_object_object_del(self->found, "vlan_filtering");
	put(self->dir, "xenbr0/bridge/vlan_filtering", "0\n", 2);
	net_describe("vif5.0", "xenbr0", OWN, self->found);
	EXPECT_FALSE(js_bool(self->found, "vlan_filtering"));
}

/* As tc qdisc add dev lo root handle 1: pfifo. 0 or -errno. */
static int add_pfifo(void)
{
	struct {
		struct nlmsghdr h;
		struct tcmsg t;
		struct rtattr a;
		char kind[8];
	} ask = {
		.h = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_NEWQDISC,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
		.t = { .tcm_ifindex = if_nametoindex("lo"), .tcm_handle = 1 << 16, .tcm_parent = TC_H_ROOT },
		.a = { .rta_len = RTA_LENGTH(sizeof("pfifo")), .rta_type = TCA_KIND },
		.kind = "pfifo",
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} reply;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	int rc = 0;

	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0 || recv(fd, &reply, sizeof(reply), 0) < (ssize_t)sizeof(reply))
		rc = -errno;
	else
		rc = reply.e.error;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Then it has a discipline that the kernel makes by itself. */
static int bring_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* In a network of its own, with the kernel that this runs on. */
TEST_F(net, queueing_disciplines)
{
	int rc;

	if (unshare(CLONE_NEWNET))
		SKIP(return, "no network namespace can be made here: %s", strerror(errno));
	ASSERT_EQ(0, bring_up());
	net_describe("lo", "", OWN, self->found);
	EXPECT_STREQ("[]", list(self, "tc"));
	rc = add_pfifo();
	if (rc == -EOPNOTSUPP || rc == -ENOENT || rc == -EPERM)
		SKIP(return, "no queueing discipline can be set here: %s", strerror(-rc));
	ASSERT_EQ(0, rc) TH_LOG("%s", strerror(-rc));
	json_object_object_del(self->found, "tc");
	net_describe("lo", "", OWN, self->found);
	EXPECT_STREQ("[\"pfifo\"]", list(self, "tc"));
}

TEST_HARNESS_MAIN
