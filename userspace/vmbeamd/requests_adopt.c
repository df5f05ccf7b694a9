// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "homes.h"
#include "js.h"
#include "log.h"
#include "look.h"
#include "requests_adopt.h"
#include "text.h"
#include "worker.h"

static const struct config *config;
/* Who waits for the errand under way; NULL: has gone, or there is none. */
static struct client *requester;

static struct {
	char *guest;
	struct look look;
	char uuid[40];		/* under which its home knew it; "": no home has been told */
	bool doubled;		/* nobody is to take it for settled */
	struct error error;
} adopt;

/* One that is away, as its home has it, and where it is. */
struct found {
	struct json_object *home, *away;
	struct json_object *guest;	/* on another host VM; NULL: on none that answers */
	struct json_object *at_home;	/* NULL: it is not there */
};

void requests_adopt_open(const struct config *c)
{
	config = c;
}

void requests_adopt_gone(struct client *c)
{
	if (requester == c)
		requester = NULL;
}

static struct json_object *find_elsewhere(struct json_object *hostvms, struct json_object *home, struct json_object *away)
{
	for (size_t i = 0; i < js_len(hostvms); i++) {
		struct json_object *h = json_object_array_get_idx(hostvms, i), *guests = js_array(h, "guests");

		for (size_t k = 0; h != home && k < js_len(guests); k++)
			if (look_away(hostvms, home, json_object_array_get_idx(guests, k)) == away)
				return json_object_array_get_idx(guests, k);
	}
	return NULL;
}

static bool is_domain(struct json_object *guest, const char *called)
{
	char domid[16];

	snprintf(domid, sizeof(domid), "#%llu", (unsigned long long)js_u64(guest, "domid", 0));
	return guest && (!strcmp(js_str(guest, "uuid", ""), called) || !strcmp(js_str(guest, "guest", ""), called) || !strcmp(domid, called));
}

static bool is_called(const struct found *f, const char *called)
{
	return !strcmp(js_str(f->away, "uuid", ""), called) || !strcmp(js_str(f->away, "name", ""), called) ||
	       is_domain(f->guest, called) || is_domain(f->at_home, called);
}

/* What tells one guest VM from another: several homes may have the same one. */
static const char *identity(const struct found *f)
{
	return js_str(f->guest ?: f->at_home ?: f->away, "uuid", "");
}

static int tell(const struct found *f, struct error *err)
{
	const char *home = js_str(f->home, "name", ""), *uuid = js_str(f->away, "uuid", "");
	char called[TEXT_SHORT];

	text_short(called, sizeof(called), js_str(f->away, "name", "?"));
	/* Whichever is left would be warned of by nobody any more. */
	adopt.doubled = f->guest && f->at_home;
	if (adopt.doubled)
		return error_set(err, "%s is on %s, which it has left, and elsewhere, too: vmbeam status says which to destroy. Then adopt it",
				 called, home);
	if (homes_tell(config, home, uuid, f->at_home ? "guard-back" : "guard-adopt", err))
		return -1;
	snprintf(adopt.uuid, sizeof(adopt.uuid), "%s", uuid);
	log_info("%s stays where it is: %s has been told", called, home);
	return 0;
}

/* Calls @each for all that are called so, until it returns something else than 0. */
static int for_each(struct json_object *hostvms, const char *called, int (*each)(const struct found *f, void *arg), void *arg)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < js_len(hostvms); i++) {
		struct json_object *home = json_object_array_get_idx(hostvms, i), *away = js_array(home, "away");

		for (size_t k = 0; !rc && k < js_len(away); k++) {
			struct found f = { .home = home, .away = json_object_array_get_idx(away, k) };

			f.guest = find_elsewhere(hostvms, home, f.away);
			f.at_home = look_at(home, js_str(f.away, "uuid", ""), js_str(f.away, "name", ""));
			if (is_called(&f, called))
				rc = each(&f, arg);
		}
	}
	return rc;
}

/* @arg: the first one's identity. 1: this is another guest VM. */
static int compare(const struct found *f, void *arg)
{
	const char **first = arg;

	if (!*first)
		*first = identity(f);
	return !!strcmp(*first, identity(f));
}

static int tell_each(const struct found *f, void *arg)
{
	(void)arg;
	return tell(f, &adopt.error);
}

static void adopt_run(void *arg)
{
	const char *first = NULL;
	int several;

	(void)arg;
	adopt.look = (struct look){ .config = config };
	look_run(&adopt.look);
	several = for_each(adopt.look.hostvms, adopt.guest, compare, &first);
	if (!first || several)
		error_set(&adopt.error, several ? "several guest VMs that are away from home are called %s: name it by its UUID (vmbeam list --json)" :
			  "no guest VM that is away from home is called %s: vmbeam list shows which are", adopt.guest);
	else
		for_each(adopt.look.hostvms, adopt.guest, tell_each, NULL);
	json_object_put(adopt.look.hostvms);
}

static void adopted(void *arg)
{
	struct json_object *o = json_object_new_object();
	struct client *c = requester;
	struct error err;

	(void)arg;
	requester = NULL;
	/* The plan of what is under way may know it by its name although nothing can be asked about it now. */
	if (drive_busy() && !adopt.doubled && (!drive_adopt(adopt.guest, &err) || (*adopt.uuid && !drive_adopt(adopt.uuid, &err))))
		adopt.error.text[0] = 0;
	js_add_str(o, "outcome", adopt.error.text[0] ? "refused" : "ok");
	if (adopt.error.text[0])
		js_add_str(o, "error", adopt.error.text);
	free(adopt.guest);
	memset(&adopt, 0, sizeof(adopt));
	control_result(c, o);
}

void request_adopt(struct client *c, const char *guest)
{
	memset(&adopt, 0, sizeof(adopt));
	adopt.guest = strdup(guest);
	if (!adopt.guest) {
		control_refuse(c, "refused", "out of memory");
		return;
	}
	requester = c;
	worker_errand(adopt_run, adopted, NULL);
}
