/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Short names for what is done with JSON all the time. Getters give the default when the key is not there or of
 * another type: what a peer sends is never trusted to have a shape.
 */
#ifndef VMBEAM_JS_H
#define VMBEAM_JS_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

static inline struct json_object *js_get(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v;

	return o && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) &&
	       json_object_is_type(v, type) ? v : NULL;
}

static inline const char *js_str(struct json_object *o, const char *key, const char *otherwise)
{
	struct json_object *v = js_get(o, key, json_type_string);

	return v ? json_object_get_string(v) : otherwise;
}

static inline uint64_t js_u64(struct json_object *o, const char *key, uint64_t otherwise)
{
	struct json_object *v = js_get(o, key, json_type_int);

	return v ? json_object_get_uint64(v) : otherwise;
}

static inline bool js_bool(struct json_object *o, const char *key)
{
	struct json_object *v = js_get(o, key, json_type_boolean);

	return v && json_object_get_boolean(v);
}

static inline struct json_object *js_array(struct json_object *o, const char *key)
{
	return js_get(o, key, json_type_array);
}

static inline size_t js_len(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

static inline void js_add_str(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, v ? json_object_new_string(v) : NULL);
}

static inline void js_add_u64(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static inline void js_add_bool(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

#endif
