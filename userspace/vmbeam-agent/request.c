// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "text.h"

int fail(struct request *r, int err, const char *fmt, ...)
{
	char text[2 * sizeof(r->error)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	text_clean(r->error, sizeof(r->error), text);
	r->code = strerrorname_np(-err);
	if (!r->code)
		r->code = "EIO";
	return err;
}

int get_number(struct request *r, const char *key, uint64_t max, uint64_t *value)
{
	struct json_object *obj;
	int64_t v;

	if (!json_object_object_get_ex(r->in, key, &obj) || !json_object_is_type(obj, json_type_int))
		return fail(r, -EINVAL, "the request lacks the number \"%s\"", key);
	v = json_object_get_int64(obj);
	if (v < 0 || (uint64_t)v > max)
		return fail(r, -EINVAL, "\"%s\" in the request is out of range", key);
	*value = v;
	return 0;
}

int get_migration(struct request *r, const char **migration)
{
	return get_string(r, "migration", MAX_MIGRATION, false, migration);
}

int get_domid(struct request *r, uint32_t *domid)
{
	uint64_t v = 0;
	int rc = get_number(r, "domid", MAX_DOMID - 1, &v);

	if (!rc && !v)
		rc = fail(r, -EINVAL, "domain 0 is this management VM itself");
	*domid = v;
	return rc;
}

static int get_text(struct request *r, const char *key, size_t max, const char **value)
{
	struct json_object *obj;
	const char *s;
	size_t len;

	if (!json_object_object_get_ex(r->in, key, &obj) || !json_object_is_type(obj, json_type_string))
		return fail(r, -EINVAL, "the request lacks the string \"%s\"", key);
	s = json_object_get_string(obj);
	len = json_object_get_string_len(obj);
	if (!len || len > max || strlen(s) != len)
		return fail(r, -EINVAL, "\"%s\" in the request is empty or longer than %zu bytes", key, max);
	*value = s;
	return 0;
}

int get_name(struct request *r, const char *key, const char **value)
{
	return get_text(r, key, MAX_NAME, value);
}

int get_string(struct request *r, const char *key, size_t max, bool path, const char **value)
{
	const char *s;
	int rc = get_text(r, key, max, &s);

	if (rc)
		return rc;
	for (size_t i = 0; s[i]; i++)
		if (!isprint((unsigned char)s[i]) || (s[i] == '/' && !path))
			return fail(r, -EINVAL, "\"%s\" in the request has a character that may not be there", key);
	*value = s;
	return 0;
}

bool has_key(struct request *r, const char *key)
{
	return json_object_object_get_ex(r->in, key, NULL);
}

void put_number(struct request *r, const char *key, uint64_t value)
{
	json_object_object_add(r->out, key, json_object_new_int64(value));
}

void put_bool(struct request *r, const char *key, bool value)
{
	json_object_object_add(r->out, key, json_object_new_boolean(value));
}

/* What is not UTF-8 is escaped: one reply that is no JSON would be one for all guest VMs of this host VM. */
void put_string(struct json_object *obj, const char *key, const char *value)
{
	char *name = text_is_utf8(value, strlen(value)) ? NULL : text_name(value);

	json_object_object_add(obj, key, json_object_new_string(name ?: value));
	free(name);
}

void add_problem(struct json_object *problems, const char *fmt, ...)
{
	char text[2000], clean[1000];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	text_clean(clean, sizeof(clean), text);
	json_object_array_add(problems, json_object_new_string(clean));
}
