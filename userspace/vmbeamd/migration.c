// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "js.h"
#include "log.h"
#include "migration.h"

const char *const step_names[STEPS] = {
	"check", "prepare", "suspend", "state", "quiesce", "swap", "commit", "resume",
};

/* Which boot of the host this is: domids and transaction ids mean nothing in another. */
static void read_boot_id(char *buf, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

	buf[0] = 0;
	if (!f)
		return;
	if (fgets(buf, size, f))
		buf[strcspn(buf, "\n")] = 0;
	fclose(f);
}

void migration_init(struct migration *m, struct journal *journal)
{
	time_t now = time(NULL);
	uint32_t salt = 0;
	struct tm tm;

	memset(m, 0, sizeof(*m));
	m->journal = journal;
	m->dev = m->txn = -1;
	m->a.ch.fd = m->b.ch.fd = -1;
	m->problems = json_object_new_array();
	m->warnings = json_object_new_array();
	m->disks = json_object_new_array();
	m->items = json_object_new_array();
	m->state = step_names[STEP_CHECK];
	m->begun_ns = clock_ns();
	gmtime_r(&now, &tm);
	strftime(m->id, sizeof(m->id), "%Y%m%dT%H%M%S", &tm);
	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		salt = getpid();
	snprintf(m->id + strlen(m->id), sizeof(m->id) - strlen(m->id), "-%08x", salt);
	read_boot_id(m->boot_id, sizeof(m->boot_id));
}

void migration_clear(struct migration *m)
{
	agent_close(&m->a);
	agent_close(&m->b);
	if (m->txn >= 0)
		close(m->txn);
	if (m->dev >= 0)
		close(m->dev);
	m->txn = m->dev = -1;
	json_object_put(m->problems);
	json_object_put(m->warnings);
	json_object_put(m->disks);
	json_object_put(m->items);
	json_object_put(m->needs);
	m->problems = m->warnings = m->disks = m->needs = m->items = NULL;
	free(m->name);
	m->name = NULL;
	savestream_clear(&m->stream);
	vmbeam_extents_free(&m->frames_a);
	vmbeam_extents_free(&m->frames_b);
	vmbeam_pairs_free(&m->pairs);
	vmbeam_pairs_free(&m->kept_pairs);
	vmbeam_pairs_free(&m->exchanged_pairs);
}

void migration_between(struct migration *m, const struct config_hostvm *from, const struct config_hostvm *to)
{
	m->from = from->name;
	m->to = to->name;
	agent_init(&m->a, from->name, from->socket, m->id, m->uuid, &m->dom_a);
	agent_init(&m->b, to->name, to->socket, m->id, m->uuid, &m->dom_b);
}

int migration_name(struct migration *m, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return error_set(&m->error, "out of memory");
	free(m->name);
	m->name = copy;
	text_short(m->guest, sizeof(m->guest), name);
	return 0;
}

struct json_object *migration_domain(const struct migration *m, uint32_t domid)
{
	struct json_object *args = json_object_new_object();

	js_add_u64(args, "domid", domid);
	js_add_str(args, "uuid", m->uuid);
	return args;
}

int migration_record(struct migration *m, const char *state)
{
	struct json_object *o = json_object_new_object();
	int rc;

	m->state = state;
	js_add_str(o, "migration", m->id);
	js_add_str(o, "state", state);
	js_add_u64(o, "time", time(NULL));
	js_add_str(o, "boot_id", m->boot_id);
	js_add_str(o, "guest", m->name);
	js_add_str(o, "uuid", m->uuid);
	js_add_str(o, "from", m->from);
	js_add_str(o, "to", m->to);
	js_add_u64(o, "host_a", m->host_a);
	js_add_u64(o, "host_b", m->host_b);
	js_add_u64(o, "dom_a", m->dom_a);
	js_add_u64(o, "dom_b", m->dom_b);
	js_add_u64(o, "txn", m->txn_id);
	js_add_bool(o, "went", m->went);
	js_add_bool(o, "resumed", m->resumed);
	if (m->error.text[0])
		js_add_str(o, "error", m->error.text);
	if (m->lost.text[0])
		js_add_str(o, "lost", m->lost.text);
	rc = journal_append(m->journal, o);
	json_object_put(o);
	if (!rc)
		return 0;
	log_err("the journal cannot be written: %s", strerror(-rc));
	if (!m->error.text[0])
		error_set(&m->error, "the journal cannot be written: %s", strerror(-rc));
	return -1;
}

static const char *known_state(const char *state)
{
	static const char *const others[] = {
		"committing", "committed", "rolling-back", "rolled-back", "done", "lost", "stuck", "forgotten",
	};

	for (size_t i = 0; i < STEPS; i++)
		if (!strcmp(state, step_names[i]))
			return step_names[i];
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(state, others[i]))
			return others[i];
	return NULL;
}

int migration_from_record(struct migration *m, struct json_object *r, const struct config *config)
{
	const struct config_hostvm *from = config_hostvm(config, js_str(r, "from", ""));
	const struct config_hostvm *to = config_hostvm(config, js_str(r, "to", ""));

	m->state = known_state(js_str(r, "state", ""));
	if (!from || !to || !m->state || migration_name(m, js_str(r, "guest", "")))
		return -1;
	snprintf(m->id, sizeof(m->id), "%s", js_str(r, "migration", ""));
	snprintf(m->uuid, sizeof(m->uuid), "%s", js_str(r, "uuid", ""));
	snprintf(m->error.text, sizeof(m->error.text), "%s", js_str(r, "error", ""));
	snprintf(m->lost.text, sizeof(m->lost.text), "%s", js_str(r, "lost", ""));
	m->host_a = js_u64(r, "host_a", 0);
	m->host_b = js_u64(r, "host_b", 0);
	m->dom_a = js_u64(r, "dom_a", 0);
	m->dom_b = js_u64(r, "dom_b", 0);
	m->txn_id = js_u64(r, "txn", 0);
	m->went = js_bool(r, "went");
	m->resumed = js_bool(r, "resumed");
	migration_between(m, from, to);
	return 0;
}
