// SPDX-License-Identifier: GPL-2.0
/* What this host VM offers for what a guest VM needs. Touches nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "item.h"
#include "js.h"
#include "net.h"
#include "offers.h"
#include "placement.h"
#include "policy.h"
#include "users.h"

struct here {
	struct json_object *placement;	/* NULL: it cannot be read */
	const char *pool;		/* the one that the guest VM is in */
	char why[400];
};

typedef void (*offer_fn)(struct json_object *need, struct json_object *offer, const struct here *here);

/* A script that the toolstack will run. */
static void check_script(struct json_object *need, struct json_object *offer, const char *of)
{
	const char *script = js_str(need, "script", "");

	if (*script == '/' && access(script, X_OK))
		add_problem(item_problems(offer), "the hotplug script %s of %s cannot be run here: %s. Install it", script, of,
			    strerror(errno));
}

/*
 * A disk must be there under the same path, and nobody here may have it mounted: O_EXCL says so. A device that cannot be
 * written may be mounted: nobody can be hurt.
 */
static void offer_disk(struct json_object *need, struct json_object *offer, const struct here *here)
{
	const char *path = js_str(need, "target", "");
	struct disk disk;
	char why[400];
	int fd;

	(void)here;
	check_script(need, offer, "a disk");
	if (disk_look(path, &disk, why, sizeof(why))) {
		add_problem(item_problems(offer), "the disk %s %s", path, why);
		return;
	}
	put_string(offer, "target", path);
	disk_describe(&disk, offer);
	users_check(&disk, path, NO_DOMAIN, item_problems(offer));
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY && !disk.read_only)
		add_problem(item_problems(offer), "the disk %s is in use here, mounted for example: unmount it in this management VM",
			    path);
	else if (errno != EBUSY)
		add_problem(item_problems(offer), "the disk %s cannot be opened here: %s", path, strerror(errno));
}

static void offer_vif(struct json_object *need, struct json_object *offer, const struct here *here)
{
	const char *bridge = js_str(need, "bridge", "");
	char name[NET_MAX_NAME + 1];

	(void)here;
	check_script(need, offer, "a network card");
	if (!*bridge)
		return;
	if (!net_bridge(bridge, js_str(need, "script", ""), name)) {
		add_problem(item_problems(offer), "a network card's bridge \"%s\" is no name of an interface", bridge);
	} else if (!net_exists(name)) {
		add_problem(item_problems(offer), "the bridge %s of a network card is not here: make it, with the same network behind it",
			    name);
	} else {
		put_string(offer, "bridge", bridge);
		json_object_object_add(offer, "vlan_filtering", json_object_new_boolean(net_filters_vlans(name)));
	}
}

static void offer_file(struct json_object *need, struct json_object *offer, const struct here *here)
{
	const char *path = js_str(need, "path", "");

	(void)here;
	/* A boot loader's name alone is looked up by the toolstack. */
	if (*path != '/' || !access(path, R_OK))
		put_string(offer, "path", path);
	else
		put_string(offer, "missing", strerror(errno));
}

static void cannot_read(struct json_object *offer, const struct here *here)
{
	add_problem(item_problems(offer), "what this host VM has cannot be read: %s", here->why);
}

static void offer_memory(struct json_object *need, struct json_object *offer, const struct here *here)
{
	(void)need;
	if (here->placement)
		item_number(offer, "free_kib", js_u64(here->placement, "free_kib", 0));
	else
		cannot_read(offer, here);
}

/* For a cpupool, a pin or the number of vCPUs: the pool of that name, and its CPUs. */
static void offer_cpus(struct json_object *need, struct json_object *offer, const struct here *here)
{
	struct json_object *pools = js_array(here->placement, "cpupools");

	(void)need;
	if (!here->placement)
		cannot_read(offer, here);
	for (size_t i = 0; i < js_len(pools); i++) {
		struct json_object *pool = json_object_array_get_idx(pools, i);

		if (strcmp(js_str(pool, "name", ""), here->pool))
			continue;
		put_string(offer, "name", here->pool);
		put_string(offer, "cpus", js_str(pool, "cpus", ""));
	}
}

static void offer_features(struct json_object *need, struct json_object *offer, const struct here *here)
{
	uint32_t words[POLICY_WORDS];
	int rc = policy_here(words);

	(void)need;
	(void)here;
	if (rc) {
		add_problem(item_problems(offer), "which CPU features this host VM has cannot be read: %s", strerror(-rc));
		return;
	}
	item_words(offer, "features", words, POLICY_WORDS);
}

static void offer_clock(struct json_object *need, struct json_object *offer, const struct here *here)
{
	(void)need;
	(void)here;
	item_realtime(offer);
}

static const struct {
	const char *kind;
	offer_fn offer;
} kinds[] = {
	{ "memory", offer_memory }, { "vcpus", offer_cpus }, { "cpupool", offer_cpus }, { "pin", offer_cpus },
	{ "cpu", offer_features }, { "vbd", offer_disk }, { "vif", offer_vif }, { "file", offer_file }, { "clock", offer_clock },
};

void offers_for(struct json_object *needs, struct json_object *offers)
{
	struct here here = { .pool = "" };

	placement_here(&here.placement, here.why, sizeof(here.why));
	for (size_t i = 0; i < js_len(needs); i++) {
		struct json_object *need = json_object_array_get_idx(needs, i);

		if (!strcmp(js_str(need, "kind", ""), "cpupool"))
			here.pool = js_str(need, "name", "");
	}
	for (size_t i = 0; i < js_len(needs); i++) {
		struct json_object *need = json_object_array_get_idx(needs, i);
		const char *kind = js_str(need, "kind", "");
		struct json_object *offer = item_add(offers, kind, js_str(need, "id", NULL));

		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (!strcmp(kinds[k].kind, kind))
				kinds[k].offer(need, offer, &here);
	}
	json_object_put(here.placement);
}
