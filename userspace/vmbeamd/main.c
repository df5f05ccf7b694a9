// SPDX-License-Identifier: GPL-2.0
/* vmbeamd: moves guest VMs between the host VMs of this host. */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "journald.h"
#include "js.h"
#include "drive.h"
#include "limit.h"
#include "log.h"
#include "memory.h"
#include "monitor.h"
#include "recover.h"
#include "requests_plan.h"
#include "requests.h"
#include "worker.h"

static struct config config;
static struct journal journal;

static void make_parent(const char *path)
{
	char *copy = strdup(path);

	if (copy)
		mkdir(dirname(copy), 0700);	/* it is there, or the open after this says what is wrong */
	free(copy);
}

/* What the last daemon left, if anything, is for the worker. @last: what a status is to tell of it. */
static int recover_last(struct json_object *record, struct migration **left, struct json_object **last, struct error *err)
{
	struct migration *m = malloc(sizeof(*m));
	int rc;

	*left = NULL;
	*last = NULL;
	if (!m)
		return error_set(err, "out of memory");
	migration_init(m, &journal);
	rc = recover(m, record, &config, err);
	if (rc > 0) {
		*left = m;
		return 0;
	}
	if (m->fate != FATE_OPEN)
		*last = report(m);
	migration_clear(m);
	free(m);
	return rc;
}

/* The journal, and what is in it of a migration that is not over. @over: what the history is to have of one that is. */
static int open_journal(struct migration **left, struct json_object **last, struct json_object **over, struct error *err)
{
	struct json_object *record = NULL;
	int rc = journal_open(&journal, config.journal, recover_remember, &record);

	if (rc) {
		json_object_put(record);
		return error_set(err, "%s: %s", config.journal, rc == -EWOULDBLOCK ? "another vmbeamd has it" :
				 rc == -EBADMSG ? "damaged in the middle; see which side its guest VM is on, and move the file away" :
				 strerror(-rc));
	}
	/* It would grow for ever, and what came before the last record is asked for by nobody. */
	if (journal.records > 1 && recover_over(record))
		journal_tidy(&journal);
	*over = recover_history(record);
	rc = recover_last(record, left, last, err);
	/* It is over as of now. */
	if (!*over && *last)
		*over = history_migration(*last, time(NULL));
	json_object_put(record);
	return rc;
}

/* What the worker is at when it is no migration. */
static const char *errand(void)
{
	return drive_busy() ? drive_what() : "what somebody asked for";
}

static int stop_in_vain(sd_event_source *source, uint64_t usec, void *arg)
{
	struct worker_state now;

	(void)usec;
	(void)arg;
	worker_state(&now);
	if (*now.id)
		log_warn("migration %s of %s has not come to its end in the %d s that the limit \"stop\" allows: the next vmbeamd finishes it",
			 now.id, now.guest, limit_s(LIMIT_STOP));
	else
		log_warn("%s could not be stopped between two steps in the %d s that the limit \"stop\" allows: %s", errand(),
			 limit_s(LIMIT_STOP), drive_busy() ? "the next vmbeamd goes on with it" : "it has to be asked for again");
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Nothing is left in the middle if there is time: a guest VM that stands still would do so until the next daemon starts. */
static int stop(sd_event_source *source, const struct signalfd_siginfo *si, void *arg)
{
	sd_event *event = sd_event_source_get_event(source);
	struct worker_state now;

	(void)si;
	(void)arg;
	sd_notify(0, "STOPPING=1");
	worker_state(&now);
	/* There is nothing to wait for. */
	if (now.stuck)
		return sd_event_exit(event, 0);
	if (worker_busy() && !*now.id)
		log_info("being stopped: %s is brought to the end of a step, for at most %d s", errand(), limit_s(LIMIT_STOP));
	else if (worker_busy())
		log_info("being stopped: migration %s of %s is %s, for at most %d s", now.id, now.guest,
			 now.closing ? "brought to its end" : "called off", limit_s(LIMIT_STOP));
	worker_stop();
	requests_stop();
	return sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, limit_s(LIMIT_STOP) * 1000000ULL, 0, stop_in_vain, NULL);
}

static int run(struct error *err)
{
	struct json_object *last = NULL, *over = NULL;
	struct migration *left = NULL;
	sd_event *event = NULL;
	int worker_fd, rc;
	sigset_t signals;

	/* In all threads: the loop gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (open_journal(&left, &last, &over, err))
		return -1;
	rc = sd_event_default(&event);
	if (rc >= 0)
		rc = sd_event_add_signal(event, NULL, SIGTERM, stop, NULL);
	if (rc >= 0)
		rc = sd_event_add_signal(event, NULL, SIGINT, stop, NULL);
	if (rc >= 0)
		rc = sd_event_set_watchdog(event, true);
	if (rc >= 0)
		rc = worker_start(&worker_fd);
	if (rc < 0)
		return error_set(err, "no event loop: %s", strerror(-rc));
	if (monitor_open(event, &config, err))
		return -1;
	/* The last daemon may have died before it had that in there. */
	if (over && !monitor_has(js_str(over, "id", "")))
		monitor_over(json_object_get(over));
	json_object_put(over);
	if (requests_open(event, &config, &journal, worker_fd, last, err))
		return -1;
	if (drive_open(event, &config, &journal, requests_plan_told, err))
		return -1;
	if (left)
		worker_begin(left);
	else
		drive_go();
	log_info("ready, %zu host VMs", config.nr_hostvms);
	sd_notify(0, "READY=1");
	rc = sd_event_loop(event);
	monitor_close();
	return rc < 0 ? error_set(err, "the event loop ended: %s", strerror(-rc)) : 0;
}

static void usage(const char *path)
{
	printf("usage: vmbeamd [-c FILE] [--check-config]\n"
	       "Moves guest VMs between the host VMs named in FILE (%s).\n\n"
	       "  -c, --config FILE   another configuration\n"
	       "  --check-config      say whether the configuration can be used, and end\n"
	       "  --print-ways        print which way the end of a migration goes, as a table\n", path);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ "print-ways", no_argument, NULL, 'w' },
		{ 0 }
	};
	const char *path = CONFIG_PATH;
	bool check_only = false;
	struct error err;
	int opt;

	log_init("vmbeamd");
	memory_keep();
	while ((opt = getopt_long(argc, argv, "Vc:h", options, NULL)) != -1) {
		switch (opt) {
		case 'V':
			puts("vmbeamd " VMBEAM_VERSION);
			return 0;
		case 'c':
			path = optarg;
			break;
		case 'C':
			check_only = true;
			break;
		case 'h':
			usage(path);
			return 0;
		case 'w':
			state_print_ways(stdout);
			return 0;
		default:
			return 1;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (config_load(&config, path, &err)) {
		log_err("%s", err.text);
		return 1;
	}
	if (check_only) {
		for (size_t i = 0; i < config.nr_hostvms; i++) {
			const char *file = config.hostvms[i].config;

			if (!file || (*file == '/' && !access(file, R_OK)))
				continue;
			log_err("%s: \"config\" of the host VM %s, %s: %s", path, config.hostvms[i].name, file,
				*file == '/' ? strerror(errno) : "it is no absolute path");
			return 1;
		}
		printf("%s can be used: %zu host VMs\n", path, config.nr_hostvms);
		return 0;
	}
	journald_init();
	make_parent(config.journal);
	make_parent(config.control);
	make_parent(config.history.path);
	if (run(&err)) {
		log_err("%s", err.text);
		return 1;
	}
	log_info("stopped");
	/* The worker may still be at work: nothing of it is torn down, as if the process was killed. */
	_exit(0);
}
