// SPDX-License-Identifier: GPL-2.0
/* A migration as the CLI and the tests see it. */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "js.h"
#include "migration.h"

static void add_ms(struct json_object *o, const char *key, double ms)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", ms);
	json_object_object_add(o, key, json_object_new_double_s(ms, text));
}

static const char *outcome(const struct migration *m)
{
	switch (m->fate) {
	case FATE_REFUSED: return "refused";
	case FATE_ROLLED_BACK: return "rolled-back";
	case FATE_DONE: return "done";
	case FATE_LOST: return "lost";
	case FATE_STUCK: return "stuck";
	case FATE_FORGOTTEN: return "forgotten";
	case FATE_OPEN: break;
	}
	return m->check_only && m->ended_ns ? "ok" : "unfinished";
}

/* Beyond this the lists say nothing to a reader, and a message has its limit. */
#define LIST_MAX 4096

static void add_run(struct json_object *list, uint64_t first, uint64_t nr)
{
	struct json_object *run = json_object_new_array();

	json_object_array_add(run, json_object_new_uint64(first));
	json_object_array_add(run, json_object_new_uint64(nr));
	json_object_array_add(list, run);
}

/* Which frames did not move with their machine frame, as [first, count]: by pfn, and by the source's gfn. */
static void add_exceptions(struct json_object *o, const struct migration *m)
{
	struct json_object *kept = json_object_new_array(), *exchanged = json_object_new_array();
	struct vmbeam_extents runs = { 0 };

	if (!pfn_set_extents(&m->stream.kept, &runs))
		for (size_t i = 0; i < runs.nr && i < LIST_MAX; i++)
			add_run(kept, runs.v[i].pfn, runs.v[i].nr);
	for (size_t i = 0; i < m->exchanged_pairs.nr && i < LIST_MAX; i++)
		add_run(exchanged, m->exchanged_pairs.v[i].gfn_a, m->exchanged_pairs.v[i].nr);
	vmbeam_extents_free(&runs);
	json_object_object_add(o, "kept_pfns", kept);
	json_object_object_add(o, "exchanged_gfns", exchanged);
}

/* How long the host VMs stood still for the swap, and how often. */
static struct json_object *pauses(const struct vmbeam_txn_outcome *out)
{
	struct json_object *o = json_object_new_object();
	uint64_t nr = 0;

	for (int i = 0; i < VMBEAM_PAUSES; i++)
		nr += out->pauses[i];
	js_add_u64(o, "number", nr);
	add_ms(o, "longest_ms", out->max_pause_ns / 1e6);
	js_add_u64(o, "flushes", out->nr_flushes);
	return o;
}

/* Which migration of what an event is about. A check is none: what is said of it is for whoever asked for it. */
static struct json_object *event(const struct migration *m, const char *what)
{
	struct json_object *o = json_object_new_object();

	if (!m->check_only)
		js_add_str(o, "event", what);
	js_add_str(o, "migration", m->id);
	js_add_str(o, "guest", m->name);
	js_add_str(o, "uuid", m->uuid);
	js_add_str(o, "from", m->from);
	js_add_str(o, "to", m->to);
	if (*m->maintenance)
		js_add_str(o, "maintenance", m->maintenance);
	return o;
}

static void add_done(struct json_object *o, const struct migration *m)
{
	js_add_u64(o, "done", m->done);
	js_add_u64(o, "total", m->total);
	js_add_str(o, "unit", "frames");
}

struct json_object *report_phase(const struct migration *m, double ms)
{
	struct json_object *o = event(m, "phase");

	js_add_str(o, "phase", step_names[m->step]);
	if (ms >= 0)
		add_ms(o, "ms", ms);
	else if (m->total)
		add_done(o, m);
	return o;
}

struct json_object *report_outcome(const struct migration *m)
{
	struct json_object *o = event(m, "outcome");

	js_add_str(o, "outcome", outcome(m));
	if (m->suspended_ns && m->unpaused_ns)
		add_ms(o, "downtime_ms", (m->unpaused_ns - m->suspended_ns) / 1e6);
	if (m->error.text[0] || m->lost.text[0])
		js_add_str(o, "error", m->lost.text[0] ? m->lost.text : m->error.text);
	return o;
}

struct json_object *report(const struct migration *m)
{
	struct json_object *o = json_object_new_object(), *frames = json_object_new_object(),
			   *phases = json_object_new_object();
	int64_t end = m->ended_ns ? m->ended_ns : clock_ns();

	js_add_str(o, "id", m->id);
	js_add_str(o, "guest", m->name);
	js_add_str(o, "from", m->from);
	js_add_str(o, "to", m->to);
	js_add_str(o, "uuid", m->uuid);
	if (*m->maintenance)
		js_add_str(o, "maintenance", m->maintenance);
	js_add_str(o, "outcome", outcome(m));
	js_add_str(o, "state", state_name(m->state));
	if (m->fate == FATE_OPEN && !m->ended_ns && !m->error.text[0]) {
		js_add_str(o, "phase", step_names[m->step]);
		if (m->total)
			add_done(o, m);
	}
	js_add_u64(o, "memory_mib", m->max_kib / 1024);
	js_add_u64(frames, "total", m->populated ? m->populated : m->guest_frames);
	js_add_u64(frames, "swapped", m->swapped);
	js_add_u64(frames, "kept", m->kept);
	js_add_u64(frames, "exchanged", m->exchanged);
	js_add_u64(frames, "superpages", m->large);
	json_object_object_add(o, "frames", frames);
	for (int i = 0; i < STEPS; i++)
		add_ms(phases, step_names[i], m->ms[i]);
	json_object_object_add(o, "phases_ms", phases);
	if (m->suspended_ns && m->unpaused_ns)
		add_ms(o, "downtime_ms", (m->unpaused_ns - m->suspended_ns) / 1e6);
	add_ms(o, "total_ms", (end - m->begun_ns) / 1e6);
	if (m->fate == FATE_DONE)
		add_exceptions(o, m);
	if (m->outcome.size)
		json_object_object_add(o, "pauses", pauses(&m->outcome));
	js_add_u64(o, "stream_bytes", m->stream_bytes);
	js_add_u64(o, "busy_retries", m->busy_retries);
	js_add_u64(o, "transaction", m->txn_id);
	if (m->error.text[0])
		js_add_str(o, "error", m->error.text);
	if (m->lost.text[0])
		js_add_str(o, "lost", m->lost.text);
	if (m->finishing.text[0] && (m->fate == FATE_OPEN || m->fate == FATE_STUCK))
		js_add_str(o, "waiting_for", m->finishing.text);
	if (m->next_try_ms) {
		js_add_u64(o, "tries", m->tries);
		add_ms(o, "next_try_ms", m->next_try_ms);
	}
	if (js_len(m->disks))
		json_object_object_add(o, "disks", json_object_get(m->disks));
	if (m->check_only && js_len(m->items))
		json_object_object_add(o, "items", json_object_get(m->items));
	if (js_len(m->warnings))
		json_object_object_add(o, "warnings", json_object_get(m->warnings));
	if (m->problems && json_object_array_length(m->problems))
		json_object_object_add(o, "problems", json_object_get(m->problems));
	return o;
}
