// SPDX-License-Identifier: GPL-2.0
/* The way of the save's stream: from A's agent, past the daemon, which learns from it which frames there are, to B's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "js.h"
#include "limit.h"
#include "migration.h"
#include "pack.h"

static int bad_stream(struct migration *m, int rc, const char *why)
{
	return error_set(&m->error, "%s: %s", m->from, rc == -ENOMEM ? "out of memory" : why);
}

/* B has taken what it was given last. */
static int b_has_it(struct migration *m)
{
	return m->b.asked ? agent_end(&m->b, limit_s(LIMIT_STALL), NULL, &m->error) : 0;
}

/* Looks at a piece of the stream; B gets it as it came from A, and takes it while A makes the next one. */
static int pass_on(struct migration *m, const struct message *chunk)
{
	uint64_t len = js_u64(chunk->json, "unpacked", 0);
	struct json_object *args = NULL;
	uint8_t *unpacked = NULL;
	int rc;

	m->stream_bytes += chunk->blob_len;
	if (len) {
		rc = len > MESSAGE_MAX_BLOB ? -EBADMSG : unpack(chunk->blob, chunk->blob_len, len, &unpacked);
		if (rc)
			return bad_stream(m, rc, "a packed piece of the save's stream cannot be unpacked");
		args = json_object_new_object();
		js_add_u64(args, "unpacked", len);
	}
	rc = savestream_feed(&m->stream, unpacked ?: chunk->blob, unpacked ? len : chunk->blob_len);
	free(unpacked);
	if (rc) {
		json_object_put(args);
		return bad_stream(m, rc, m->stream.error);
	}
	if (b_has_it(m)) {
		json_object_put(args);
		return -1;
	}
	return agent_begin_blob(&m->b, "restore-write", args, chunk->blob, chunk->blob_len, &m->error);
}

int stream_pump(struct migration *m, const char *state)
{
	bool packed = agent_has(&m->a, "pack-runs") && agent_has(&m->b, "pack-runs");
	bool first = !strcmp(state, "stream");
	int64_t moved = clock_ms();

	for (;;) {
		struct json_object *args = NULL;
		struct message chunk;
		const char *now;
		bool there, ended;
		int rc = 0;

		if (packed) {
			args = json_object_new_object();
			js_add_bool(args, "pack", true);
		}
		if (agent_call(&m->a, "save-read", args, limit_s(LIMIT_STALL), &chunk, &m->error))
			return -1;
		now = js_str(chunk.json, "state", "");
		there = !strcmp(now, state);
		ended = !strcmp(now, "end");
		if (chunk.blob_len) {
			moved = clock_ms();
			rc = pass_on(m, &chunk);
		}
		message_clear(&chunk);
		if (rc || (there && first))
			return rc;
		if (there)
			return b_has_it(m);
		if (ended)
			return error_set(&m->error, "%s: the save of %s ended where it should have been \"%s\"", m->from,
					 m->guest, state);
		if (clock_ms() - moved > limit_ms(LIMIT_STALL))
			return error_set(&m->error, "%s: no byte of the save of %s for %d s, waiting for \"%s\"", m->from,
					 m->guest, limit_s(LIMIT_STALL), state);
	}
}
