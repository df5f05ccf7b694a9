// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "log.h"

#define LOOK_MS	100

struct child {
	const char *name;
	pid_t pid;
	int output;		/* -1: it has closed it */
	char line[512];
	char told[512];		/* why it failed, as it seems: its first line that has an "error", or its last one */
	size_t have;
	FILE *keep;		/* where all that it says goes; NULL: to the log */
};

/* What is kept; more than that nobody has to say. */
#define MAX_KEPT	(4 << 20)

int child_spawn(pid_t *pid, char *const argv[], char *const env[], int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	/* A group of its own, so that what it starts can be killed with it; and the signals as a program expects them. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	rc = posix_spawnp(pid, argv[0], &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static void end_line(struct child *c)
{
	c->line[c->have] = 0;
	if (c->have) {
		if (!c->keep)
			log_info("%s: %s", c->name, c->line);
		/* libxl begins with the cause and goes on with what that entails. */
		if (!strcasestr(c->told, "error"))
			strcpy(c->told, c->line);
	}
	c->have = 0;
}

/* What is there to be read; not more than a piece at a time, since it may never end. */
static void hear(struct child *c)
{
	char piece[512];
	ssize_t n = read(c->output, piece, sizeof(piece));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(c->output);
		c->output = -1;
		return;
	}
	if (c->keep && ftell(c->keep) < MAX_KEPT)
		fwrite(piece, 1, n, c->keep);
	for (ssize_t i = 0; i < n; i++) {
		if (piece[i] == '\n' || c->have == sizeof(c->line) - 1)
			end_line(c);
		if (piece[i] != '\n')
			c->line[c->have++] = piece[i] ? piece[i] : '?';
	}
}

static void hear_it(void *arg)
{
	struct child *c = arg;

	if (c->output >= 0)
		hear(c);
}

static void kill_it(void *arg)
{
	const struct child *c = arg;

	kill(-c->pid, SIGKILL);
}

enum child_end child_wait(pid_t pid, const int *output, int64_t until_ms, void (*hear)(void *arg), void (*late)(void *arg),
			  void *arg, int *status)
{
	bool killed = false;

	for (;;) {
		struct pollfd p = { .fd = *output, .events = POLLIN };

		poll(&p, 1, LOOK_MS);
		hear(arg);
		if (waitpid(pid, status, WNOHANG) == pid)
			return killed ? CHILD_KILLED : CHILD_ENDED;
		if (!killed && clock_ms() > until_ms) {
			killed = true;
			late(arg);
			until_ms = clock_ms();
		} else if (killed && clock_ms() > until_ms + CHILD_KILLED_MS) {
			return CHILD_LEFT;
		}
	}
}

static int run(char *const argv[], int limit_s, FILE *keep, struct error *err)
{
	struct child c = { .name = argv[0], .keep = keep };
	int fds[2], rc, status = 0;
	enum child_end end;

	if (pipe2(fds, O_CLOEXEC))
		return error_set(err, "%s does not start: %s", argv[0], strerror(errno));
	c.output = fds[0];
	fcntl(c.output, F_SETFL, O_NONBLOCK);
	rc = child_spawn(&c.pid, argv, environ, fds[1]);
	close(fds[1]);
	if (rc) {
		close(c.output);
		return error_set(err, "%s does not start: %s", argv[0], strerror(rc));
	}
	end = child_wait(c.pid, &c.output, clock_ms() + limit_s * 1000LL, hear_it, kill_it, &c, &status);
	/* Not what something says that it left behind: that may go on for ever. */
	for (int i = 0; i < 64 && c.output >= 0; i++)
		hear(&c);
	end_line(&c);
	if (c.output >= 0)
		close(c.output);
	if (end == CHILD_LEFT)
		return error_set(err, "%s did not end within %d s, was killed, and hangs in the kernel: process %d is still there",
				 argv[0], limit_s, c.pid);
	if (end == CHILD_KILLED)
		return error_set(err, "%s did not end within %d s%s%s", argv[0], limit_s, *c.told ? ": " : "", c.told);
	if (WIFSIGNALED(status))
		return error_set(err, "%s was ended by signal %d%s%s", argv[0], WTERMSIG(status), *c.told ? ": " : "", c.told);
	if (WEXITSTATUS(status))
		return error_set(err, "%s failed with status %d%s%s", argv[0], WEXITSTATUS(status), *c.told ? ": " : "", c.told);
	return 0;
}

int child_run(char *const argv[], int limit_s, struct error *err)
{
	return run(argv, limit_s, NULL, err);
}

int child_read(char *const argv[], int limit_s, char **out, struct error *err)
{
	size_t size;
	FILE *keep = open_memstream(out, &size);
	int rc;

	if (!keep)
		return error_set(err, "out of memory");
	rc = run(argv, limit_s, keep, err);
	if (fclose(keep) && !rc)
		rc = error_set(err, "out of memory");
	if (!rc)
		return 0;
	free(*out);
	*out = NULL;
	return -1;
}
