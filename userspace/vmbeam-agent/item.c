// SPDX-License-Identifier: GPL-2.0
#include "item.h"

struct json_object *item_add(struct json_object *items, const char *kind, const char *id)
{
	struct json_object *item = json_object_new_object();

	put_string(item, "kind", kind);
	if (id)
		put_string(item, "id", id);
	json_object_array_add(items, item);
	return item;
}

void item_number(struct json_object *item, const char *key, int64_t value)
{
	json_object_object_add(item, key, json_object_new_int64(value));
}

struct json_object *item_problems(struct json_object *item)
{
	struct json_object *list;

	if (json_object_object_get_ex(item, "problems", &list))
		return list;
	list = json_object_new_array();
	json_object_object_add(item, "problems", list);
	return list;
}
