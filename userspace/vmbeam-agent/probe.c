// SPDX-License-Identifier: GPL-2.0
/*
 * Is this system sound? A small PV guest VM is made, its vCPU must get time, and it is destroyed. It has no disk: its kernel
 * boots, finds no root file system and panics, which is as good.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "create.h"
#include "destroy.h"
#include "domain.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "ops.h"
#include "placement.h"
#include "work.h"

/* Drawn once, for this. The name has it, so that no guest VM of an operator is called so. */
#define UUID		"b7f3f7a6-8a0c-4f0e-9c53-3f6f4f1a2d75"
#define NAME		"vmbeam-probe-" UUID
#define KIB		(128 * 1024)
/* What Xen and the toolstack take for such a one besides. */
#define OVERHEAD_KIB	(8 * 1024)
/* Far more than what a vCPU takes that is caught in its first fault. */
#define ENOUGH_NS	20000000
#define LOOK_US		100000
#define CLEAR_MS	10000

static const char *kernel_wanted;

void probe_kernel(const char *path)
{
	kernel_wanted = path;
}

bool probe_is(const char *uuid)
{
	return !strcasecmp(uuid, UUID);
}

/* 0, or -ENOENT: told on stderr. */
static int find_kernel(char *path, size_t size)
{
	struct utsname uts;

	snprintf(path, size, "%s", kernel_wanted ? kernel_wanted : "");
	if (!*path && !uname(&uts))
		snprintf(path, size, "/boot/vmlinuz-%s", uts.release);
	if (!access(path, R_OK))
		return 0;
	if (!kernel_wanted && !access("/vmlinuz", R_OK)) {
		snprintf(path, size, "/vmlinuz");
		return 0;
	}
	fprintf(stderr, "%s%s cannot be read: name a kernel for a PV guest VM with --probe-kernel\n", path,
		kernel_wanted ? "" : " or /vmlinuz");
	return -ENOENT;
}

/* What an earlier probe left, whose agent was killed. */
static int clear(void)
{
	struct domain *list;
	size_t nr;
	int rc = domains_read(&list, &nr);

	if (rc) {
		fprintf(stderr, "the domains cannot be listed: is the toolstack of this host VM up?\n");
		return rc;
	}
	for (size_t i = 0; !rc && i < nr; i++)
		if (probe_is(list[i].uuid))
			rc = destroy(list[i].domid);
	domains_free(list, nr);
	return rc;
}

/* The toolstack's own message is of no use to somebody who does not know that a guest VM was to be made. */
static int has_room(void)
{
	struct json_object *here;
	uint64_t free_kib;
	char why[400];

	if (placement_here(&here, why, sizeof(why))) {
		fprintf(stderr, "how much memory is free cannot be read: %s\n", why);
		return -EIO;
	}
	free_kib = js_u64(here, "free_kib", 0);
	json_object_put(here);
	if (free_kib >= KIB + OVERHEAD_KIB)
		return 0;
	fprintf(stderr, "a guest VM of %d MiB is started for a moment to see whether this host VM is sound, and only %llu MiB are free: make room first (xl mem-set 0, say)\n",
		KIB / 1024, (unsigned long long)free_kib / 1024);
	return -ENOMEM;
}

static int gets_time(uint32_t domid)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_PROBE);
	struct domain d = {};

	for (;;) {
		int rc = domain_read(domid, &d);

		if (!rc && d.cpu_ns >= ENOUGH_NS)
			return 0;
		if (rc || d.shutdown || d.dying || clock_ms() >= until)
			break;
		usleep(LOOK_US);
	}
	fprintf(stderr, "a guest VM was started to see whether this host VM is sound, and its vCPU ran for %llu ms only%s%s\n",
		(unsigned long long)d.cpu_ns / 1000000, d.shutdown ? ": it ended, " : "", d.shutdown ? d.ended : "");
	return -EIO;
}

static int probe_work(const void *arg)
{
	char kernel[256];
	uint32_t domid;
	int rc, gone;

	(void)arg;
	rc = find_kernel(kernel, sizeof(kernel)) ?: clear() ?: has_room();
	rc = rc ?: create_small(NAME, UUID, kernel, KIB, &domid);
	if (rc)
		return rc;
	rc = domain_unpause(domid) ?: gets_time(domid);
	gone = destroy(domid);
	return rc ?: gone;
}

static bool is_left(void)
{
	struct domain *list;
	bool is = false;
	size_t nr;

	if (domains_read(&list, &nr))
		return false;
	for (size_t i = 0; i < nr; i++)
		is |= !list[i].dying && probe_is(list[i].uuid);
	domains_free(list, nr);
	return is;
}

void probe_clear(void)
{
	int status, rc = 0;
	pid_t pid;

	if (!is_left())
		return;
	log_warn("a guest VM that a probe of an earlier agent has left is destroyed");
	pid = agent_fork(NULL, 0);
	if (!pid)
		_exit(clear() ? 1 : 0);
	/* The daemon waits for this agent. One that takes longer goes on by itself; the next probe waits for it. */
	if (pid > 0)
		rc = wait_child(pid, CLEAR_MS, &status);
	if (pid < 0 || rc < 0 || (rc && status))
		log_warn("it could not be destroyed: the next probe tries again");
}

int op_probe(struct request *r)
{
	return work_run(r, "probe", probe_work, NULL, -1);
}
