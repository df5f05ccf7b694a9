// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_bridge.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "request.h"

#define MAX_BEHIND 16
#define WAIT_S 2

const char *net_sysfs = "/sys/class/net";

bool net_bridge(const char *bridge, const char *script, char name[NET_MAX_NAME + 1])
{
	size_t len = strlen(bridge);

	if (strstr(script, "openvswitch"))
		len = strcspn(bridge, ".:");
	if (!len || len > NET_MAX_NAME || memchr(bridge, '/', len))
		return false;
	snprintf(name, NET_MAX_NAME + 1, "%.*s", (int)len, bridge);
	return true;
}

static FILE *attribute(const char *name, const char *file)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s/%s", net_sysfs, name, file);
	return fopen(path, "re");
}

bool net_exists(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", net_sysfs, name);
	return !access(path, F_OK);
}

bool net_filters_vlans(const char *bridge)
{
	FILE *f = attribute(bridge, "bridge/vlan_filtering");
	int on = 0;

	if (f) {
		if (fscanf(f, "%d", &on) != 1)
			on = 0;
		fclose(f);
	}
	return on;
}

/* The kernel writes the port's number in hexadecimal. */
static long port_number(const char *name)
{
	FILE *f = attribute(name, "brport/port_no");
	long port = -1;

	if (f) {
		if (fscanf(f, "%li", &port) != 1)
			port = -1;
		fclose(f);
	}
	return port;
}

static void add_behind(const char *name, const char *bridge, const char *mac, struct json_object *obj)
{
	struct json_object *list = json_object_new_array();
	FILE *f = attribute(bridge, "brforward");
	long port = port_number(name);
	struct __fdb_entry e;

	while (f && port >= 0 && fread(&e, sizeof(e), 1, f) == 1) {
		char text[18];

		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", e.mac_addr[0], e.mac_addr[1], e.mac_addr[2],
			 e.mac_addr[3], e.mac_addr[4], e.mac_addr[5]);
		if (!e.is_local && (e.port_hi << 8 | e.port_no) == port && strcasecmp(text, mac) &&
		    json_object_array_length(list) < MAX_BEHIND)
			json_object_array_add(list, json_object_new_string(text));
	}
	if (f)
		fclose(f);
	json_object_object_add(obj, "behind", list);
}

/* Of an answer to RTM_GETQDISC. The kernel gives those that it makes by itself no handle. */
static void add_qdisc(const struct nlmsghdr *h, unsigned int index, struct json_object *list)
{
	const struct tcmsg *t = NLMSG_DATA(h);
	const struct rtattr *a = (const struct rtattr *)((const char *)t + NLMSG_ALIGN(sizeof(*t)));
	int len = h->nlmsg_len - NLMSG_LENGTH(sizeof(*t));

	if (h->nlmsg_type != RTM_NEWQDISC || len < 0 || t->tcm_ifindex != (int)index || !t->tcm_handle)
		return;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == TCA_KIND && RTA_PAYLOAD(a) && !((const char *)RTA_DATA(a))[RTA_PAYLOAD(a) - 1])
			json_object_array_add(list, json_object_new_string(RTA_DATA(a)));
}

static void add_qdiscs(unsigned int index, struct json_object *list)
{
	struct {
		struct nlmsghdr h;
		struct tcmsg t;
	} ask = {
		.h = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETQDISC, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.t = { .tcm_ifindex = index },
	};
	struct timeval wait = { .tv_sec = WAIT_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool done = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
		send(fd, &ask, sizeof(ask), 0) != sizeof(ask);

	while (!done) {
		char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		if (len <= 0)
			break;
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, len) && !done; h = NLMSG_NEXT(h, len)) {
			done = h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
			add_qdisc(h, index, list);
		}
	}
	if (fd >= 0)
		close(fd);
}

void net_describe(const char *name, const char *bridge, const char *mac, struct json_object *obj)
{
	unsigned int index = if_nametoindex(name);
	struct json_object *list = json_object_new_array();

	if (index)
		add_qdiscs(index, list);
	json_object_object_add(obj, "tc", list);
	json_object_object_add(obj, "vlan_filtering", json_object_new_boolean(*bridge && net_filters_vlans(bridge)));
	add_behind(name, bridge, mac, obj);
}
