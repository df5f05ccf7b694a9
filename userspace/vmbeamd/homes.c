// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "homes.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "text.h"
#include "visit.h"

int homes_tell(const struct config *config, const char *hostvm, const char *uuid, const char *op, struct error *err)
{
	struct json_object *args = json_object_new_object();
	struct visit v;
	int rc;

	js_add_str(args, "uuid", uuid);
	visit_init(&v, config_hostvm(config, hostvm));
	rc = visit_ask(&v, limit_s(LIMIT_CONNECT), op, args, limit_s(LIMIT_SHORT), NULL, err);
	agent_close(&v.agent);
	return rc;
}

/* Does it run on @home, and nowhere else? Not if that is not known. One that is suspended may be on its way somewhere. */
static bool is_home(struct json_object *hostvms, struct json_object *home, struct json_object *away)
{
	const char *uuid = js_str(away, "uuid", ""), *name = js_str(away, "name", "");
	struct json_object *g = look_at(home, uuid, name);
	char which[CONFIG_MAX_NAME + 1];

	return g && strcmp(js_str(g, "state", "suspended"), "suspended") &&
	       !look_elsewhere(hostvms, js_str(home, "name", ""), uuid, name, which, sizeof(which));
}

/*
 * It is home under another UUID than that with which it left, since it was created anew on a refuge. What it left when it
 * moved home from there is that of a refuge, too, and would bring it back.
 */
static void forget_refuges(struct look *l, struct json_object *home, struct json_object *away)
{
	struct json_object *guest = look_at(home, js_str(away, "uuid", ""), js_str(away, "name", ""));
	struct error err;

	for (size_t i = 0; i < js_len(l->hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(l->hostvms, i);
		struct json_object *a = h == home ? NULL : look_away(l->hostvms, h, guest);

		if (!a || js_u64(a, "since", 0) < js_u64(away, "since", 0))
			continue;
		if (homes_tell(l->config, js_str(h, "name", ""), js_str(a, "uuid", ""), "guard-adopt", &err))
			log_warn("%s still takes itself for the home of a guest VM that it had for a while: %s", js_str(h, "name", ""),
				 err.text);
		else
			json_object_object_del(guest, "home");
	}
}

void homes_look(void *arg)
{
	struct look *l = arg;

	look_run(l);
	for (size_t i = 0; i < js_len(l->hostvms); i++) {
		struct json_object *home = json_object_array_get_idx(l->hostvms, i), *away = js_array(home, "away");

		for (size_t k = 0; k < js_len(away);) {
			struct json_object *guest = json_object_array_get_idx(away, k);
			char called[TEXT_SHORT];
			struct error err;

			text_short(called, sizeof(called), js_str(guest, "name", "?"));
			if (!is_home(l->hostvms, home, guest)) {
				k++;
			} else if (homes_tell(l->config, js_str(home, "name", ""), js_str(guest, "uuid", ""), "guard-back", &err)) {
				log_warn("%s is home again, and what starts it there by itself could not be put back: %s",
					 called, err.text);
				k++;
			} else {
				log_info("%s is home again: %s has been told", called, js_str(home, "name", ""));
				forget_refuges(l, home, guest);
				json_object_array_del_idx(away, k, 1);
			}
		}
	}
}
