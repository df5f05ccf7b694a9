// SPDX-License-Identifier: GPL-2.0
/*
 * The process that stays with a domain that was made here. When it reboots, its configuration is written down before the
 * domain goes, as for a shutdown (down.h): if it cannot be made anew, or this process is killed, it is kept for a return.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "create.h"
#include "destroy.h"
#include "domain.h"
#include "down.h"
#include "state_dir.h"
#include "watch.h"

/* A domain that was just destroyed may keep its disks for a moment. */
#define TRIES	5
#ifndef PAUSE_S
#define PAUSE_S	2
#endif

/* The domain's UUID and name, to be freed; NULL: it is not there, or nobody knows. */
static char *identify(uint32_t domid, char *uuid)
{
	struct domain *list;
	char *name = NULL;
	size_t nr;

	if (domains_read(&list, &nr))
		return NULL;
	for (size_t i = 0; i < nr; i++) {
		if (list[i].domid != domid || list[i].dying)
			continue;
		memcpy(uuid, list[i].uuid, UUID_TEXT);
		name = strdup(list[i].name);
	}
	domains_free(list, nr);
	return name;
}

/* 0, and the new one's domid, or not: nothing is left of it then but what is written down. */
static int make_anew(struct json_object *config, const char *name, uint32_t *domid)
{
	int rc = -1;

	for (int i = 0; rc && i < TRIES; i++) {
		if (i)
			sleep(PAUSE_S);
		rc = create_domain(config, name, domid);
	}
	if (rc)
		return rc;
	rc = domain_unpause(*domid);
	if (rc)
		destroy(*domid);
	return rc;
}

/* 0, and the new one's domid, or -1: told on stderr. */
static int restart(uint32_t *domid)
{
	char uuid[UUID_TEXT] = "", *name = identify(*domid, uuid);
	struct json_object *config = NULL;
	int rc = -1, lock;
	struct error err;

	error_set(&err, "the toolstack does not tell it");
	lock = name ? down_lock(uuid, &err) : -1;
	if (lock < 0 || domain_keep(*domid, false, &config) || down_write(uuid, name, config, true, &err)) {
		fprintf(stderr, "domain %u has rebooted and is left as it is: it cannot be made anew, since its configuration cannot be kept: %s\n",
			*domid, err.text);
		goto out;
	}
	rc = destroy(*domid) ?: make_anew(config, name, domid);
	if (rc)
		fprintf(stderr, "%s has rebooted and could not be made anew. Its configuration is kept in " STATE_DIR "/down-%s.json: put right what is wrong, and type vmbeam return HOSTVM in the host management VM, HOSTVM being this host VM, which starts it. If it is created by hand (xl create), remove that file\n",
			name, uuid);
	else if (down_forget(uuid, &err))
		fprintf(stderr, "%s\n", err.text);
out:
	json_object_put(config);
	free(name);
	if (lock >= 0)
		close(lock);
	return rc ? -1 : 0;
}

int watch(uint32_t domid)
{
	prctl(PR_SET_NAME, "vmbeam-watch");
	for (;;) {
		switch (create_wait(domid)) {
		case ENDING_RESTART:
			if (restart(&domid))
				return -1;
			break;
		case ENDING_DESTROY:
			return destroy(domid) ? -1 : 0;
		case ENDING_GONE:
		case ENDING_LEFT:
			return 0;
		default:
			return -1;
		}
	}
}

void watched(uint32_t domid)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", domid);
	if (fork())
		return;
	setsid();
	dup2(1, 2);	/* stderr is for the answer to this request */
	execl("/proc/self/exe", "vmbeam-agent", "--watch", text, (char *)NULL);
	_exit(127);
}
