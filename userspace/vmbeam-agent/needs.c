// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "needs.h"
#include "request.h"

#define MAX_NEEDS 64
#define MAX_INTERFACE 15

const char *needs_net = "/sys/class/net";

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) &&
	       json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static void check_bridge(const char *bridge, const char *script, struct json_object *problems)
{
	char name[MAX_INTERFACE + 1], path[300];
	size_t len = strlen(bridge);

	/* Open vSwitch's script takes a VLAN tag and trunks behind the name. */
	if (strstr(script, "openvswitch"))
		len = strcspn(bridge, ".:");
	if (!len || len > MAX_INTERFACE || memchr(bridge, '/', len)) {
		add_problem(problems, "a network card's bridge \"%s\" is no name of an interface", bridge);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, bridge);
	snprintf(path, sizeof(path), "%s/%s", needs_net, name);
	if (access(path, F_OK))
		add_problem(problems, "the bridge %s of a network card is not here: make it, with the same network behind it",
			    name);
}

static void check_vif(struct json_object *vif, struct json_object *problems)
{
	const char *bridge = text_of(vif, "bridge"), *script = text_of(vif, "script");

	if (*bridge)
		check_bridge(bridge, script, problems);
	if (*script == '/' && access(script, X_OK))
		add_problem(problems, "the hotplug script %s of a network card cannot be run here: %s. Install it", script,
			    strerror(errno));
}

static void check_boot(struct json_object *boot, struct json_object *warnings)
{
	const char *what = text_of(boot, "what"), *path = text_of(boot, "path");

	/* A boot loader's name alone is looked up by the toolstack. */
	if (*path == '/' && access(path, R_OK))
		add_problem(warnings, "the guest VM's %s, %s, is not here (%s): it runs without, but its next reboot fails. Copy it here",
			    what, path, strerror(errno));
}

static struct json_object *list_of(struct json_object *request, const char *key, size_t *nr)
{
	struct json_object *list;

	*nr = 0;
	if (!json_object_object_get_ex(request, key, &list) || !json_object_is_type(list, json_type_array))
		return NULL;
	*nr = json_object_array_length(list);
	if (*nr > MAX_NEEDS)
		*nr = MAX_NEEDS;
	return list;
}

void needs_check(struct json_object *request, struct json_object *problems, struct json_object *warnings)
{
	struct json_object *list;
	size_t nr;

	list = list_of(request, "vifs", &nr);
	for (size_t i = 0; i < nr; i++)
		check_vif(json_object_array_get_idx(list, i), problems);
	list = list_of(request, "boot", &nr);
	for (size_t i = 0; i < nr; i++)
		check_boot(json_object_array_get_idx(list, i), warnings);
}
