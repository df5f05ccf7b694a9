// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "js.h"
#include "rules.h"
#include "sentences.h"

/* What a PV domain costs besides its RAM: vCPUs, grant and P2M tables, the domain itself; generous. */
#define OVERHEAD_KIB(kib)	((kib) / 128 + 16384)
/* The toolstack lets a domain have this much more than its target. */
#define SLACK_KIB		1024
/* A difference of clocks that somebody will notice. */
#define CLOCK_NOTICED_MS	1000

const char *const verdict_names[] = { "offered", "warning", "refused" };

static void say(struct finding *f, enum verdict verdict, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The worst verdict stays, with all sentences. */
static void say(struct finding *f, enum verdict verdict, const char *fmt, ...)
{
	size_t at = strlen(f->why);
	va_list ap;

	if (verdict > f->verdict) {
		f->verdict = verdict;
		at = 0;
	} else if (verdict < f->verdict) {
		return;
	}
	if (at)
		at += snprintf(f->why + at, sizeof(f->why) - at, "; ");
	if (at >= sizeof(f->why))
		return;
	va_start(ap, fmt);
	vsnprintf(f->why + at, sizeof(f->why) - at, fmt, ap);
	va_end(ap);
}

static bool is(struct json_object *item, const char *key, const char *value)
{
	return !strcmp(js_str(item, key, ""), value);
}

/* "0-2,5": is CPU @cpu in it? */
static bool has_cpu(const char *cpus, unsigned long cpu)
{
	for (char *end; *cpus; cpus = *end ? end + 1 : end) {
		unsigned long first = strtoul(cpus, &end, 10), last = first;

		if (end == cpus)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (cpu >= first && cpu <= last)
			return true;
		if (*end && *end != ',')
			return false;
	}
	return false;
}

#define MAX_CPUS 4096

static unsigned int count_cpus(const char *cpus)
{
	unsigned int nr = 0;

	for (unsigned long cpu = 0; cpu < MAX_CPUS; cpu++)
		nr += has_cpu(cpus, cpu);
	return nr;
}

/* How many of @wanted are in @cpus, and how many not. */
static void match_cpus(const char *wanted, const char *cpus, unsigned int *there, unsigned int *missing)
{
	*there = *missing = 0;
	for (unsigned long cpu = 0; cpu < MAX_CPUS; cpu++)
		if (has_cpu(wanted, cpu))
			++*(has_cpu(cpus, cpu) ? there : missing);
}

uint64_t rule_memory_kib(struct json_object *need)
{
	uint64_t held = js_u64(need, "held_kib", 0), max = js_u64(need, "max_kib", 0), kib = held > max ? held : max;

	return kib + OVERHEAD_KIB(kib);
}

static void compare_memory(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	uint64_t held = js_u64(need, "held_kib", 0), target = js_u64(need, "target_kib", 0);
	uint64_t free_kib = js_u64(offer, "free_kib", 0), kib = rule_memory_kib(need);

	snprintf(f->needs, sizeof(f->needs), "%" PRIu64 " MiB, of these %" PRIu64 " held", kib >> 10, held >> 10);
	snprintf(f->offers, sizeof(f->offers), "%" PRIu64 " MiB free", free_kib >> 10);
	if (target && held > target + SLACK_KIB)
		say(f, VERDICT_REFUSED, "%s: %s holds %" PRIu64 " MiB of memory and its target is %" PRIu64 " MiB: the toolstack of %s would give it no more than that. Wait until it has given the rest back, or raise its target (xl mem-set)",
		    s->from, s->guest, held >> 10, target >> 10, s->to);
	if (free_kib < kib)
		say(f, VERDICT_REFUSED, "%s: %" PRIu64 " MiB of memory are needed for %s and %" PRIu64 " MiB are free: shut down or shrink another guest VM, or shrink %s (xl mem-set)",
		    s->to, kib >> 10, s->guest, free_kib >> 10, s->guest);
}

/* What goes with the configuration: every host VM has that. */
static void goes_along(struct finding *f)
{
	snprintf(f->offers, sizeof(f->offers), "the same");
}

static void compare_name(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	(void)offer;
	(void)s;
	snprintf(f->needs, sizeof(f->needs), "%s", js_str(need, "name", "unknown"));
	goes_along(f);
}

static void compare_target(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	(void)offer;
	(void)s;
	snprintf(f->needs, sizeof(f->needs), "%" PRIu64 " of at most %" PRIu64 " KiB", js_u64(need, "target_kib", 0),
		 js_u64(need, "static_max_kib", 0));
	goes_along(f);
}

static void compare_available(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	(void)offer;
	(void)s;
	snprintf(f->needs, sizeof(f->needs), "%s", js_str(need, "vcpus", "unknown"));
	goes_along(f);
}

static void compare_vcpus(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	uint64_t nr = js_u64(need, "number", 0), online = js_u64(need, "online", 0);
	unsigned int cpus = count_cpus(js_str(offer, "cpus", ""));

	snprintf(f->needs, sizeof(f->needs), "%" PRIu64 ", of these %" PRIu64 " online", nr, online);
	snprintf(f->offers, sizeof(f->offers), "%u CPUs", cpus);
	/* That there is no such pool, or that it has no CPUs, is said of the pool. */
	if (cpus && online > cpus)
		say(f, VERDICT_WARNING, "%s has %" PRIu64 " vCPUs online, and %s has %u CPUs for them: it will run more slowly there", s->guest,
		    online, s->to, cpus);
}

static void compare_pool(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	const char *name = js_str(need, "name", "");

	snprintf(f->needs, sizeof(f->needs), "%s", name);
	if (is(offer, "name", name)) {
		const char *cpus = js_str(offer, "cpus", "");

		snprintf(f->offers, sizeof(f->offers), "%s, %s%s", name, *cpus ? "CPUs " : "without CPUs", cpus);
		if (!*cpus)
			say(f, VERDICT_REFUSED, "%s: the cpupool %s, in which %s runs on %s, has no CPUs: add some (xl cpupool-cpu-add), or put %s into another one first (xl cpupool-migrate)",
			    s->to, name, s->guest, s->from, s->guest);
		return;
	}
	snprintf(f->offers, sizeof(f->offers), "none of that name");
	say(f, VERDICT_REFUSED, "%s: there is no cpupool called %s, in which %s runs on %s: make it (xl cpupool-create), or put %s into another one first (xl cpupool-migrate)",
	    s->to, name, s->guest, s->from, s->guest);
}

static void compare_pin(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	const char *hard = js_str(need, "hard", ""), *soft = js_str(need, "soft", ""), *cpus = js_str(offer, "cpus", "");
	const char *vcpu = js_str(need, "id", "?");
	unsigned int there, missing;

	snprintf(f->needs, sizeof(f->needs), "CPUs %s, preferably %s", hard, soft);
	snprintf(f->offers, sizeof(f->offers), "CPUs %s", *cpus ? cpus : "unknown");
	if (!*cpus || !strcmp(hard, "all"))
		return;
	match_cpus(hard, cpus, &there, &missing);
	if (!there)
		say(f, VERDICT_REFUSED, "%s: vCPU %s of %s is pinned to CPU %s, and there are only %s: pin it to others first (xl vcpu-pin)",
		    s->to, vcpu, s->guest, hard, cpus);
	else if (missing)
		say(f, VERDICT_WARNING, "vCPU %s of %s is pinned to CPUs %s, and %s has only some of these (%s)", vcpu, s->guest, hard,
		    s->to, cpus);
}

static void compare_features(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	struct json_object *a = js_array(need, "features"), *b = js_array(offer, "features");
	char missing[600];

	snprintf(f->needs, sizeof(f->needs), "%d features", features_count(a));
	snprintf(f->offers, sizeof(f->offers), "%d features", features_count(b));
	if (!a || !b)
		say(f, VERDICT_REFUSED, "%s: the agent does not say which CPU features there are: is it of vmbeamd's version?",
		    a ? s->to : s->from);
	else if (features_missing(a, b, missing, sizeof(missing)))
		say(f, VERDICT_REFUSED, "%s: the CPU lacks what %s may use: %s. Move it to a host VM with these, or start it without them (cpuid=)",
		    s->to, s->guest, missing);
}

static void compare_disk(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	const char *target = js_str(need, "target", ""), *name = js_str(need, "dev", target);
	struct json_object *a = js_get(need, "ids", json_type_object), *b = js_get(offer, "ids", json_type_object);
	uint64_t bytes = js_u64(need, "bytes", 0), there = js_u64(offer, "bytes", 0);

	snprintf(f->needs, sizeof(f->needs), "%s, %" PRIu64 " MiB%s", target, bytes >> 20, is(need, "mode", "r") ? ", read only" : "");
	if (!is(offer, "target", target)) {
		snprintf(f->offers, sizeof(f->offers), "none that fits");
		say(f, VERDICT_REFUSED, "%s: the agent does not describe the disk %s: is it of the same version as vmbeamd?", s->to, target);
		return;
	}
	snprintf(f->offers, sizeof(f->offers), "%s, %" PRIu64 " MiB%s", target, there >> 20,
		 js_bool(offer, "read_only") ? ", read only" : "");
	if (bytes != there)
		say(f, VERDICT_REFUSED, "the disk %s of %s, %s, is not the same on %s and %s: it has %" PRIu64 " bytes on %s and %" PRIu64 " on %s. Give %s the disk that %s has, under that path",
		    name, s->guest, target, s->from, s->to, bytes, s->from, there, s->to, s->to, s->from);
	else if (!is(need, "mode", "r") && js_bool(offer, "read_only"))
		say(f, VERDICT_REFUSED, "%s: the disk %s of %s, %s, cannot be written to: make the device writable (blockdev --setrw)",
		    s->to, name, s->guest, target);
	if (!a || f->verdict == VERDICT_REFUSED)
		return;
	json_object_object_foreach(a, key, value) {
		const char *other = js_str(b, key, NULL), *mine = js_str(a, key, NULL);

		(void)value;
		if (mine && other && strcmp(mine, other))
			say(f, VERDICT_REFUSED, "the disk %s of %s, %s, is not the same on %s and %s: its %s is %s on %s and %s on %s. Give %s the disk that %s has, under that path",
			    name, s->guest, target, s->from, s->to, key, mine, s->from, other, s->to, s->to, s->from);
	}
}

static void compare_vif(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	struct json_object *tc = js_array(need, "tc"), *behind = js_array(need, "behind");
	const char *mac = js_str(need, "mac", "?"), *bridge = js_str(need, "bridge", "");

	snprintf(f->needs, sizeof(f->needs), "%s%s", *bridge ? "bridge " : "no bridge", bridge);
	snprintf(f->offers, sizeof(f->offers), "%s%s", *bridge ? "bridge " : "no bridge", js_str(offer, "bridge", *bridge ? "unknown" : ""));
	if (js_len(tc))
		say(f, VERDICT_WARNING, "the network card %s of %s has a queueing discipline (%s) on %s, which somebody set with tc and which is lost. Set it again on %s, or on %s if the migration is rolled back",
		    mac, s->guest, json_object_get_string(json_object_array_get_idx(tc, 0)), s->from, s->to, s->from);
	if (*bridge && js_bool(need, "vlan_filtering"))
		say(f, VERDICT_WARNING, "the bridge %s of %s on %s filters VLANs%s: what was set for the network card %s by hand (bridge vlan) is lost. Set it again on %s, or on %s if the migration is rolled back",
		    bridge, s->guest, s->from, js_bool(offer, "vlan_filtering") ? "" : " and the one on the destination does not", mac, s->to,
		    s->from);
	else if (*bridge && js_bool(offer, "vlan_filtering"))
		say(f, VERDICT_WARNING, "the bridge %s on %s filters VLANs and the one on %s does not: the network card %s of %s may reach less there",
		    bridge, s->to, s->from, mac, s->guest);
	if (js_len(behind))
		say(f, VERDICT_WARNING, "%zu more addresses are behind the network card %s of %s (%s%s): only its own is announced on %s, so these are not reached until they have spoken",
		    js_len(behind), mac, s->guest, json_object_get_string(json_object_array_get_idx(behind, 0)),
		    js_len(behind) > 1 ? ", ..." : "", s->to);
}

static void compare_device_state(struct json_object *need, const struct sides *s, struct finding *f)
{
	char text[400];

	rule_called(need, text);
	if (is(need, "state", "detaching"))
		say(f, VERDICT_REFUSED, "%s: %s is being detached from %s: wait until it has gone", s->from, text, s->guest);
	else if (is(need, "state", "idle"))
		say(f, VERDICT_WARNING, "%s: the kernel of %s does not use %s: it comes along unused", s->from, s->guest, text);
}

static void compare_file(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	const char *path = js_str(need, "path", "");

	snprintf(f->needs, sizeof(f->needs), "%s", path);
	snprintf(f->offers, sizeof(f->offers), "%s", js_str(offer, "path", js_str(offer, "missing", "unknown")));
	if (!is(offer, "path", path))
		say(f, s->allow_missing_files ? VERDICT_WARNING : VERDICT_REFUSED, "%s: the %s of %s, %s, is missing (%s): %s runs without it, but its next reboot fails. Copy it from %s%s",
		    s->to, js_str(need, "id", "file"), s->guest, path, js_str(offer, "missing", "unknown"), s->guest, s->from,
		    s->allow_missing_files ? "" : ", or say that guest VMs may come without theirs (\"allow_missing_files\" of the host VM that they come to, in vmbeamd's configuration)");
}

/* Each side's clock was stamped with ours when its answer came. */
static void compare_clock(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	int64_t a = js_u64(need, "realtime_ns", 0) - js_u64(need, "seen_ns", 0);
	int64_t b = js_u64(offer, "realtime_ns", 0) - js_u64(offer, "seen_ns", 0), ms = (b - a) / 1000000;

	snprintf(f->needs, sizeof(f->needs), "that of %s", s->from);
	snprintf(f->offers, sizeof(f->offers), "%.1f s %s", llabs(ms) / 1e3, ms < 0 ? "behind" : "ahead");
	if (llabs(ms) > s->clock_limit_ms)
		say(f, VERDICT_REFUSED, "the clock of %s is %.1f s %s that of %s: the time of %s would jump by as much. Set both management VMs' clocks (limit: %" PRId64 " s)",
		    s->to, llabs(ms) / 1e3, ms < 0 ? "behind" : "ahead of", s->from, s->guest, s->clock_limit_ms / 1000);
	else if (llabs(ms) > CLOCK_NOTICED_MS)
		say(f, VERDICT_WARNING, "the clock of %s is %.1f s %s that of %s: the time of %s jumps by as much", s->to, llabs(ms) / 1e3,
		    ms < 0 ? "behind" : "ahead of", s->from, s->guest);
}

/* All that is known of it is in its problems. */
static void compare_nothing(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	(void)offer;
	if (!js_len(js_array(need, "problems")))
		say(f, VERDICT_REFUSED, "%s: %s needs \"%s\", which cannot be moved", s->from, s->guest, js_str(need, "id", "?"));
}

/*
 * The rules. @name: what the item is called, with its @label in the item behind it. A kind that is not here is refused.
 * A guest VM that the toolstack of its new host VM would start by itself ("autostart") will be one more.
 */
static const struct rule {
	const char *kind, *name, *label;
	void (*compare)(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f);
} rules[] = {
	{ "memory", "memory", NULL, compare_memory },
	{ "name", "name", NULL, compare_name },
	{ "target", "memory target", NULL, compare_target },
	{ "available", "list of available vCPUs", NULL, compare_available },
	{ "vcpus", "vCPUs", NULL, compare_vcpus },
	{ "cpupool", "cpupool", NULL, compare_pool },
	{ "pin", "pin of vCPU", "id", compare_pin },
	{ "cpu", "CPU", NULL, compare_features },
	{ "vbd", "disk", "dev", compare_disk },
	{ "vif", "network card", "mac", compare_vif },
	{ "file", "file", "id", compare_file },
	{ "clock", "clock", NULL, compare_clock },
	{ "key", "setting", "id", compare_nothing },
	{ "served", "served device", "id", compare_nothing },
};

static const struct rule *find_rule(struct json_object *item)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (is(item, "kind", rules[i].kind))
			return &rules[i];
	return NULL;
}

static void take_problems(struct json_object *item, const char *who, struct finding *f)
{
	struct json_object *list = js_array(item, "problems");

	for (size_t i = 0; i < js_len(list); i++)
		say(f, VERDICT_REFUSED, "%s: %s", who, sentences_said(list, i));
}

void rule_compare(struct json_object *need, struct json_object *offer, const struct sides *s, struct finding *f)
{
	const struct rule *rule = find_rule(need);
	const char *label = rule && rule->label ? js_str(need, rule->label, js_str(need, "id", "?")) : NULL;

	memset(f, 0, sizeof(*f));
	snprintf(f->item, sizeof(f->item), "%s%s%s", rule ? rule->name : js_str(need, "kind", "?"), label ? " " : "", label ?: "");
	take_problems(need, s->from, f);
	take_problems(offer, s->to, f);
	if (!rule && f->verdict != VERDICT_REFUSED)
		say(f, VERDICT_REFUSED, "%s: %s needs something (%s) that this version of vmbeamd has no rule for: install a newer one",
		    s->from, s->guest, f->item);
	/* What a side could not look at is not compared as well. */
	if (!rule || f->verdict == VERDICT_REFUSED)
		return;
	rule->compare(need, offer, s, f);
	if (is(need, "kind", "vbd") || is(need, "kind", "vif"))
		compare_device_state(need, s, f);
}

void rule_called(struct json_object *item, char *text)
{
	const struct rule *rule = find_rule(item);

	if (is(item, "kind", "vbd"))
		snprintf(text, 400, "the disk %s, %s,", js_str(item, "dev", "?"), js_str(item, "target", "?"));
	else if (is(item, "kind", "vif"))
		snprintf(text, 400, "the network card %s, %s,", js_str(item, "id", "?"), js_str(item, "mac", "?"));
	else
		snprintf(text, 400, "the %s%s%s", rule ? rule->name : js_str(item, "kind", "device"), rule && !rule->label ? "" : " ",
			 rule && !rule->label ? "" : js_str(item, "id", "?"));
}
