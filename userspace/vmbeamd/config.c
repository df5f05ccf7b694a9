// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "config.h"
#include "js.h"
#include "limit.h"
#include "text.h"

static int load_limits(struct json_object *limits, const char *path, struct error *err)
{
	if (!limits)
		return 0;
	json_object_object_foreach(limits, name, value) {
		switch (limit_set(name, json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0)) {
		case 0:
			break;
		case -ENOENT:
			return error_set(err, "%s: no limit is called \"%s\"; vmbeamd(8) lists them", path, name);
		default:
			return error_set(err, "%s: the limit \"%s\" takes 1 to 86400 seconds", path, name);
		}
	}
	return 0;
}

int config_load(struct config *c, const char *path, struct error *err)
{
	struct json_object *json = json_object_from_file(path);
	struct json_object *list = js_array(json, "hostvms");

	if (!json)
		return error_set(err, "%s: %s", path, json_util_get_last_err());
	memset(c, 0, sizeof(*c));
	c->journal = js_str(json, "journal", "/var/lib/vmbeam/journal");
	c->control = js_str(json, "control", "/run/vmbeam/vmbeamd.sock");
	if (load_limits(js_get(json, "limits", json_type_object), path, err))
		return -1;
	if (!js_len(list) || js_len(list) > CONFIG_MAX_HOSTVMS)
		return error_set(err, "%s: \"hostvms\" must list 1 to %d host VMs", path, CONFIG_MAX_HOSTVMS);
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct config_hostvm h = { js_str(o, "name", NULL), js_str(o, "socket", NULL) };

		if (!h.name || !h.socket)
			return error_set(err, "%s: host VM number %zu lacks \"name\" or \"socket\"", path, i + 1);
		if (!*h.name || strlen(h.name) > CONFIG_MAX_NAME || strchr(h.name, '/') || !text_is_clean(h.name))
			return error_set(err, "%s: host VM number %zu: a name has 1 to %d bytes and no slash or control character: rename it (xl rename)",
					 path, i + 1, CONFIG_MAX_NAME);
		if (config_hostvm(c, h.name))
			return error_set(err, "%s: the host VM %s is there twice", path, h.name);
		c->hostvms[c->nr_hostvms++] = h;
	}
	return 0;
}

const struct config_hostvm *config_hostvm(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->nr_hostvms; i++)
		if (!strcmp(c->hostvms[i].name, name))
			return &c->hostvms[i];
	return NULL;
}
