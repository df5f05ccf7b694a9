// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "js.h"
#include "log.h"
#include "metrics.h"
#include "monitor.h"
#include "tally.h"
#include "text.h"

/* An agent that goes on answering is no change, but when it did is to be about true. */
#define ANSWERED_S	60

/* Bytes of a text that an agent gives. */
#define METRICS_TEXT	64

/* A host VM by its agent, and the texts that the metrics point to. */
struct seen {
	bool asked;		/* or known by its guest VMs that are away */
	struct metrics_agent agent;
	int64_t written;	/* what the metrics have of agent.answered */
	char version[METRICS_TEXT], xen[METRICS_TEXT];
};

static const struct config *config;
static int wake_fd = -1;

/* Of the history's file; and of all else. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;

/* All of these under the lock. */
static struct tally tally;
static bool migrating, migration_waits, stuck, maintaining, maintenance_waits;
static struct seen seen[CONFIG_MAX_HOSTVMS];
static bool changed;

static void change(void)
{
	changed = true;
	if (wake_fd >= 0)
		eventfd_write(wake_fd, 1);
}

static void set(bool *flag, bool value)
{
	if (*flag == value)
		return;
	*flag = value;
	change();
}

/* One whose name is not in the configuration is that of no host VM. */
static struct seen *hostvm(const char *name)
{
	for (size_t i = 0; i < config->nr_hostvms; i++)
		if (!strcmp(config->hostvms[i].name, name))
			return &seen[i];
	return NULL;
}

void monitor_migration(bool is, bool waiting, bool is_stuck)
{
	pthread_mutex_lock(&lock);
	set(&migrating, is);
	set(&migration_waits, waiting);
	set(&stuck, is_stuck);
	pthread_mutex_unlock(&lock);
}

void monitor_maintenance(bool is, bool waiting)
{
	pthread_mutex_lock(&lock);
	set(&maintaining, is);
	set(&maintenance_waits, waiting);
	pthread_mutex_unlock(&lock);
}

static void keep(const char **text, char copy[METRICS_TEXT], const char *is)
{
	char cut[METRICS_TEXT];

	/* Between two characters, or nobody would read the file. */
	text_short(cut, sizeof(cut), is);
	if (*text && !strcmp(*text, cut))
		return;
	strcpy(copy, cut);
	*text = copy;
	change();
}

void monitor_agent(const char *name, struct json_object *hello)
{
	struct seen *s;

	pthread_mutex_lock(&lock);
	s = hostvm(name);
	if (s) {
		set(&s->asked, true);
		set(&s->agent.up, hello);
	}
	if (s && hello) {
		s->agent.answered = time(NULL);
		if (s->agent.answered - s->written >= ANSWERED_S)
			change();
		keep(&s->agent.version, s->version, js_str(hello, "version", ""));
		/* An older agent has the first two numbers alone. */
		keep(&s->agent.xen, s->xen, js_str(hello, "xen", js_str(hello, "hostvm_xen", "")));
	}
	pthread_mutex_unlock(&lock);
}

void monitor_away(const char *name, unsigned int guests)
{
	struct seen *s;

	pthread_mutex_lock(&lock);
	s = hostvm(name);
	if (s && s->agent.away != guests) {
		s->agent.away = guests;
		s->asked = true;
		change();
	}
	pthread_mutex_unlock(&lock);
}

void monitor_doubled(const char *name, unsigned int guests)
{
	struct seen *s;

	pthread_mutex_lock(&lock);
	s = hostvm(name);
	if (s && s->agent.doubled != guests) {
		s->agent.doubled = guests;
		change();
	}
	pthread_mutex_unlock(&lock);
}

void monitor_over(struct json_object *record)
{
	const char *path = config->history.path;
	int rc;

	pthread_mutex_lock(&file_lock);
	rc = record ? history_append(&config->history, record, time(NULL)) : -ENOMEM;
	pthread_mutex_unlock(&file_lock);
	if (rc)
		log_warn("%s cannot be written, and lacks %s %s of %s: %s", path, js_str(record, "kind", "something"),
			 js_str(record, "id", ""), js_str(record, "guest", js_str(record, "from", "")), strerror(-rc));
	pthread_mutex_lock(&lock);
	tally_add(&tally, record);
	change();
	pthread_mutex_unlock(&lock);
	json_object_put(record);
}

static int is_it(struct json_object *record, void *id)
{
	return !strcmp(js_str(record, "id", ""), id);
}

bool monitor_has(const char *id)
{
	return history_read(config->history.path, NULL, is_it, (void *)id) > 0;
}

static int count(struct json_object *record, void *arg)
{
	tally_add(arg, record);
	return 0;
}

static void write_metrics(void)
{
	struct metrics_agent agents[CONFIG_MAX_HOSTVMS];
	struct seen now_seen[CONFIG_MAX_HOSTVMS];
	struct metrics_now now = { .agents = agents };
	static int before;
	struct tally counted;
	int rc;

	pthread_mutex_lock(&lock);
	changed = false;
	counted = tally;
	now.migrating = migrating;
	now.maintaining = maintaining;
	now.stuck = stuck;
	now.waiting = migration_waits || maintenance_waits;
	for (size_t i = 0; i < config->nr_hostvms; i++)
		seen[i].written = seen[i].agent.answered;
	memcpy(now_seen, seen, sizeof(seen));
	pthread_mutex_unlock(&lock);
	if (!config->metrics)
		return;
	for (size_t i = 0; i < config->nr_hostvms; i++) {
		struct seen *s = &now_seen[i];

		if (!s->asked)
			continue;
		s->agent.hostvm = config->hostvms[i].name;
		s->agent.version = s->agent.version ? s->version : NULL;
		s->agent.xen = s->agent.xen ? s->xen : NULL;
		agents[now.nr_agents++] = s->agent;
	}
	rc = metrics_write(config->metrics, &counted, &now);
	/* Once, and not with each change. */
	if (rc && rc != before)
		log_warn("the metrics %s cannot be written: %s", config->metrics, strerror(-rc));
	before = rc;
}

static int write_changes(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	eventfd_t number;

	(void)source;
	(void)events;
	(void)arg;
	eventfd_read(fd, &number);
	write_metrics();
	return 0;
}

int monitor_open(sd_event *event, const struct config *of, struct error *err)
{
	int rc;

	config = of;
	rc = history_read(config->history.path, NULL, count, &tally);
	if (rc)
		log_warn("the history %s cannot be read, and what is in it is not counted: %s", config->history.path,
			 strerror(-rc));
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = wake_fd < 0 ? -errno : sd_event_add_io(event, NULL, wake_fd, EPOLLIN, write_changes, NULL);
	if (rc < 0)
		return error_set(err, "no event loop: %s", strerror(-rc));
	write_metrics();
	return 0;
}

void monitor_close(void)
{
	bool left;

	pthread_mutex_lock(&lock);
	left = changed;
	pthread_mutex_unlock(&lock);
	if (left)
		write_metrics();
}
