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

void migration_boot_id(char *buf, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

	buf[0] = 0;
	if (!f)
		return;
	if (fgets(buf, size, f))
		buf[strcspn(buf, "\n")] = 0;
	fclose(f);
}

void migration_new_id(char *id, size_t size)
{
	time_t now = time(NULL);
	uint32_t salt = 0;
	struct tm tm;
	size_t len;

	gmtime_r(&now, &tm);
	len = strftime(id, size, "%Y%m%dT%H%M%S", &tm);
	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		salt = getpid();
	snprintf(id + len, size - len, "-%08x", salt);
}

void migration_init(struct migration *m, struct journal *journal)
{

	memset(m, 0, sizeof(*m));
	m->journal = journal;
	m->dev = m->txn = -1;
	m->a.ch.fd = m->b.ch.fd = -1;
	m->problems = json_object_new_array();
	m->warnings = json_object_new_array();
	m->disks = json_object_new_array();
	m->items = json_object_new_array();
	m->state = STATE_CHECK;
	m->begun_ns = clock_ns();
	migration_new_id(m->id, sizeof(m->id));
	migration_boot_id(m->boot_id, sizeof(m->boot_id));
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
	snprintf(m->from, sizeof(m->from), "%s", from->name);
	snprintf(m->to, sizeof(m->to), "%s", to->name);
	m->allow_missing_files = to->allow_missing_files;
	agent_init(&m->a, from->name, from->socket, m->id, m->uuid, &m->dom_a, &m->patience);
	agent_init(&m->b, to->name, to->socket, m->id, m->uuid, &m->dom_b, &m->patience);
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

int migration_record(struct migration *m, enum state state)
{
	struct json_object *o = record_to_json(&m->record, state);
	int rc;

	rc = o ? journal_append(m->journal, o) : -ENOMEM;
	json_object_put(o);
	if (!rc) {
		log_debug("journal %s", state_name(state));
		m->state = state;
		return 0;
	}
	log_err("the journal cannot be written: %s", strerror(-rc));
	if (!m->error.text[0])
		error_set(&m->error, "the journal cannot be written: %s", strerror(-rc));
	return -1;
}
