// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "hooks.h"
#include "log.h"

#define MAX_HOOKS	256
#define MAX_ENV		16

const char *const hook_events[HOOK_EVENTS] = {
	[HOOK_GUEST_BEFORE] = "guest-before",
	[HOOK_GUEST_AFTER] = "guest-after",
	[HOOK_STEP_BEFORE] = "step-before",
	[HOOK_STEP_AFTER] = "step-after",
};

/* As run-parts(8) has it: what an editor or a package manager leaves behind is no hook. */
static int is_name(const struct dirent *d)
{
	const char *name = d->d_name;

	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Whoever could write to it would be root. */
static int check_safe(struct hooks *h, const char *path, const struct stat *st)
{
	if (st->st_uid != geteuid() && st->st_uid)
		return error_set(&h->error, "%s belongs to user %u: a hook and its directory must belong to root", path, st->st_uid);
	if (st->st_mode & 022)
		return error_set(&h->error, "others can write to %s: chmod go-w it, or it is not run", path);
	return 0;
}

static int set(struct hooks *h, size_t *nr, const char *name, const char *value)
{
	if (!value)
		return 0;
	if (asprintf(&h->env[*nr], "%s=%s", name, value) < 0) {
		h->env[*nr] = NULL;
		return -1;
	}
	++*nr;
	return 0;
}

static int set_all(struct hooks *h, const struct hook_facts *f)
{
	const char *const pairs[][2] = {
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
		{ "LC_ALL", "C.UTF-8" },
		{ "VMBEAM_EVENT", hook_events[f->event] },
		{ "VMBEAM_GUEST", f->guest },
		{ "VMBEAM_UUID", f->uuid },
		{ "VMBEAM_FROM", f->from },
		{ "VMBEAM_TO", f->to },
		{ "VMBEAM_MAINTENANCE", f->maintenance },
		{ "VMBEAM_WHAT", f->what },
		{ "VMBEAM_STEP", f->step },
		{ "VMBEAM_OUTCOME", f->outcome },
		{ "VMBEAM_ERROR", f->error },
		{ "VMBEAM_RESTARTED", f->restarted ? "yes" : NULL },
	};
	size_t nr = 0;

	h->env = calloc(MAX_ENV, sizeof(*h->env));
	if (!h->env)
		return -1;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (set(h, &nr, pairs[i][0], pairs[i][1]))
			return -1;
	return 0;
}

/* Takes those of the @nr found that are hooks. */
static int take(struct hooks *h, struct dirent **found, int nr)
{
	if (nr > MAX_HOOKS)
		return error_set(&h->error, "%s has %d files, and hooks are %d at most", h->dir, nr, MAX_HOOKS);
	h->names = calloc(nr + 1, sizeof(*h->names));
	if (!h->names)
		return error_set(&h->error, "out of memory");
	for (int i = 0; i < nr; i++) {
		struct stat st;
		char *path;

		if (asprintf(&path, "%s/%s", h->dir, found[i]->d_name) < 0)
			return error_set(&h->error, "out of memory");
		if (stat(path, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
			free(path);
			continue;
		}
		h->names[h->nr++] = path;
		if (check_safe(h, path, &st))
			return -1;
	}
	return 0;
}

int hooks_init(struct hooks *h, const char *dir, const struct hook_facts *facts)
{
	struct dirent **found = NULL;
	struct stat st;
	int nr, rc;

	memset(h, 0, sizeof(*h));
	h->output = -1;
	h->before = facts->event == HOOK_GUEST_BEFORE || facts->event == HOOK_STEP_BEFORE;
	h->dir = strdup(dir);
	if (!h->dir || set_all(h, facts))
		return error_set(&h->error, "out of memory");
	if (stat(dir, &st))
		return errno == ENOENT ? 0 : error_set(&h->error, "%s: %s", dir, strerror(errno));
	if (check_safe(h, dir, &st))
		return -1;
	nr = scandir(dir, &found, is_name, by_name);
	if (nr < 0)
		return error_set(&h->error, "%s: %s", dir, strerror(errno));
	rc = take(h, found, nr);
	while (nr--)
		free(found[nr]);
	free(found);
	return rc;
}

const char *hooks_name(const struct hooks *h)
{
	return strrchr(h->names[h->at], '/') + 1;
}

static int spawn(struct hooks *h, int out)
{
	char *const argv[] = { h->names[h->at], NULL };

	return child_spawn(&h->pid, argv, h->env, out);
}

int hooks_next(struct hooks *h)
{
	int fds[2], rc;

	while (!h->error.text[0] && h->at < h->nr) {
		rc = pipe2(fds, O_CLOEXEC) ? errno : 0;
		if (!rc) {
			rc = spawn(h, fds[1]);
			close(fds[1]);
			if (rc)
				close(fds[0]);
		}
		if (!rc) {
			h->output = fds[0];
			fcntl(h->output, F_SETFL, O_NONBLOCK);
			h->late = false;
			h->have = 0;
			return 1;
		}
		h->pid = 0;
		if (h->before)
			return error_set(&h->error, "the hook %s: %s", hooks_name(h), strerror(rc));
		log_warn("the hook %s: %s", hooks_name(h), strerror(rc));
		h->at++;
	}
	return h->error.text[0] ? -1 : 0;
}

static void say(struct hooks *h, size_t len)
{
	if (len)
		log_info("hook %s: %.*s", hooks_name(h), (int)len, h->line);
}

/* Lines, and what is longer than a line may be, in pieces. A byte of zero would hide the rest. */
static void take_output(struct hooks *h, size_t got)
{
	size_t from = 0;

	for (size_t i = h->have; i < h->have + got; i++) {
		if (!h->line[i])
			h->line[i] = '?';
		if (h->line[i] != '\n')
			continue;
		if (i > from)
			log_info("hook %s: %.*s", hooks_name(h), (int)(i - from), h->line + from);
		from = i + 1;
	}
	h->have = h->have + got - from;
	memmove(h->line, h->line + from, h->have);
	if (h->have < sizeof(h->line))
		return;
	say(h, h->have);
	h->have = 0;
}

void hooks_read(struct hooks *h)
{
	while (h->output >= 0) {
		ssize_t n = read(h->output, h->line + h->have, sizeof(h->line) - h->have);

		if (n > 0) {
			take_output(h, n);
			/* One that says things without end must not keep the loop: it is called again. */
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		close(h->output);
		h->output = -1;
	}
}

void hooks_late(struct hooks *h, int seconds)
{
	if (!h->pid)
		return;
	h->late = true;
	log_warn("the hook %s does not end within %d s: it is killed", hooks_name(h), seconds);
	kill(-h->pid, SIGKILL);
}

/* What it said before it ended, but not what something says that it left behind: that may go on for ever. */
static void read_rest(struct hooks *h)
{
	for (int i = 0; i < 64 && h->output >= 0; i++)
		hooks_read(h);
	say(h, h->have);
	h->have = 0;
	if (h->output >= 0)
		close(h->output);
	h->output = -1;
}

void hooks_ended(struct hooks *h, int status)
{
	read_rest(h);
	memset(&h->failed, 0, sizeof(h->failed));
	if (h->late)
		error_set(&h->failed, "the hook %s did not end in time", hooks_name(h));
	else if (WIFSIGNALED(status))
		error_set(&h->failed, "the hook %s was ended by signal %d", hooks_name(h), WTERMSIG(status));
	else if (status)
		error_set(&h->failed, "the hook %s failed with status %d", hooks_name(h), WEXITSTATUS(status));
	if (h->failed.text[0]) {
		if (h->before)
			h->error = h->failed;
		else
			log_warn("%s", h->failed.text);
	}
	h->pid = 0;
	h->at++;
}

void hooks_clear(struct hooks *h)
{
	if (h->pid)
		kill(-h->pid, SIGKILL);
	if (h->output >= 0)
		close(h->output);
	for (size_t i = 0; i < h->nr; i++)
		free(h->names[i]);
	free(h->names);
	for (size_t i = 0; h->env && h->env[i]; i++)
		free(h->env[i]);
	free(h->env);
	free(h->dir);
	memset(h, 0, sizeof(*h));
	h->output = -1;
}
