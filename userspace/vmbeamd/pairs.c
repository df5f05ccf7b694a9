// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "js.h"
#include "limit.h"
#include "log.h"
#include "pairs.h"

/* A guest VM has a few frames besides its memory: for its console, its xenstore ring, its grants. */
#define EXTRA_FRAMES	4096

/* @how: "p2m" for the source, whose table can be walked, "m2p" for the destination, which has not run. */
static struct json_object *export_args(const struct migration *m, uint32_t domid, const char *how)
{
	struct json_object *args = migration_domain(m, domid);

	js_add_str(args, "how", how);
	/* Nobody else knows this while the restore is under way. */
	if (!strcmp(how, "m2p"))
		js_add_u64(args, "pfns", pfn_set_end(&m->stream.populated));
	return args;
}

int export_begin(struct migration *m, struct agent *a, uint32_t domid, const char *how, uint64_t *id)
{
	struct message reply;

	if (agent_call(a, "export-begin", export_args(m, domid, how), limit_s(LIMIT_LONG), &reply, &m->error))
		return -1;
	*id = js_u64(reply.json, "export", 0);
	log_info("%s: export %" PRIu64 " of %" PRIu64 " frames in %" PRIu64 " extents, %" PRIu64 " refused", a->name, *id,
		 js_u64(reply.json, "frames", 0), js_u64(reply.json, "extents", 0), js_u64(reply.json, "refused", 0));
	message_clear(&reply);
	return *id ? 0 : error_set(&m->error, "%s: the agent gives no id for its export", a->name);
}

int export_sync(struct migration *m, struct agent *a, uint32_t domid, const char *how, uint64_t id,
		       struct vmbeam_extents *frames)
{
	struct json_object *args = export_args(m, domid, how);
	struct message reply;

	js_add_u64(args, "export", id);
	if (agent_call(a, "export-sync", args, limit_s(LIMIT_LONG), &reply, &m->error))
		return -1;
	if (js_u64(reply.json, "added", 1) || js_u64(reply.json, "removed", 1))
		vmbeam_extents_free(frames);
	message_clear(&reply);
	return 0;
}

/* The next piece of a list of frames, in order, and not more of them than the guest VM can have. */
static int take_extents(struct vmbeam_extents *list, const struct message *piece, uint64_t *frames, uint64_t most)
{
	const struct vmbeam_extent *e = (const void *)piece->blob;

	for (size_t i = 0; i < piece->blob_len / sizeof(*e); i++) {
		const struct vmbeam_extent *last = list->nr ? &list->v[list->nr - 1] : NULL;
		int rc;

		if (e[i].nr > most - *frames)
			return -E2BIG;
		*frames += e[i].nr;
		if (e[i].pfn > SAVESTREAM_MAX_PFN || (last && e[i].pfn < last->pfn + last->nr))
			return -EINVAL;
		rc = vmbeam_extents_add(list, e[i].pfn, e[i].gfn, e[i].nr);
		if (rc)
			return rc;
	}
	return piece->blob_len % sizeof(*e) ? -EINVAL : 0;
}

int export_read(struct migration *m, struct agent *a, uint64_t id, struct vmbeam_extents *list)
{
	/* By what the check was told of it, and some that the toolstack adds. */
	uint64_t memory = m->max_kib / 4, most = (memory > m->guest_frames ? memory : m->guest_frames) + EXTRA_FRAMES;
	uint64_t offset = 0, frames = 0;

	/* What an agent may make us keep must not depend on what it says. */
	if (most > VMBEAM_EXPORT_MAX_FRAMES)
		most = VMBEAM_EXPORT_MAX_FRAMES;
	for (bool eof = false; !eof;) {
		struct json_object *args = json_object_new_object();
		struct message reply;
		int rc;

		js_add_u64(args, "export", id);
		js_add_u64(args, "offset", offset);
		if (agent_call(a, "export-read", args, limit_s(LIMIT_LONG), &reply, &m->error))
			return -1;
		eof = js_bool(reply.json, "eof");
		rc = !reply.blob_len && !eof ? -EINVAL : take_extents(list, &reply, &frames, most);
		offset += reply.blob_len;
		message_clear(&reply);
		/* Both sides' lists count. One that is read again, in a later phase, does not. */
		if (m->step == STEP_PREPARE)
			migration_progress(m, vmbeam_extents_frames(&m->frames_a) + vmbeam_extents_frames(&m->frames_b),
					   2 * m->announced);
		if (rc == -E2BIG)
			return error_set(&m->error, "%s: the list of frames of export %" PRIu64 " has more than the %" PRIu64 " that %s can have",
					 a->name, id, most, m->guest);
		if (rc)
			return error_set(&m->error, "%s: the list of frames of export %" PRIu64 " is not in order: %s",
					 a->name, id, strerror(-rc));
	}
	return 0;
}

static int all_there(struct migration *m, const char *host, const struct vmbeam_extents *wanted,
		     const struct vmbeam_extents *have)
{
	struct vmbeam_extents missing = { 0 };
	int rc = vmbeam_extents_subtract(wanted, have, &missing);

	if (rc)
		rc = error_set(&m->error, "out of memory");
	else if (missing.nr)
		rc = error_set(&m->error, "%s: %" PRIu64 " frames of %s are not in the export, the first is pfn 0x%llx: they can be neither swapped nor copied any more",
			       host, vmbeam_extents_frames(&missing), m->guest, (unsigned long long)missing.v[0].pfn);
	vmbeam_extents_free(&missing);
	return rc;
}

/* @out += the part of @list whose pfns are in @within. */
static int part_within(const struct vmbeam_extents *list, const struct vmbeam_extents *within, struct vmbeam_extents *out)
{
	struct vmbeam_extents rest = { 0 };
	int rc = vmbeam_extents_subtract(list, within, &rest) ?: vmbeam_extents_subtract(list, &rest, out);

	vmbeam_extents_free(&rest);
	return rc;
}

int find_pairs(struct migration *m)
{
	struct vmbeam_extents *a = &m->frames_a, *b = &m->frames_b, populated = { 0 }, kept = { 0 }, wanted = { 0 },
		from = { 0 }, kept_from = { 0 };
	int rc = -1;

	if ((!a->nr && export_read(m, &m->a, m->export_a, a)) || (!b->nr && export_read(m, &m->b, m->export_b, b)))
		goto out;
	error_set(&m->error, "out of memory");
	if (pfn_set_extents(&m->stream.populated, &populated) || pfn_set_extents(&m->stream.kept, &kept) ||
	    vmbeam_extents_subtract(&populated, &kept, &wanted))
		goto out;
	if (all_there(m, m->from, &wanted, a) || all_there(m, m->to, &wanted, b))
		goto out;
	if (part_within(a, &populated, &from) || vmbeam_extents_join(&from, b, &m->pairs) ||
	    part_within(a, &kept, &kept_from) || vmbeam_extents_join(&kept_from, b, &m->kept_pairs))
		goto out;
	m->error.text[0] = 0;
	log_debug("pairs found");
	rc = 0;
	if (!wanted.nr)
		rc = error_set(&m->error, "%s has no frame that could be swapped", m->guest);
out:
	vmbeam_extents_free(&populated);
	vmbeam_extents_free(&kept);
	vmbeam_extents_free(&wanted);
	vmbeam_extents_free(&from);
	vmbeam_extents_free(&kept_from);
	return rc;
}
