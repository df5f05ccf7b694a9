// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "devices.h"
#include "item.h"
#include "js.h"
#include "needs.h"
#include "placement.h"
#include "policy.h"
#include "store.h"

#define MAX_VCPUS 1024

/* "0-2,5": the vCPUs that the toolstack lets the guest VM use. Whether it does is in its own hands. */
static void available(struct xs_handle *xs, uint32_t domid, char *text, size_t size)
{
	unsigned int nr = 0;
	bool is[MAX_VCPUS + 1] = {};
	size_t at = 0;

	free(store_list(xs, &nr, "/local/domain/%u/cpu", domid));
	for (unsigned int i = 0; i < nr && i < MAX_VCPUS; i++) {
		char *value = store_read(xs, "/local/domain/%u/cpu/%u/availability", domid, i);

		is[i] = value && !strcmp(value, "online");
		free(value);
	}
	*text = 0;
	for (unsigned int i = 0, end; i < MAX_VCPUS && at < size; i = end + 1) {
		for (end = i; is[end]; end++)
			;
		if (end > i)
			at += snprintf(text + at, size - at, end - i > 1 ? "%s%u-%u" : "%s%u", at ? "," : "", i, end - 1);
	}
}

/* What the toolstack changes in xenstore alone: nothing else of the domain shows it at once. */
static void need_settings(const struct domain *d, struct json_object *items)
{
	struct json_object *name = item_add(items, "name", NULL), *target = item_add(items, "target", NULL);
	struct json_object *vcpus = item_add(items, "available", NULL);
	struct xs_handle *xs = store_open();
	char *value, *form, text[4 * MAX_VCPUS];

	if (!xs) {
		add_problem(item_problems(name), "what is set for %s cannot be read: %s", d->called, strerror(errno));
		return;
	}
	value = store_read(xs, "/local/domain/%u/name", d->domid);
	form = value ? text_name(value) : NULL;
	put_string(name, "name", form ? form : "");
	free(form);
	free(value);
	item_number(target, "target_kib", store_number(xs, INT64_MAX, 0, "/local/domain/%u/memory/target", d->domid));
	item_number(target, "static_max_kib", store_number(xs, INT64_MAX, 0, "/local/domain/%u/memory/static-max", d->domid));
	available(xs, d->domid, text, sizeof(text));
	put_string(vcpus, "vcpus", text);
	store_close(xs);
}

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

	need_settings(d, items);
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
	need_settings(d, items);
	need_placement(d, items);
	need_features(d, items);
	/* A guest VM that the toolstack of its new host VM starts by itself, too (xendomains), will be an item as well. */
	/* Last: the daemon compares it with its own clock. */
	item_realtime(item_add(items, "clock", NULL));
	return rc;
}
