// SPDX-License-Identifier: GPL-2.0
/* Everything that can be known to be wrong before anything is touched. All of it is said, not the first alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"
#include "check.h"
#include "check_ask.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "sentences.h"

void problem(struct migration *m, const char *fmt, ...)
{
	struct error err;
	va_list ap;

	va_start(ap, fmt);
	error_vset(&err, fmt, ap);
	va_end(ap);
	if (!json_object_array_length(m->problems))
		m->error = err;
	json_object_array_add(m->problems, json_object_new_string(err.text));
}

void warning(struct migration *m, const char *fmt, ...)
{
	struct error err;
	va_list ap;

	va_start(ap, fmt);
	error_vset(&err, fmt, ap);
	va_end(ap);
	log_warn("%s", err.text);
	json_object_array_add(m->warnings, json_object_new_string(err.text));
}

static void problems_of(struct migration *m, const char *who, struct json_object *reply)
{
	struct json_object *list = js_array(reply, "problems");

	for (size_t i = 0; i < js_len(list); i++)
		problem(m, "%s: %s", who, sentences_said(list, i));
}

/* True: it can do all that is needed. */
static bool check_module(struct migration *m)
{
	size_t before = json_object_array_length(m->problems);
	struct vmbeam_query q;
	int rc;

	if (m->dev < 0)
		m->dev = vmbeam_open();
	if (m->dev < 0) {
		problem(m, "%s: %s: is vmbeam_host.ko loaded?", VMBEAM_DEVICE, strerror(-m->dev));
		m->dev = -1;
		return false;
	}
	rc = vmbeam_query(m->dev, &q);
	if (rc)
		problem(m, "%s: %s", VMBEAM_DEVICE, strerror(-rc));
	else if (q.role != VMBEAM_ROLE_HOST)
		problem(m, "%s is not vmbeam_host.ko's: vmbeamd runs in the host management VM", VMBEAM_DEVICE);
	else if (!(q.features & VMBEAM_FEATURE_SWAP))
		problem(m, "the host hypervisor lacks the swap op, or its dom0 is not PV: boot the patched Xen, without dom0=pvh");
	else if (~q.features & (VMBEAM_FEATURE_SUPERPAGES | VMBEAM_FEATURE_INVALIDATE | VMBEAM_FEATURE_SWAP_EMPTY))
		problem(m, "vmbeam_host.ko is older than vmbeamd and cannot do all that it needs: load the one of its version");
	else if (!(q.features & VMBEAM_FEATURE_EXCHANGE))
		problem(m, "the host hypervisor cannot exchange the contents of busy frames");
	m->max_frames = q.max_frames;
	m->max_extents = q.max_extents;
	return json_object_array_length(m->problems) == before;
}

static void check_host(struct migration *m, const char *name, uint32_t *domid)
{
	struct error err;

	if (hostvm_domid(name, domid, &err) || hostvm_check(name, *domid, &err))
		problem(m, "%s", err.text);
}

/*
 * Would the hypervisor swap frames of these two? An empty transaction shows it: nothing is touched. What it has against
 * one of them may come and go, such as log-dirty mode, so the swap itself may still be refused.
 */
static void check_swap(struct migration *m)
{
	uint64_t id;
	int txn = vmbeam_txn_begin(m->dev, m->host_a, m->host_b, &id), rc;

	if (txn == -EBUSY) {
		problem(m, "%s (domain %u) or %s (domain %u) is in another transaction: vmbeam transaction list says in which. Retry or forget it if it is stuck, or else wait until its process ends",
			m->from, m->host_a, m->to, m->host_b);
		return;
	}
	if (txn == -ENXIO) {
		problem(m, "vmbeam_host cannot hold %s (domain %u) or %s (domain %u): mapping the page that the toolstack gave it for xenstore failed. The kernel log of the host management VM says with which error",
			m->from, m->host_a, m->to, m->host_b);
		return;
	}
	if (txn == -EACCES) {
		problem(m, "the host hypervisor's FLASK policy does not let the host management VM ask for and map the page that %s or %s has for xenstore: it needs hvm getparam and mmu map_read on them",
			m->from, m->to);
		return;
	}
	if (txn < 0) {
		problem(m, "no transaction can be begun between %s (domain %u) and %s (domain %u): %s", m->from, m->host_a,
			m->to, m->host_b, strerror(-txn));
		return;
	}
	rc = vmbeam_txn_swap(txn, 0, NULL, 0, NULL, 0, NULL, NULL);
	close(txn);
	if (rc == -EACCES)
		problem(m, "the host hypervisor's FLASK policy does not let frames of %s and %s be swapped: it needs the interface swap_p2m of xen.if for them",
			m->from, m->to);
	else if (rc == -EOPNOTSUPP)
		problem(m, "the host hypervisor swaps no frames of %s and %s: one of them is not HVM with HAP, or has an IOMMU, access to a device, log-dirty mode, populate-on-demand, altp2m, memory sharing or paging",
			m->from, m->to);
	else if (rc == -ESRCH)
		problem(m, "%s (domain %u) or %s (domain %u) is gone, or is being destroyed", m->from, m->host_a, m->to, m->host_b);
	else if (rc)
		problem(m, "the host hypervisor swaps no frames of %s (domain %u) and %s (domain %u): %s", m->from, m->host_a,
			m->to, m->host_b, strerror(-rc));
}

struct sides check_sides(const struct migration *m)
{
	return (struct sides){ .guest = m->guest, .from = m->from, .to = m->to, .clock_limit_ms = limit_ms(LIMIT_CLOCK),
			       .allow_missing_files = m->allow_missing_files };
}

static void add_item(struct migration *m, struct json_object *need, struct json_object *offer, const struct finding *f)
{
	struct json_object *o = json_object_new_object();
	struct error clean;

	error_set(&clean, "%s", f->item);
	js_add_str(o, "item", clean.text);
	error_set(&clean, "%s", f->needs);
	js_add_str(o, "needs", clean.text);
	error_set(&clean, "%s", f->offers);
	js_add_str(o, "offers", clean.text);
	js_add_str(o, "verdict", verdict_names[f->verdict]);
	if (*f->why) {
		error_set(&clean, "%s", f->why);
		js_add_str(o, "why", clean.text);
	}
	json_object_object_add(o, "need", json_object_get(need));
	json_object_object_add(o, "offer", json_object_get(offer));
	json_object_array_add(m->items, o);
}

/* Each item; all that is wrong is said. */
static void compare_items(struct migration *m, struct json_object *needs, struct json_object *offers)
{
	struct sides sides = check_sides(m);

	if (js_len(offers) != js_len(needs))
		problem(m, "%s: the agent offers something for %zu of the %zu items that %s needs: is it of the same version as vmbeamd?",
			m->to, js_len(offers), js_len(needs), m->guest);
	for (size_t i = 0; i < js_len(needs); i++) {
		struct json_object *need = json_object_array_get_idx(needs, i);
		struct json_object *offer = i < js_len(offers) ? json_object_array_get_idx(offers, i) : NULL;
		struct finding f;

		rule_compare(need, offer, &sides, &f);
		if (f.verdict != VERDICT_REFUSED && !strcmp(js_str(need, "kind", ""), "vbd"))
			disk_compare(m, need, offer, &f);
		add_item(m, need, offer, &f);
		if (f.verdict == VERDICT_REFUSED)
			problem(m, "%s", f.why);
		else if (f.verdict == VERDICT_WARNING)
			warning(m, "%s", f.why);
	}
}

/* @reply: asked for ahead, or NULL. Is put. */
static void check_destination(struct migration *m, struct json_object *reply)
{
	struct error err;

	if (!reply)
		reply = check_ask_destination(&m->b, m->name, m->uuid, m->needs, &err);
	if (!reply) {
		problem(m, "%s", err.text);
		return;
	}
	problems_of(m, m->to, reply);
	compare_items(m, m->needs, js_array(reply, "offers"));
	m->comes_home = js_bool(reply, "home");
	json_object_put(reply);
}

/* What it has now fits into one export. What it may have at most is how far its pfns can reach in the stream. */
static void check_size(struct migration *m)
{
	if (m->guest_frames > VMBEAM_EXPORT_MAX_FRAMES)
		problem(m, "%s has %" PRIu64 " KiB of memory, and one that has more than %u GiB cannot be moved: shrink it (xl mem-set)",
			m->guest, m->guest_frames * 4, VMBEAM_EXPORT_MAX_FRAMES >> 18);
	if (m->max_kib / 4 > SAVESTREAM_MAX_PFN)
		problem(m, "%s may have %" PRIu64 " KiB of memory, and one that may have more than %llu GiB cannot be moved: lower that (xl mem-max)",
			m->guest, m->max_kib, SAVESTREAM_MAX_PFN >> 18);
}

static void check_guest(struct migration *m, bool dest_up)
{
	struct json_object *reply, *ahead;
	const char *name, *uuid;
	struct error err;

	ahead_take(m, &reply, &ahead);
	/* m->name may be its UUID, or #DOMID; from the reply on it is its name. */
	if (!reply)
		reply = check_ask_guest(&m->a, m->name, &err);
	if (!reply) {
		problem(m, "%s", err.text);
		return;
	}
	m->dom_a = js_u64(reply, "domid", 0);
	m->max_kib = js_u64(reply, "max_kib", 0);
	m->guest_frames = js_u64(reply, "frames", 0);
	uuid = js_str(reply, "uuid", "");
	snprintf(m->uuid, sizeof(m->uuid), "%s", text_is_word(uuid) ? uuid : "");
	name = js_str(reply, "name", "");
	if (!*name || !text_is_clean(name))
		problem(m, "%s: the agent gives no name for %s that can be shown: is it of the same version as vmbeamd?",
			m->from, m->guest);
	else if (migration_name(m, name))
		problem(m, "out of memory");
	problems_of(m, m->from, reply);
	json_object_put(m->needs);
	m->needs = json_object_get(js_array(reply, "needs"));
	check_size(m);
	if (!m->dom_a || !m->uuid[0])
		problem(m, "%s: the agent gives no domid or no UUID for %s", m->from, m->guest);
	else if (!js_len(m->needs))
		problem(m, "%s: the agent does not say what %s needs: is it of the same version as vmbeamd?", m->from, m->guest);
	else if (dest_up)
		check_destination(m, json_object_get(ahead));
	json_object_put(ahead);
	json_object_put(reply);
}

/* For a check alone: a migration tells afterwards what went how. */
static void count_frames(struct migration *m)
{
	struct message reply;
	struct error err;

	if (agent_call(&m->a, "guest-frames", migration_domain(m, m->dom_a), limit_s(LIMIT_COUNT), &reply, &err)) {
		problem(m, "%s", err.text);
		return;
	}
	m->guest_frames = js_u64(reply.json, "frames", m->guest_frames);
	m->large = js_u64(reply.json, "large", 0);
	message_clear(&reply);
}

/* An agent that cannot be asked when the guest VM is suspended is refused now. */
static void check_features(struct migration *m, struct agent *a)
{
	static const char *const needed[] = { "disk-blocks", "needs" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!agent_has(a, needed[i])) {
			problem(m, "%s: the agent knows no operation \"%s\": install vmbeam-agent of vmbeamd's version in its management VM",
				a->name, needed[i]);
			return;
		}
	}
}

/* One that is not there was said already. */
static bool connects(struct migration *m, struct agent *a, uint32_t host)
{
	struct error err;

	if (!host)
		return false;
	if (!agent_connect(a, limit_s(LIMIT_CHECK_CONNECT), &err))
		return true;
	problem(m, "%s", err.text);
	return false;
}

int check(struct migration *m)
{
	bool able = check_module(m), a, b;

	check_host(m, m->from, &m->host_a);
	check_host(m, m->to, &m->host_b);
	if (able && m->host_a && m->host_b)
		check_swap(m);
	a = connects(m, &m->a, m->host_a);
	b = connects(m, &m->b, m->host_b);
	if (a && b && strcmp(js_str(m->a.hello, "hostvm_xen", ""), js_str(m->b.hello, "hostvm_xen", "")))
		problem(m, "%s runs Xen %s, %s runs Xen %s: a guest VM moves only between nested Xens of the same version", m->from,
			js_str(m->a.hello, "hostvm_xen", "?"), m->to, js_str(m->b.hello, "hostvm_xen", "?"));
	if (a)
		check_features(m, &m->a);
	if (b)
		check_features(m, &m->b);
	m->common = json_object_array_length(m->problems);
	if (a)
		check_guest(m, b);
	if (m->check_only && !m->uncounted && m->dom_a && !json_object_array_length(m->problems))
		count_frames(m);
	return json_object_array_length(m->problems) ? -1 : 0;
}
