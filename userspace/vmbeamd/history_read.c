// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "js.h"

/* The object in a line, which may have its end; NULL if it is none. */
static struct json_object *parse(const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *json;

	if (!tok)
		return NULL;
	json = json_tokener_parse_ex(tok, line, len);
	if (json && !json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		json = NULL;
	}
	json_tokener_free(tok);
	return json;
}

int history_each_line(FILE *f, int (*each)(const char *line, size_t len, struct json_object *json, void *arg),
		      void *arg)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = 0;

	while (!rc && (len = getline(&line, &room, f)) > 0) {
		struct json_object *json;

		/* Torn by a crash: it never happened. */
		if (line[len - 1] != '\n')
			break;
		json = parse(line, len - 1);
		if (json)
			rc = each(line, len, json, arg);
		json_object_put(json);
	}
	if (!rc && ferror(f))
		rc = -errno;
	free(line);
	return rc;
}

int history_filter_parse(struct history_filter *f, struct json_object *request, struct error *err)
{
	struct json_object *v;

	memset(f, 0, sizeof(*f));
	f->kind = js_str(request, "kind", NULL);
	f->guest = js_str(request, "guest", NULL);
	f->hostvm = js_str(request, "hostvm", NULL);
	f->failed = js_bool(request, "failed");
	v = js_get(request, "since", json_type_int);
	f->since = v ? json_object_get_int64(v) : 0;
	v = js_get(request, "until", json_type_int);
	f->until = v ? json_object_get_int64(v) : 0;
	v = js_get(request, "last", json_type_int);
	if (v && (json_object_get_int64(v) < 1 || json_object_get_int64(v) > HISTORY_LAST_MAX))
		return error_set(err, "\"last\" takes 1 to %d", HISTORY_LAST_MAX);
	f->last = v ? json_object_get_int64(v) : 0;
	if (f->kind && strcmp(f->kind, "migration") && strcmp(f->kind, "maintenance"))
		return error_set(err, "the history has kinds \"migration\" and \"maintenance\"");
	return 0;
}

static bool is_guest(struct json_object *o, const char *pattern)
{
	return !strcmp(js_str(o, "uuid", ""), pattern) || !fnmatch(pattern, js_str(o, "guest", ""), 0);
}

/* A maintenance has a list of guest VMs, a migration is of one. */
static bool has_guest(struct json_object *json, const char *pattern)
{
	struct json_object *guests = js_array(json, "guests");

	if (!guests)
		return is_guest(json, pattern);
	for (size_t i = 0; i < js_len(guests); i++)
		if (is_guest(json_object_array_get_idx(guests, i), pattern))
			return true;
	return false;
}

static bool passes(struct json_object *json, const struct history_filter *f)
{
	struct json_object *v = js_get(json, "ended", json_type_int);
	int64_t ended = v ? json_object_get_int64(v) : 0;
	const char *kind = js_str(json, "kind", "");

	if (strcmp(kind, f->kind ?: "migration") && (f->kind || strcmp(kind, "maintenance")))
		return false;
	if (f->guest && !has_guest(json, f->guest))
		return false;
	if (f->hostvm && strcmp(js_str(json, "from", ""), f->hostvm) && strcmp(js_str(json, "to", ""), f->hostvm))
		return false;
	if ((f->since && ended < f->since) || (f->until && ended > f->until))
		return false;
	return !f->failed || strcmp(js_str(json, "outcome", ""), "done");
}

/* A read that is under way. With a limit, a ring of those that may be the last ones. */
struct reading {
	const struct history_filter *f;
	int (*record)(struct json_object *json, void *arg);
	void *arg;
	struct json_object **ring;
	size_t nr;
};

static int one(const char *line, size_t len, struct json_object *json, void *arg)
{
	struct reading *r = arg;
	size_t at;

	(void)line;
	(void)len;
	if (r->f && !passes(json, r->f))
		return 0;
	if (!r->ring)
		return r->record(json, r->arg);
	at = r->nr++ % r->f->last;
	json_object_put(r->ring[at]);
	r->ring[at] = json_object_get(json);
	return 0;
}

int history_read(const char *path, const struct history_filter *f,
		 int (*record)(struct json_object *json, void *arg), void *arg)
{
	struct reading r = { .f = f, .record = record, .arg = arg };
	size_t last = f ? f->last : 0;
	FILE *file = fopen(path, "re");
	int rc;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	if (last)
		r.ring = calloc(last, sizeof(*r.ring));
	rc = last && !r.ring ? -ENOMEM : history_each_line(file, one, &r);
	fclose(file);
	for (size_t i = 0; r.ring && i < last; i++) {
		size_t at = r.nr > last ? (r.nr + i) % last : i;

		if (!rc && r.ring[at])
			rc = record(r.ring[at], arg);
		json_object_put(r.ring[at]);
	}
	free(r.ring);
	return rc;
}
