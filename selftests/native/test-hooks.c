// SPDX-License-Identifier: GPL-2.0
/* Hooks: their order, what they are told, what they may say, and that one that fails or does not end keeps nobody. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>

#include "child.h"
#include "hooks.h"
#include "kselftest_harness.h"

/* A process in a sleep that no signal ends is hard to make. To whoever kills it, it is one whose signals are lost. */
static bool signals_are_lost;
static pid_t killed;

int kill(pid_t pid, int sig)
{
	killed = pid;
	return signals_are_lost ? 0 : syscall(SYS_kill, pid, sig);
}

FIXTURE(hooks) {
	char dir[64], path[128], log[80];
	struct hooks h;
	struct hook_facts facts;
	char said[16384];
	int err;
};

FIXTURE_SETUP(hooks)
{
	snprintf(self->dir, sizeof(self->dir), "/tmp/vmbeam-hooks-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->log, sizeof(self->log), "%s.log", self->dir);
	memset(&self->h, 0, sizeof(self->h));
	self->facts = (struct hook_facts){ .event = HOOK_GUEST_BEFORE, .guest = "u1 \"x\" $(reboot)", .from = "hv1",
					   .to = "hv2" };
	fflush(stderr);
	/* What a hook leaves behind must not hold open what this program is read by. */
	self->err = fcntl(2, F_DUPFD_CLOEXEC, 3);
	ASSERT_NE(NULL, freopen(self->log, "w+", stderr));
}

FIXTURE_TEARDOWN(hooks)
{
	char command[200];

	hooks_clear(&self->h);
	dup2(self->err, 2);
	close(self->err);
	snprintf(command, sizeof(command), "rm -rf %s %s", self->dir, self->log);
	EXPECT_EQ(0, system(command));
}

static void put(FIXTURE_DATA(hooks) *self, const char *name, mode_t mode, const char *body)
{
	FILE *f;

	snprintf(self->path, sizeof(self->path), "%s/%s", self->dir, name);
	f = fopen(self->path, "w");
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	chmod(self->path, mode);
}

/* As the daemon's loop does it: what is said is read when it is there, an end is seen when it comes. */
static int run_one(struct hooks *h, int limit_ms)
{
	int status;

	for (int waited = 0;; waited += 5) {
		struct pollfd p = { .fd = h->output, .events = POLLIN };

		if (poll(&p, 1, 5) > 0)
			hooks_read(h);
		if (waitpid(h->pid, &status, WNOHANG) == h->pid) {
			hooks_ended(h, status);
			return status;
		}
		if (waited >= limit_ms && !h->late)
			hooks_late(h, 1);
	}
}

static int run(FIXTURE_DATA(hooks) *self, int limit_ms)
{
	int rc = hooks_init(&self->h, self->dir, &self->facts);
	FILE *f;

	if (!rc) {
		while ((rc = hooks_next(&self->h)) > 0)
			run_one(&self->h, limit_ms);
	}
	fflush(stderr);
	f = fopen(self->log, "r");
	self->said[fread(self->said, 1, sizeof(self->said) - 1, f)] = 0;
	fclose(f);
	return rc;
}

#define PATIENCE_MS 60000

TEST_F(hooks, no_directory_has_none)
{
	rmdir(self->dir);
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_STREQ("", self->said);
}

TEST_F(hooks, in_the_order_of_their_names)
{
	put(self, "20-b", 0755, "echo second");
	put(self, "10-a", 0755, "echo first");
	put(self, "30-c", 0644, "echo no executable");
	put(self, "40-d~", 0755, "echo an editor\\'s");
	put(self, "50-e.dpkg-old", 0755, "echo a package manager\\'s");
	snprintf(self->path, sizeof(self->path), "%s/60-dir", self->dir);
	mkdir(self->path, 0755);
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_STREQ("vmbeam: hook 10-a: first\nvmbeam: hook 20-b: second\n", self->said);
}

TEST_F(hooks, told_by_the_environment_and_by_nothing_else)
{
	/* What this program has open besides is not the hooks' business. */
	ASSERT_EQ(0, close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
	setenv("SECRET", "of the daemon", 1);
	put(self, "a", 0755, "echo \"$VMBEAM_EVENT,$VMBEAM_GUEST,$VMBEAM_FROM,$VMBEAM_TO,"
	    "${VMBEAM_OUTCOME-none},${SECRET-none}\"\n"
	    "cat\nls /proc/self/fd | wc -l >&2");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	/* The three, and the one of ls. */
	EXPECT_STREQ("vmbeam: hook a: guest-before,u1 \"x\" $(reboot),hv1,hv2,none,none\nvmbeam: hook a: 4\n",
		     self->said);
}

TEST_F(hooks, one_that_fails_keeps_it_from_happening)
{
	put(self, "a", 0755, "exit 3");
	put(self, "b", 0755, "echo not reached");
	EXPECT_EQ(-1, run(self, PATIENCE_MS));
	EXPECT_STREQ("the hook a failed with status 3", self->h.error.text);
	EXPECT_EQ(NULL, strstr(self->said, "not reached"));
}

TEST_F(hooks, afterwards_it_is_a_warning)
{
	self->facts.event = HOOK_STEP_AFTER;
	put(self, "a", 0755, "exit 3");
	put(self, "b", 0755, "kill -TERM $$");
	put(self, "c", 0755, "echo \"$VMBEAM_EVENT\"");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_STREQ("vmbeam: the hook a failed with status 3\nvmbeam: the hook b was ended by signal 15\n"
		     "vmbeam: hook c: step-after\n", self->said);
}

/* With what it has started, which holds its output open. */
TEST_F(hooks, one_that_does_not_end_is_killed)
{
	pid_t child;

	put(self, "a", 0755, "sleep 1000 &\necho $!\nwait");
	EXPECT_EQ(-1, run(self, 300));
	EXPECT_STREQ("the hook a did not end in time", self->h.error.text);
	ASSERT_EQ(0, strncmp(self->said, "vmbeam: hook a: ", 16));
	child = atoi(self->said + 16);
	ASSERT_LT(1, child);
	for (int i = 0; i < 1000 && !kill(child, 0); i++) {
		char path[40], state = 'Z';
		FILE *f;

		/* It may be there still as nobody's child. */
		snprintf(path, sizeof(path), "/proc/%d/stat", child);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%*d %*s %c", &state) != 1 || state == 'Z')
			i = 1000;
		if (f)
			fclose(f);
		ASSERT_NE(999, i);
		usleep(10000);
	}
}

TEST_F(hooks, a_command_that_hangs_in_the_kernel)
{
	static char *const argv[] = { "sleep", "1000", NULL };
	char said[200];
	struct error err;

	signals_are_lost = true;
	EXPECT_EQ(-1, child_run(argv, 0, &err));
	signals_are_lost = false;
	ASSERT_GT(-1, killed);
	snprintf(said, sizeof(said), "sleep did not end within 0 s, was killed, and hangs in the kernel: process %d ",
		 -killed);
	EXPECT_EQ(0, strncmp(said, err.text, strlen(said)));
	EXPECT_EQ(0, kill(killed, SIGKILL));
	EXPECT_EQ(-killed, waitpid(-killed, NULL, 0));
}

/* What it leaves running with its output open keeps nobody. */
TEST_F(hooks, one_that_leaves_something_behind)
{
	put(self, "a", 0755, "setsid sleep 5 &\necho done");
	put(self, "b", 0755, "setsid sleep 5 &\necho next");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_STREQ("vmbeam: hook a: done\nvmbeam: hook b: next\n", self->said);
	EXPECT_EQ(-1, self->h.output);
}

TEST_F(hooks, what_it_says_forges_no_line)
{
	put(self, "a", 0755, "printf 'a\\033[31mb\\r\\000c\\n\\nno end'");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_STREQ("vmbeam: hook a: a\\x1b[31mb\\x0d?c\nvmbeam: hook a: no end\n", self->said);
}

TEST_F(hooks, a_long_line_comes_in_pieces)
{
	char *line;

	put(self, "a", 0755, "head -c 2500 /dev/zero | tr '\\000' x");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	line = strtok(self->said, "\n");
	EXPECT_EQ(strlen("vmbeam: hook a: ") + 1024, strlen(line));
	line = strtok(NULL, "\n");
	EXPECT_EQ(strlen("vmbeam: hook a: ") + 1024, strlen(line));
	line = strtok(NULL, "\n");
	EXPECT_EQ(strlen("vmbeam: hook a: ") + 452, strlen(line));
	EXPECT_EQ(NULL, strtok(NULL, "\n"));
}

/* Root runs it: nobody else may write it. */
TEST_F(hooks, one_that_others_can_write_to)
{
	put(self, "a", 0777, "echo run");
	EXPECT_EQ(-1, run(self, PATIENCE_MS));
	EXPECT_NE(NULL, strstr(self->h.error.text, "others can write to"));
	EXPECT_EQ(NULL, strstr(self->said, "run"));
	hooks_clear(&self->h);
	chmod(self->path, 0755);
	chmod(self->dir, 0777);
	EXPECT_EQ(-1, run(self, PATIENCE_MS));
	hooks_clear(&self->h);
	chmod(self->dir, 0755);
	if (!geteuid()) {
		ASSERT_EQ(0, chown(self->path, 12345, 0));
		EXPECT_EQ(-1, run(self, PATIENCE_MS));
		EXPECT_NE(NULL, strstr(self->h.error.text, "belongs to user 12345"));
	}
}

TEST_F(hooks, one_that_cannot_be_started)
{
	FILE *f;

	put(self, "a", 0755, "");
	f = fopen(self->path, "w");
	fputs("#!/no/such/interpreter\n", f);
	fclose(f);
	EXPECT_EQ(-1, run(self, PATIENCE_MS));
	EXPECT_STREQ("the hook a: No such file or directory", self->h.error.text);
	hooks_clear(&self->h);
	self->facts.event = HOOK_GUEST_AFTER;
	put(self, "b", 0755, "echo next");
	EXPECT_EQ(0, run(self, PATIENCE_MS));
	EXPECT_NE(NULL, strstr(self->said, "hook b: next"));
}

TEST_HARNESS_MAIN
