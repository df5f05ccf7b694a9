// SPDX-License-Identifier: GPL-2.0
#include <time.h>

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

void item_words(struct json_object *item, const char *key, const uint32_t *words, int nr)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < nr; i++)
		json_object_array_add(list, json_object_new_int64(words[i]));
	json_object_object_add(item, key, list);
}

void item_realtime(struct json_object *item)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	item_number(item, "realtime_ns", ts.tv_sec * 1000000000LL + ts.tv_nsec);
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
