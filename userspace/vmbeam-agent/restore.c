// SPDX-License-Identifier: GPL-2.0
/*
 * The destination's side of the stream: stock `xl restore -p`, which reads its standard input. When the agent dies the
 * stream ends early, and xl itself takes the half-made domain away. Once xl has succeeded it stays as the domain's
 * monitor, in a session of its own, and the domain stays paused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "destroy.h"
#include "domain.h"
#include "hold.h"
#include "log.h"
#include "message.h"
#include "ops.h"
#include "packed.h"
#include "restore.h"
#include "work.h"

#define PIPE_SIZE	(1 << 20)
/* A write is taken while less than this waits to go down the pipe: the whole buffer is at most twice that. */
#define MAX_QUEUED	MESSAGE_MAX_BLOB

static struct {
	char migration[MAX_MIGRATION + 1];
	char *name;		/* of the guest VM, and what messages call it */
	char called[TEXT_SHORT];
	char uuid[UUID_TEXT];	/* "" if the daemon did not say */
	struct domain *before;	/* the domains that were here before xl began: never ours to destroy */
	size_t nr_before;
	pid_t pid;		/* xl, which leads a process group; 0 once it is reaped */
	int status;
	int pipe, log;
	uint8_t *queue;
	size_t start, end;
	uint32_t taken_len;	/* of a write that was taken and answered with "again": its repetition is no new one */
	uint32_t domid;		/* the new domain, once xl has succeeded and it has its name */
	bool active, taken, aborting;
} restore = { .pipe = -1, .log = -1 };

static void restore_clear(void)
{
	if (restore.pid) {
		kill(-restore.pid, SIGKILL);
		kill(restore.pid, SIGKILL);
		wait_child(restore.pid, 5000, &restore.status);
	}
	if (restore.pipe >= 0)
		close(restore.pipe);
	if (restore.log >= 0)
		close(restore.log);
	free(restore.queue);
	domains_free(restore.before, restore.nr_before);
	free(restore.name);
	memset(&restore, 0, sizeof(restore));
	restore.pipe = restore.log = -1;
}

static void restore_child(void)
{
	/* 3 is the stream, 4 the log. xl opens the stream anew by its name, and puts /dev/null in place of 0 when it
	 * stays as the monitor. */
	dup2(3, 0);
	dup2(4, 1);
	dup2(4, 2);
	close(3);
	close(4);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	/* This one populates in pieces of 2 MiB; otherwise it is the stock one. */
	setenv("LIBXL_SAVE_HELPER", domain_helper(), 1);
	unsetenv("VMBEAM_HELPER_FD");
	execlp("xl", "xl", "restore", "-p", "/dev/stdin", (char *)NULL);
	fprintf(stderr, "xl cannot be run: %s\n", strerror(errno));
	_exit(127);
}

/* Has xl ended? Waits up to @ms for it. */
static bool xl_ended(int ms)
{
	if (restore.pid && wait_child(restore.pid, ms, &restore.status))
		restore.pid = 0;
	return !restore.pid;
}

/*
 * The domain that xl has made, or is making: of the right name or UUID (it has its UUID from the first moment on, and
 * its name a little later), and not one that was here before. 0 if none.
 */
static uint32_t find_new(void)
{
	struct domain *list = NULL;
	uint32_t found = 0;
	size_t nr = 0;

	if (domains_read(&list, &nr))
		return 0;
	for (size_t i = 0; i < nr && !found; i++) {
		bool old = list[i].dying || (strcmp(list[i].name, restore.name) &&
						 (!*restore.uuid || strcasecmp(list[i].uuid, restore.uuid)));

		for (size_t k = 0; !old && k < restore.nr_before; k++)
			old = restore.before[k].domid == list[i].domid;
		if (!old)
			found = list[i].domid;
	}
	domains_free(list, nr);
	return found;
}

static int abort_work(const void *arg)
{
	return destroy(*(const uint32_t *)arg);
}

/* Ends xl, and whatever it has made. */
static int call_off(struct request *r)
{
	uint32_t domid;
	char key[48];
	int rc;

	if (!restore.aborting) {
		restore.aborting = true;
		if (restore.pid) {
			kill(-restore.pid, SIGKILL);
			xl_ended(5000);
		}
		hold_point("agent:restore-abort-killed");
	}
	domid = find_new();
	snprintf(key, sizeof(key), "restore-abort %s", restore.migration);
	/* Asked once more although the domain is gone: the child's result has to be fetched. */
	rc = domid || restore.domid ? work_run(r, key, abort_work, domid ? &domid : &restore.domid, -1) : 0;
	if (!rc && !r->again) {
		log_info("the restore of %s is called off", restore.called);
		restore_clear();
	}
	return rc;
}

int op_restore_begin(struct request *r)
{
	const char *migration, *name, *uuid = "";
	int fds[2] = { -1, -1 }, rc;

	rc = get_migration(r, &migration);
	rc = rc ?: get_name(r, "name", &name);
	if (!rc && has_key(r, "uuid"))
		rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);
	if (rc)
		return rc;
	if (restore.active && !strcmp(restore.migration, migration))
		return fail(r, -EBUSY, "the restore of %s for migration %s is still under way", restore.called,
			    restore.migration);
	/* The daemon has one migration at a time: whoever began another was given up by an operator (vmbeam forget). */
	if (restore.active && !restore.domid) {
		rc = call_off(r);
		if (rc || r->again)
			return rc;
	}
	restore_clear();	/* one that succeeded and was another migration's has no further use */

	text_short(restore.called, sizeof(restore.called), name);
	rc = domains_read(&restore.before, &restore.nr_before);
	if (rc)
		return fail(r, rc, "the domains here cannot be listed: %s", strerror(-rc));
	for (size_t i = 0; i < restore.nr_before; i++)
		if (!restore.before[i].dying && !strcmp(restore.before[i].name, name)) {
			rc = fail(r, -EEXIST, "there is a guest VM called %s here already (domain %u)", restore.before[i].called,
				  restore.before[i].domid);
			goto out;
		}

	restore.name = strdup(name);
	restore.queue = malloc(2 * MAX_QUEUED);
	restore.log = memfd_create("vmbeam-restore", MFD_CLOEXEC);
	if (!restore.name || !restore.queue || restore.log < 0 || pipe2(fds, O_CLOEXEC)) {
		rc = fail(r, restore.name && restore.queue ? -errno : -ENOMEM, "the restore of %s cannot be started",
			  restore.called);
		goto out;
	}
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	restore.pipe = fds[1];
	restore.pid = agent_fork((int[]){ fds[0], restore.log }, 2);
	if (!restore.pid)
		restore_child();
	close(fds[0]);
	if (restore.pid < 0) {
		restore.pid = 0;
		rc = fail(r, -errno, "xl cannot be started: %s", strerror(errno));
		goto out;
	}
	setpgid(restore.pid, restore.pid);
	snprintf(restore.migration, sizeof(restore.migration), "%s", migration);
	snprintf(restore.uuid, sizeof(restore.uuid), "%s", uuid);
	restore.active = true;
out:
	if (rc)
		restore_clear();
	return rc;
}

static int xl_failed(struct request *r)
{
	return fail(r, -EIO, "xl restore of %s failed (%s): %s", restore.called, exit_text(restore.status),
		    log_tail(restore.log));
}

/* Sends what is queued until at most @leave is left. 1: done; 0: @until came first; or an error. */
static int flush_queue(struct request *r, size_t leave, int64_t until)
{
	while (restore.end - restore.start > leave) {
		struct pollfd p = { .fd = restore.pipe, .events = POLLOUT };
		ssize_t n = write(restore.pipe, restore.queue + restore.start, restore.end - restore.start);

		if (n > 0) {
			restore.start += n;
			continue;
		}
		if (n < 0 && errno == EPIPE) {
			/* xl closes its end before it ends, and takes the domain away in between. */
			if (xl_ended(clock_left_ms(until)))
				return xl_failed(r);
			return 0;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail(r, -errno, "the stream to xl broke: %s", strerror(errno));
		if (clock_ms() >= until)
			return 0;
		poll(&p, 1, clock_left_ms(until));
	}
	return 1;
}

/* Puts the request's piece of the stream behind what waits to go down the pipe. */
static int take(struct request *r)
{
	const uint8_t *piece;
	uint8_t *unpacked;
	size_t len;
	int rc = packed_get(r, MAX_QUEUED, &unpacked, &piece, &len);

	if (rc)
		return rc;
	memmove(restore.queue, restore.queue + restore.start, restore.end - restore.start);
	restore.end -= restore.start;
	restore.start = 0;
	memcpy(restore.queue + restore.end, piece, len);
	restore.end += len;
	restore.taken = true;
	restore.taken_len = r->blob_len;
	free(unpacked);
	return 0;
}

int op_restore_write(struct request *r)
{
	int64_t until = clock_ms() + AGAIN_MS;
	int rc;

	if (!restore.active || restore.pipe < 0 || restore.aborting)
		return fail(r, -EBADFD, "no restore is under way here that takes more of the stream");
	if (!restore.taken) {
		if (r->blob_len > MAX_QUEUED)
			return fail(r, -EMSGSIZE, "a piece of the stream is too large");
		rc = take(r);
		if (rc)
			return rc;
	} else if (r->blob_len && r->blob_len != restore.taken_len) {
		return fail(r, -EPROTO, "a piece of the stream came where the last one had to be repeated");
	}
	rc = flush_queue(r, MAX_QUEUED, until);
	if (rc < 0)
		return rc;
	r->again = !rc;
	restore.taken = !rc;
	return 0;
}

/*
 * Waits until xl's domain has @frames frames: all that the stream has announced so far. They can be pinned then, while
 * the guest VM still runs; the restore gives none of them back.
 */
int op_restore_populated(struct request *r)
{
	int64_t until = clock_ms() + AGAIN_MS;
	uint64_t frames;
	struct domain d;
	int rc;

	rc = get_number(r, "frames", 1ULL << 40, &frames);
	if (rc)
		return rc;
	if (!restore.active || restore.pipe < 0 || restore.aborting)
		return fail(r, -EBADFD, "no restore is under way here");
	for (uint32_t domid = 0; ; usleep(200000)) {
		rc = flush_queue(r, 0, clock_ms());
		if (rc < 0)
			return rc;
		if (xl_ended(0))
			return xl_failed(r);
		if (!domid)
			domid = find_new();
		if (rc && domid && !domain_read(domid, &d) && d.current_kib / 4 >= frames) {
			put_number(r, "domid", domid);
			return 0;
		}
		if (clock_ms() >= until) {
			r->again = true;
			return 0;
		}
	}
}

int op_restore_end(struct request *r)
{
	int64_t until = clock_ms() + AGAIN_MS;
	uint32_t domid;
	int rc;

	if (!restore.active || restore.aborting)
		return fail(r, -EBADFD, "no restore is under way here");
	if (restore.domid)
		goto done;
	if (restore.pipe >= 0) {
		rc = flush_queue(r, 0, until);
		if (rc < 0)
			return rc;
		if (!rc) {
			r->again = true;
			return 0;
		}
		close(restore.pipe);
		restore.pipe = -1;
	}
	if (!xl_ended(clock_left_ms(until))) {
		r->again = true;
		return 0;
	}
	if (restore.status)
		return xl_failed(r);
	domid = find_new();
	if (!domid)
		return fail(r, -ESRCH, "xl restored %s, but there is no such domain now", restore.called);
	/* It may have travelled under another one: see carry_name(). It is restored when it has its name, and not before. */
	rc = domain_rename(domid, restore.name);
	if (rc)
		return fail(r, rc, "domain %u, which xl restored, cannot be given its name %s: %s", domid, restore.called,
			    strerror(-rc));
	restore.domid = domid;
done:
	put_number(r, "domid", restore.domid);
	return 0;
}

void restore_forget(uint32_t domid)
{
	if (restore.active && restore.domid == domid)
		restore_clear();
}

/*
 * Without a restore there is nothing to do: xl has ended with the agent that started it. One of another migration is
 * none of this daemon's business: that one may have been committed.
 */
int op_restore_abort(struct request *r)
{
	const char *migration;
	int rc;

	rc = get_migration(r, &migration);
	if (rc || !restore.active || strcmp(restore.migration, migration))
		return rc;
	return call_off(r);
}
