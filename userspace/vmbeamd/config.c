// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
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

/* What is misspelt would be left at its default without a word. @where: "" or of what. */
static int only_known(struct json_object *o, const char *const *known, const char *path, const char *where, struct error *err)
{
	json_object_object_foreach(o, key, value) {
		bool is_known = false;

		(void)value;
		for (const char *const *k = known; *k && !is_known; k++)
			is_known = !strcmp(key, *k);
		if (!is_known)
			return error_set(err, "%s: unknown key \"%s\"%s; vmbeamd(8) lists those that there are", path, key, where);
	}
	return 0;
}

/* A key that is there has to be of its type. */
static int typed(struct json_object *o, const char *key, enum json_type type, const char *path, struct error *err)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || json_object_is_type(v, type))
		return 0;
	return error_set(err, "%s: \"%s\" must be %s", path, key, type == json_type_string ? "a string" :
			 type == json_type_array ? "a list" : type == json_type_boolean ? "true or false" : "an object");
}

/* Each is written anew at some time: in the place of another, it would be lost. */
static int all_different(const struct config *c, const char *path, struct error *err)
{
	const char *const keys[] = { "\"journal\"", "\"control\"", "\"file\" of \"history\"", "\"metrics\"" };
	const char *const files[] = { c->journal, c->control, c->history.path, c->metrics };

	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++)
			if (files[i] && !strcmp(files[i], files[k]))
				return error_set(err, "%s: %s and %s are the same file, %s", path, keys[k], keys[i], files[i]);
	return 0;
}

int config_load(struct config *c, const char *path, struct error *err)
{
	struct json_object *json = json_object_from_file(path);
	static const char *const keys[] = { "hostvms", "journal", "control", "limits", "history", "metrics", "hooks", NULL };
	static const char *const hostvm_keys[] = { "name", "socket", "config", "allow_missing_files", NULL };
	struct json_object *list = js_array(json, "hostvms");

	if (!json)
		return error_set(err, "%s: %s", path, json_util_get_last_err());
	memset(c, 0, sizeof(*c));
	c->json = json;
	if (!json_object_is_type(json, json_type_object))
		return error_set(err, "%s: it is no JSON object", path);
	if (only_known(json, keys, path, "", err) || typed(json, "hostvms", json_type_array, path, err) ||
	    typed(json, "journal", json_type_string, path, err) || typed(json, "control", json_type_string, path, err) ||
	    typed(json, "limits", json_type_object, path, err) || typed(json, "history", json_type_object, path, err) ||
	    typed(json, "metrics", json_type_string, path, err) || typed(json, "hooks", json_type_string, path, err))
		return -1;
	c->journal = js_str(json, "journal", "/var/lib/vmbeam/journal");
	c->control = js_str(json, "control", "/run/vmbeam/vmbeamd.sock");
	c->metrics = js_str(json, "metrics", NULL);
	c->hooks = js_str(json, "hooks", "/etc/vmbeam/hooks.d");
	if (load_limits(js_get(json, "limits", json_type_object), path, err) ||
	    history_configure(&c->history, js_get(json, "history", json_type_object), path, err) ||
	    all_different(c, path, err))
		return -1;
	if (!js_len(list) || js_len(list) > CONFIG_MAX_HOSTVMS)
		return error_set(err, "%s: \"hostvms\" must list 1 to %d host VMs", path, CONFIG_MAX_HOSTVMS);
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct config_hostvm h = { js_str(o, "name", NULL), js_str(o, "socket", NULL), js_str(o, "config", NULL),
					   js_bool(o, "allow_missing_files") };
		char where[48];

		snprintf(where, sizeof(where), " of host VM number %zu", i + 1);
		if (json_object_is_type(o, json_type_object) &&
		    (only_known(o, hostvm_keys, path, where, err) || typed(o, "config", json_type_string, path, err) ||
		     typed(o, "allow_missing_files", json_type_boolean, path, err)))
			return -1;

		if (!h.name || !h.socket)
			return error_set(err, "%s: host VM number %zu lacks \"name\" or \"socket\"", path, i + 1);
		if (!*h.name || strlen(h.name) > CONFIG_MAX_NAME || strchr(h.name, '/') || !text_is_clean(h.name))
			return error_set(err, "%s: host VM number %zu: a name has 1 to %d bytes and no slash or control character: rename it (xl rename)",
					 path, i + 1, CONFIG_MAX_NAME);
		if (strspn(h.name, "0123456789") == strlen(h.name))
			return error_set(err, "%s: host VM number %zu: xl takes the name %s for a domid: rename it (xl rename)", path,
					 i + 1, h.name);
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
