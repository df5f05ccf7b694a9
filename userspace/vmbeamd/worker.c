// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "journald.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "monitor.h"
#include "worker.h"

/* Between two tries of an end. They grow, so that a guest VM that waits is not kept long, nor an agent that is away, busy. */
#define PAUSE_MS	500
#define PAUSE_MAX_MS	15000

/* Bytes: some thousand records. The daemon reads all of it when it starts. */
#define JOURNAL_LONG	(1 << 20)

struct saying {
	struct saying *next;
	enum said what;
	char *text;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;

/* All of these under the lock. */
static struct migration *job;
static void (*errand)(void *arg);
static void *errand_arg;
/* The main thread's own. */
static void (*errand_done)(void *arg);
static bool busy, forget, stop;
static struct worker_state state;
static char *published;
static struct saying *first, **last = &first;

static int event_fd = -1;

/* Under the lock. */
static void say_locked(enum said what, char *text)
{
	struct saying *s = calloc(1, sizeof(*s));

	if (!s)
		abort();	/* the next daemon goes on from the journal */
	s->what = what;
	s->text = text;
	*last = s;
	last = &s->next;
}

static void say(enum said what, char *text)
{
	pthread_mutex_lock(&lock);
	say_locked(what, text);
	pthread_mutex_unlock(&lock);
	eventfd_write(event_fd, 1);
}

enum said worker_hear(char **text)
{
	enum said what = SAID_NOTHING;
	struct saying *s;
	eventfd_t count;

	pthread_mutex_lock(&lock);
	s = first;
	if (s) {
		first = s->next;
		if (!first)
			last = &first;
	} else {
		eventfd_read(event_fd, &count);
	}
	pthread_mutex_unlock(&lock);
	*text = NULL;
	if (s) {
		what = s->what;
		*text = s->text;
		free(s);
	}
	if (what == SAID_ERRAND) {
		/* Only now: another errand would put its own in the place of these. */
		pthread_mutex_lock(&lock);
		busy = false;
		pthread_mutex_unlock(&lock);
		errand_done(errand_arg);
	}
	return what;
}

static char *to_text(struct json_object *json)
{
	char *text = strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));

	json_object_put(json);
	return text;
}

void worker_publish(const struct migration *m)
{
	char *text = to_text(report(m)), *old;

	pthread_mutex_lock(&lock);
	old = published;
	published = text;
	state.closing = !m->patience.until_ms;
	pthread_mutex_unlock(&lock);
	free(old);
}

void worker_progress(const struct migration *m, struct json_object *line)
{
	worker_publish(m);
	say(SAID_PROGRESS, to_text(line));
}

void worker_event(struct json_object *event)
{
	say(SAID_PROGRESS, to_text(event));
}

char *worker_report(void)
{
	char *text;

	pthread_mutex_lock(&lock);
	text = published ? strdup(published) : NULL;
	pthread_mutex_unlock(&lock);
	return text;
}

bool worker_busy(void)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = busy;
	pthread_mutex_unlock(&lock);
	return is;
}

void worker_state(struct worker_state *s)
{
	pthread_mutex_lock(&lock);
	*s = state;
	pthread_mutex_unlock(&lock);
}

void worker_begin(struct migration *m)
{
	char *text = to_text(report(m));

	pthread_mutex_lock(&lock);
	patience_cancel(stop ? CANCEL_BY_STOP : CANCEL_NOT);
	job = m;
	busy = true;
	memset(&state, 0, sizeof(state));
	strcpy(state.id, m->id);
	strcpy(state.guest, m->guest);
	state.closing = m->state != STATE_CHECK;
	published = text;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

void worker_errand(void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	errand_done = done;
	pthread_mutex_lock(&lock);
	patience_cancel(stop ? CANCEL_BY_STOP : CANCEL_NOT);
	errand = run;
	errand_arg = arg;
	busy = true;
	memset(&state, 0, sizeof(state));
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

void worker_forget(void)
{
	pthread_mutex_lock(&lock);
	forget = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

void worker_stop(void)
{
	patience_cancel(CANCEL_BY_STOP);
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* Until that time is over or an operator wants it forgotten. When the daemon is to stop, not for long. True: forgotten. */
static bool wait_a_while(int64_t ms, bool stuck)
{
	int64_t until = clock_ns() + ms * 1000000, soon = clock_ns() + PAUSE_MS * 1000000LL;
	bool forgotten;

	pthread_mutex_lock(&lock);
	state.waiting = true;
	state.stuck = stuck;
	for (;;) {
		int64_t end = stop && soon < until ? soon : until;
		struct timespec ts = { .tv_sec = end / 1000000000, .tv_nsec = end % 1000000000 };

		if (forget || clock_ns() >= end)
			break;
		pthread_cond_timedwait(&wake, &lock, &ts);
	}
	forgotten = forget;
	pthread_mutex_unlock(&lock);
	return forgotten;
}

/* On an operator's word. Domains, exports and backends stay as they are: they are the operator's now. */
static bool forgotten(struct migration *m)
{
	pthread_mutex_lock(&lock);
	forget = false;
	pthread_mutex_unlock(&lock);
	if (migration_record(m, STATE_FORGOTTEN)) {
		say(SAID_FORGOTTEN, strdup(m->error.text));
		return false;
	}
	log_warn("migration %s of %s from %s to %s is forgotten: an operator sees to what is left of it", m->id, m->guest,
		 m->from, m->to);
	m->fate = FATE_FORGOTTEN;
	return true;
}

/* Works on the end until it is final. True: it took long, and whoever asked for the migration was told so. */
static bool end(struct migration *m)
{
	int64_t pause = PAUSE_MS, patience = clock_ms() + limit_ms(LIMIT_FINISH);
	bool told = false;

	for (;;) {
		if (m->fate == FATE_OPEN || m->fate == FATE_STUCK) {
			m->tries++;
			finish(m);
		}
		if (m->fate != FATE_OPEN && m->fate != FATE_STUCK)
			break;
		m->next_try_ms = pause;
		worker_publish(m);
		if (!told && (m->fate == FATE_STUCK || clock_ms() > patience)) {
			told = true;
			say(SAID_PROGRESS, to_text(report_outcome(m)));
			say(SAID_RESULT, to_text(report(m)));
		}
		monitor_migration(true, told, m->fate == FATE_STUCK);
		if (wait_a_while(pause, m->fate == FATE_STUCK) && forgotten(m))
			break;
		pause = 2 * pause < PAUSE_MAX_MS ? 2 * pause : PAUSE_MAX_MS;
	}
	m->next_try_ms = 0;
	return told;
}

static void work(struct migration *m)
{
	struct json_object *last;
	bool told = false;
	char *result;

	monitor_migration(!m->check_only, false, false);
	journald_about(m->id, m->guest, state_name(m->state));
	if (m->state == STATE_CHECK)
		migrate(m);
	if (m->fate == FATE_OPEN && !m->check_only)
		told = end(m);
	last = report(m);
	/* Or it would grow as long as the daemon lives. What came before the last record, nobody asks for any more. */
	if (m->fate != FATE_OPEN && m->journal->good > JOURNAL_LONG)
		journal_tidy(m->journal);
	migration_hooks_after(m, js_str(last, "outcome", ""));
	journald_about(NULL, NULL, NULL);

	/* Before anybody hears of it: whoever then asks for the history finds it there. */
	if (!m->check_only)
		monitor_over(history_migration(last, time(NULL)));
	monitor_migration(false, false, false);
	result = to_text(last);
	/* At once: whoever hears of the result may ask for the next migration. */
	pthread_mutex_lock(&lock);
	if (!m->check_only)
		say_locked(SAID_PROGRESS, to_text(report_outcome(m)));
	if (!told)
		say_locked(SAID_RESULT, strdup(result));
	if (forget || m->fate == FATE_FORGOTTEN)
		say_locked(SAID_FORGOTTEN, m->fate == FATE_FORGOTTEN ? NULL : strdup("it has come to its end just now"));
	say_locked(SAID_ENDED, m->check_only ? NULL : strdup(result));
	free(published);
	published = NULL;
	memset(&state, 0, sizeof(state));
	forget = busy = false;
	pthread_mutex_unlock(&lock);
	eventfd_write(event_fd, 1);
	free(result);
	migration_clear(m);
	free(m);
}

static void run_errand(void (*run)(void *arg), void *arg)
{
	run(arg);
	pthread_mutex_lock(&lock);
	say_locked(SAID_ERRAND, NULL);
	/* Of a check that was part of it. */
	free(published);
	published = NULL;
	memset(&state, 0, sizeof(state));
	pthread_mutex_unlock(&lock);
	eventfd_write(event_fd, 1);
}

static void *worker(void *arg)
{
	for (;;) {
		void (*run)(void *arg);
		struct migration *m;

		pthread_mutex_lock(&lock);
		while (!job && !errand)
			pthread_cond_wait(&wake, &lock);
		m = job;
		run = errand;
		job = NULL;
		errand = NULL;
		pthread_mutex_unlock(&lock);
		if (m)
			work(m);
		else
			run_errand(run, errand_arg);
	}
	return arg;
}

int worker_start(int *fd)
{
	pthread_condattr_t attr;
	pthread_t thread;

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return -errno;
	*fd = event_fd;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &attr);
	pthread_condattr_destroy(&attr);
	return -pthread_create(&thread, NULL, worker, NULL);
}
