// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "work.h"

#define MAX_WORK 8
#define MAX_FDS 4

/* A child under way, or one whose result nobody has asked for yet. */
struct work {
	char key[64];
	pid_t pid;
	int log;
};

static struct work works[MAX_WORK];

pid_t agent_fork(const int *fds, int nr)
{
	int high[MAX_FDS];
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;

	/* Out of the way first, so that no dup2() below closes one that is still to come. */
	for (int i = 0; i < nr; i++) {
		high[i] = fcntl(fds[i], F_DUPFD, 3 + MAX_FDS);
		if (high[i] < 0)
			_exit(126);
	}
	for (int i = 0; i < nr; i++)
		if (dup2(high[i], 3 + i) < 0)
			_exit(126);
	close_range(3 + nr, ~0U, 0);
	return 0;
}

const char *log_tail(int fd)
{
	static char text[800];
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > (off_t)sizeof(text) - 1 ? size - (sizeof(text) - 1) : 0;
	ssize_t n = pread(fd, text, sizeof(text) - 1, from);
	char *end;

	if (n <= 0)
		return "no message";
	text[n] = 0;
	end = text + n;
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	for (char *p = text; p < end; p++) {
		if (*p == '\n')
			*p = '|';
		else if (!isprint((unsigned char)*p))
			*p = ' ';
	}
	return *text ? text : "no message";
}

int wait_child(pid_t pid, int ms, int *status)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int64_t until = clock_ms() + ms;
	pid_t got;
	int rc;

	if (p.fd < 0)
		return -errno;
	do
		rc = poll(&p, 1, clock_left_ms(until));
	while (rc < 0 && errno == EINTR);
	close(p.fd);
	do
		got = waitpid(pid, status, WNOHANG);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got == pid;
}

const char *exit_text(int status)
{
	static char text[64];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exited with status %d", WEXITSTATUS(status));
	return text;
}

static struct work *work_find(const char *key)
{
	for (int i = 0; i < MAX_WORK; i++)
		if (works[i].pid && !strcmp(works[i].key, key))
			return &works[i];
	return NULL;
}

bool work_pending(const char *key)
{
	return work_find(key);
}

/* The slot is free when another one needs it and the child has ended. */
void work_stop(const char *key)
{
	struct work *w = work_find(key);

	if (!w)
		return;
	kill(w->pid, SIGKILL);
	*w->key = 0;
}

static struct work *work_free_slot(void)
{
	for (int i = 0; i < MAX_WORK; i++)
		if (!works[i].pid)
			return &works[i];
	/* A daemon that died does not come back for a result: drop one that is there. */
	for (int i = 0; i < MAX_WORK; i++) {
		int status;

		if (wait_child(works[i].pid, 0, &status)) {
			close(works[i].log);
			works[i].pid = 0;
			return &works[i];
		}
	}
	return NULL;
}

static int work_start(struct work *w, const char *key, int (*fn)(const void *arg), const void *arg, int fd)
{
	int log = memfd_create("vmbeam-work", MFD_CLOEXEC);
	pid_t parent = getpid(), pid;

	if (log < 0)
		return -errno;
	pid = agent_fork((int[]){ log, fd }, fd < 0 ? 1 : 2);
	if (!pid) {
		dup2(3, 2);
		close(3);
		/* All of them can be repeated, and must not go on beside what the next agent is told to do. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		_exit(fn(arg) ? 1 : 0);
	}
	if (pid < 0) {
		int rc = -errno;

		close(log);
		return rc;
	}
	snprintf(w->key, sizeof(w->key), "%s", key);
	w->pid = pid;
	w->log = log;
	return 0;
}

/* The child for @key: the one that is there, or a new one. */
static int work_get(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd, struct work **out)
{
	struct work *w = work_find(key);
	int status, rc;

	/*
	 * What has ended before it was asked for now is of another request, whose daemon never came back: a domain
	 * that has been suspended once more since would be told to be resumed already. All work can be repeated.
	 */
	if (w && !has_key(r, "again") && wait_child(w->pid, 0, &status)) {
		w->pid = 0;
		close(w->log);
		w = NULL;
	}
	if (!w) {
		w = work_free_slot();
		if (!w)
			return fail(r, -EBUSY, "%d operations are under way already; %s has to wait", MAX_WORK, key);
		rc = work_start(w, key, fn, arg, fd);
		if (rc)
			return fail(r, rc, "cannot start %s: %s", key, strerror(-rc));
	}
	*out = w;
	return 0;
}

int work_begin(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd)
{
	struct work *w;

	return work_get(r, key, fn, arg, fd, &w);
}

int work_run(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd)
{
	struct work *w;
	int status, rc = work_get(r, key, fn, arg, fd, &w);

	if (rc)
		return rc;
	rc = wait_child(w->pid, AGAIN_MS, &status);
	if (!rc) {
		r->again = true;
		return 0;
	}
	w->pid = 0;
	if (rc < 0)
		rc = fail(r, rc, "lost the child that did %s: %s", key, strerror(-rc));
	else if (status)
		rc = fail(r, -EIO, "%s", WIFSIGNALED(status) ? exit_text(status) : log_tail(w->log));
	else
		rc = 0;
	close(w->log);
	return rc;
}

void *work_share(struct request *r, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	fail(r, -ENOMEM, "out of memory");
	return NULL;
}
