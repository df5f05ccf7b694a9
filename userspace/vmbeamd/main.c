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

#include "control.h"
#include "js.h"
#include "log.h"
#include "recover.h"

#define RETRY_MS	3000

static struct journal journal;

static void idle(void)
{
	control_poll(0);
}

static void make_parent(const char *path)
{
	char *copy = strdup(path);

	if (copy)
		mkdir(dirname(copy), 0700);	/* it is there, or the open after this says what is wrong */
	free(copy);
}

/* On an operator's word. Domains, exports and backends stay as they are: they are the operator's now. */
static bool forget(struct migration *m)
{
	if (!control_forget)
		return false;
	if (migration_record(m, STATE_FORGOTTEN)) {
		control_forgotten(m->error.text);
		return false;
	}
	log_warn("migration %s of %s from %s to %s is forgotten: an operator sees to what is left of it", m->id, m->guest,
		 m->from, m->to);
	m->fate = FATE_FORGOTTEN;
	control_forgotten(NULL);
	return true;
}

/* Works on the end until it is final, or forgotten; the CLI has had its answer, or there was none. */
static void finish_late(struct migration *m)
{
	control_current = m;
	control_waiting = true;
	while (m->fate == FATE_OPEN && finish(m))
		for (int i = 0; i < RETRY_MS / 200 && !forget(m); i++)
			control_poll(200);
	/* Nothing else may be started over one that is stuck. The next daemon asks again. */
	while (m->fate == FATE_STUCK && !forget(m))
		control_poll(1000);
	control_waiting = false;
	if (control_forget)
		control_forgotten("it has come to its end just now");
}

static void remember(const struct migration *m)
{
	json_object_put(control_last);
	control_last = report(m);
}

static void serve_request(void)
{
	struct migration m;

	migration_init(&m, &journal);
	m.check_only = control_request.check_only;
	migration_between(&m, control_request.from, control_request.to);
	if (migration_name(&m, control_request.guest)) {
		m.fate = FATE_REFUSED;
	} else {
		control_current = &m;
		migrate(&m);
	}
	control_result(report(&m));
	if (!m.check_only) {
		finish_late(&m);
		remember(&m);
	}
	control_current = NULL;
	migration_clear(&m);
}

static int recover_last(const struct config *config, struct json_object *last, struct error *err)
{
	struct migration m;
	int rc;

	migration_init(&m, &journal);
	rc = recover(&m, last, config, err);
	if (rc > 0)
		finish_late(&m);
	if (rc > 0 || m.fate != FATE_OPEN)
		remember(&m);
	control_current = NULL;
	migration_clear(&m);
	return rc < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "print-ways", no_argument, NULL, 'w' },
		{ 0 }
	};
	const char *path = "/etc/vmbeam/vmbeamd.conf";
	struct json_object *last = NULL;
	struct config config;
	struct error err;
	int opt, rc;

	log_init("vmbeamd");
	while ((opt = getopt_long(argc, argv, "Vc:h", options, NULL)) != -1) {
		switch (opt) {
		case 'V':
			puts("vmbeamd " VMBEAM_VERSION);
			return 0;
		case 'c':
			path = optarg;
			break;
		case 'h':
			printf("usage: vmbeamd [-c FILE]\nMoves guest VMs between the host VMs named in FILE (%s).\n", path);
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
	make_parent(config.journal);
	make_parent(config.control);
	rc = journal_open(&journal, config.journal, recover_remember, &last);
	if (rc) {
		log_err("%s: %s", config.journal, rc == -EWOULDBLOCK ? "another vmbeamd has it" :
			rc == -EBADMSG ? "damaged in the middle; see which side its guest VM is on, and move the file away" :
			strerror(-rc));
		return 1;
	}
	/* It would grow for ever, and what came before the last record is asked for by nobody. */
	if (journal.records > 1 && recover_over(last)) {
		rc = journal_shorten(&journal);
		if (rc)
			log_warn("%s cannot be shortened: %s", config.journal, strerror(-rc));
	}
	if (control_open(&config, &err)) {
		log_err("%s", err.text);
		return 1;
	}
	agent_idle = idle;
	rc = recover_last(&config, last, &err);
	json_object_put(last);
	if (rc) {
		log_err("%s", err.text);
		return 1;
	}
	log_info("ready, %zu host VMs", config.nr_hostvms);
	for (;;) {
		control_poll(1000);
		if (control_request.pending)
			serve_request();
	}
}
