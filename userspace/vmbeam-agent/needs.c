// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "devices.h"
#include "item.h"
#include "js.h"
#include "needs.h"
#include "placement.h"
#include "policy.h"

static void need_placement(const struct domain *d, struct json_object *items)
{
	struct json_object *placement, *vcpus, *item = item_add(items, "vcpus", NULL);
	char why[400], id[24];

	if (placement_of(d->domid, &placement, why, sizeof(why))) {
		add_problem(item_problems(item), "where %s runs cannot be read: %s", d->called, why);
		return;
	}
	vcpus = js_array(placement, "vcpus");
	item_number(item, "number", js_len(vcpus));
	item_number(item, "online", js_u64(placement, "online", 0));
	put_string(item_add(items, "cpupool", NULL), "name", js_str(placement, "cpupool", ""));
	for (size_t i = 0; i < js_len(vcpus); i++) {
		struct json_object *vcpu = json_object_array_get_idx(vcpus, i);
		const char *hard = js_str(vcpu, "hard", ""), *soft = js_str(vcpu, "soft", "");

		if (!strcmp(hard, "all") && !strcmp(soft, "all"))
			continue;
		snprintf(id, sizeof(id), "%zu", i);
		item = item_add(items, "pin", id);
		put_string(item, "hard", hard);
		put_string(item, "soft", soft);
	}
	json_object_put(placement);
}

static void need_features(const struct domain *d, struct json_object *items)
{
	struct json_object *item = item_add(items, "cpu", NULL);
	uint32_t words[POLICY_WORDS];
	int rc = policy_of(d->domid, words);

	if (rc) {
		add_problem(item_problems(item), "which CPU features %s has cannot be read: %s", d->called, strerror(-rc));
		return;
	}
	item_words(item, "features", words, POLICY_WORDS);
}

int needs_now(const struct domain *d, struct json_object *items)
{
	int rc = devices_list(d->domid, items, false);

	need_placement(d, items);
	need_features(d, items);
	return rc;
}

int needs_all(const struct domain *d, struct json_object *items)
{
	struct json_object *config, *b_info, *item;
	char why[400];
	int rc;

	item = item_add(items, "memory", NULL);
	item_number(item, "held_kib", d->current_kib);
	item_number(item, "max_kib", d->max_kib);
	if (domain_config(d->domid, &config, why, sizeof(why))) {
		add_problem(item_problems(item_add(items, "key", "configuration")),
			    "the toolstack cannot read its configuration: %s%s", why, d->utf8 ? "" :
			    ". It was created with a name that is not UTF-8, which libxl cannot read back: no command of xl that needs its configuration works, xl save among them. Shut it down, and create it with another name");
	} else {
		b_info = js_get(config, "b_info", json_type_object);
		item_number(item, "target_kib", js_u64(b_info, "target_memkb", 0));
		config_needs(config, items);
		json_object_put(config);
	}
	rc = devices_list(d->domid, items, true);
	need_placement(d, items);
	need_features(d, items);
	/* A guest VM that the toolstack of its new host VM starts by itself, too (xendomains), will be an item as well. */
	/* Last: the daemon compares it with its own clock. */
	item_realtime(item_add(items, "clock", NULL));
	return rc;
}
