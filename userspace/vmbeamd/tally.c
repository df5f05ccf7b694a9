// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "js.h"
#include "tally.h"

const double tally_bounds[TALLY_BUCKETS] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120 };

const char *const tally_outcomes[TALLY_OUTCOMES] = {
	[TALLY_DONE] = "done",
	[TALLY_REFUSED] = "refused",
	[TALLY_ROLLED_BACK] = "rolled-back",
	[TALLY_LOST] = "lost",
	[TALLY_STUCK] = "stuck",
	[TALLY_FORGOTTEN] = "forgotten",
	[TALLY_ABORTED] = "aborted",
	[TALLY_OTHER] = "other",
};

const char *const tally_kinds[TALLY_KINDS] = {
	[TALLY_SWAPPED] = "swapped",
	[TALLY_KEPT] = "kept",
	[TALLY_EXCHANGED] = "exchanged",
};

const char *const tally_whats[TALLY_WHATS] = {
	[TALLY_EVACUATE] = "evacuate",
	[TALLY_RETURN] = "return",
	[TALLY_MAINTAIN] = "maintain",
};

static enum tally_outcome outcome_of(struct json_object *record)
{
	const char *outcome = js_str(record, "outcome", "");

	for (int i = 0; i < TALLY_OTHER; i++)
		if (!strcmp(outcome, tally_outcomes[i]))
			return i;
	return TALLY_OTHER;
}

static double seconds(struct json_object *record, const char *key, double scale)
{
	struct json_object *v;

	return json_object_object_get_ex(record, key, &v) ? json_object_get_double(v) / scale : 0;
}

static void add_frames(struct tally *t, struct json_object *frames)
{
	for (int i = 0; i < TALLY_KINDS; i++)
		t->frames[i] += js_u64(frames, tally_kinds[i], 0);
}

static void add_migration(struct tally *t, struct json_object *record)
{
	enum tally_outcome outcome = outcome_of(record);
	double pause = seconds(record, "downtime_ms", 1000);
	int bucket = 0;

	t->migrations[outcome]++;
	/* What was swapped back did not move, and what did not move had no pause that is worth a bucket. */
	if (outcome != TALLY_DONE)
		return;
	add_frames(t, js_get(record, "frames", json_type_object));
	while (bucket < TALLY_BUCKETS && pause > tally_bounds[bucket])
		bucket++;
	t->pauses[bucket]++;
	t->pauses_s += pause;
}

static void add_maintenance(struct tally *t, struct json_object *record)
{
	for (int i = 0; i < TALLY_WHATS; i++)
		if (!strcmp(js_str(record, "what", ""), tally_whats[i]))
			t->maintenances[i][outcome_of(record)]++;
}

static void add_outcomes(uint64_t *out, struct json_object *json)
{
	for (int i = 0; i < TALLY_OUTCOMES; i++)
		out[i] += js_u64(json, tally_outcomes[i], 0);
}

static void add_totals(struct tally *t, struct json_object *record)
{
	struct json_object *by_what = js_get(record, "maintenances", json_type_object);
	struct json_object *pauses = js_array(record, "pauses");

	add_outcomes(t->migrations, js_get(record, "migrations", json_type_object));
	for (int i = 0; i < TALLY_WHATS; i++)
		add_outcomes(t->maintenances[i], js_get(by_what, tally_whats[i], json_type_object));
	add_frames(t, js_get(record, "frames", json_type_object));
	for (size_t i = 0; i <= TALLY_BUCKETS && i < js_len(pauses); i++)
		t->pauses[i] += json_object_get_uint64(json_object_array_get_idx(pauses, i));
	t->pauses_s += seconds(record, "pauses_s", 1);
}

void tally_add(struct tally *t, struct json_object *record)
{
	const char *kind = js_str(record, "kind", "");

	if (!strcmp(kind, "migration"))
		add_migration(t, record);
	else if (!strcmp(kind, "maintenance"))
		add_maintenance(t, record);
	else if (!strcmp(kind, "totals"))
		add_totals(t, record);
}

static struct json_object *numbers(const uint64_t *v, const char *const *names, int nr)
{
	struct json_object *o = json_object_new_object();

	for (int i = 0; i < nr; i++)
		if (v[i])
			js_add_u64(o, names[i], v[i]);
	return o;
}

struct json_object *tally_to_json(const struct tally *t)
{
	struct json_object *o = json_object_new_object(), *by_what = json_object_new_object(),
			   *pauses = json_object_new_array();

	js_add_str(o, "kind", "totals");
	json_object_object_add(o, "migrations", numbers(t->migrations, tally_outcomes, TALLY_OUTCOMES));
	for (int i = 0; i < TALLY_WHATS; i++)
		json_object_object_add(by_what, tally_whats[i], numbers(t->maintenances[i], tally_outcomes, TALLY_OUTCOMES));
	json_object_object_add(o, "maintenances", by_what);
	json_object_object_add(o, "frames", numbers(t->frames, tally_kinds, TALLY_KINDS));
	for (int i = 0; i <= TALLY_BUCKETS; i++)
		json_object_array_add(pauses, json_object_new_uint64(t->pauses[i]));
	json_object_object_add(o, "pauses", pauses);
	json_object_object_add(o, "pauses_s", json_object_new_double(t->pauses_s));
	return o;
}
