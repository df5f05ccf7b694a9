// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "events.h"
#include "js.h"
#include "log.h"
#include "requests_hostvm.h"
#include "requests_migration.h"
#include "text.h"
#include "worker.h"

#define MAX_GUEST 16384

static const struct config *config;
static struct journal *migrations;
static struct json_object *last_report;
/* Who asked for what is under way, wants it cancelled, and forgotten; NULL once they have gone. */
static struct client *requester, *canceller, *forgetter;

void requests_migration_open(const struct config *c, struct journal *journal, struct json_object *last)
{
	config = c;
	migrations = journal;
	last_report = last;
}

void requests_migration_gone(struct client *c)
{
	if (requester == c)
		requester = NULL;
	if (canceller == c)
		canceller = NULL;
	if (forgetter == c)
		forgetter = NULL;
}

static void done(struct client *c)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", "ok");
	control_result(c, o);
}

void requests_migration_ended(const char *text)
{
	struct json_object *report = text ? json_tokener_parse(text) : NULL;
	const char *outcome = js_str(report, "outcome", "refused");

	if (canceller && strcmp(outcome, "refused") && strcmp(outcome, "rolled-back")) {
		control_refuse(canceller, "refused", "it was too late to cancel: migration %s of %s is %s", js_str(report, "id", ""),
			       js_str(report, "guest", ""), outcome);
	} else {
		done(canceller);
	}
	canceller = NULL;
	if (report) {
		json_object_put(last_report);
		last_report = report;
	}
	if (report)
		drive_migrated(report);
}

void requests_migration_forgotten(const char *why_not)
{
	struct json_object *o = json_object_new_object();

	js_add_str(o, "outcome", why_not ? "unfinished" : "ok");
	if (why_not)
		js_add_str(o, "error", why_not);
	control_result(forgetter, o);
	forgetter = NULL;
}

void requests_migration_progress(const char *text)
{
	struct json_object *line = json_tokener_parse(text);

	if (js_str(line, "event", NULL)) {
		events_send(line);
		return;
	}
	control_send(requester, "%s\n", text);
	json_object_put(line);
}

void requests_migration_result(const char *text)
{
	control_send(requester, "{\"result\":%s}\n", text);
	/* Of a migration that nobody asked for, somebody may have asked for what it is a part of. */
	if (requester)
		events_asker(NULL);
	requester = NULL;
}

void requests_migration_add(struct json_object *status)
{
	char *now = worker_report();

	json_object_object_add(status, "migration", now ? json_tokener_parse(now) : NULL);
	json_object_object_add(status, "last", json_object_get(last_report));
	free(now);
}

/* Only by its id: what was looked at is what is given up. */
void request_forget(struct client *c, const char *id)
{
	struct worker_state now;

	worker_state(&now);
	if (!now.waiting || forgetter) {
		control_refuse(c, "refused", "no migration waits for an operator");
		return;
	}
	if (strcmp(id, now.id)) {
		control_refuse(c, "refused", "the migration that waits is %s, not \"%.64s\"", now.id, id);
		return;
	}
	forgetter = c;
	worker_forget();
}

/* Answered when the migration has come to its end: only then it is known whether this came in time. */
void request_cancel(struct client *c, const char *id)
{
	struct worker_state now;

	worker_state(&now);
	if (!*now.id)
		control_refuse(c, "refused", "no migration is under way");
	else if (*id && strcmp(id, now.id))
		control_refuse(c, "refused", "the migration under way is %s, not \"%.64s\"", now.id, id);
	else if (drive_busy())
		control_refuse(c, "refused", "the migration is part of %s: vmbeam maintain --abort calls that off", drive_what());
	else if (now.closing)
		control_refuse(c, "refused", "migration %s of %s is committed, or going back already: see vmbeam status", now.id, now.guest);
	else if (canceller)
		control_refuse(c, "refused", "migration %s of %s is being cancelled already", now.id, now.guest);
	else {
		log_info("migration %s of %s: an operator cancels it", now.id, now.guest);
		canceller = c;
		patience_cancel(CANCEL_BY_OPERATOR);
	}
}

void request_migration(struct client *c, struct json_object *json, bool check_only)
{
	const char *guest = js_str(json, "guest", "");
	const struct config_hostvm *from, *to;
	struct migration *m;
	char *name;

	from = requests_hostvm(config, c, js_str(json, "from", ""));
	to = from ? requests_hostvm(config, c, js_str(json, "to", "")) : NULL;
	if (!to)
		return;
	if (from == to) {
		control_refuse(c, "refused", "%s is where the guest VM is already: name another host VM", from->name);
		return;
	}
	if (!*guest || strlen(guest) > MAX_GUEST) {
		control_refuse(c, "refused", "a guest VM's name has 1 to %d bytes", MAX_GUEST);
		return;
	}
	/* Not UTF-8: no agent would take it. In its other form it is the same name. */
	name = text_is_utf8(guest, strlen(guest)) ? strdup(guest) : text_name(guest);
	m = malloc(sizeof(*m));
	if (name && m) {
		migration_init(m, migrations);
		m->config = config;
		m->check_only = check_only;
		migration_between(m, from, to);
		if (!migration_name(m, name)) {
			requester = c;
			events_asker(c);
			worker_begin(m);
			free(name);
			return;
		}
		migration_clear(m);
	}
	free(m);
	free(name);
	control_refuse(c, "refused", "out of memory");
}
