// SPDX-License-Identifier: GPL-2.0
/*
 * The source's side of the stream. A child calls libxl_domain_suspend(); libxl starts the patched save helper; both
 * write into one pipe, which save-read empties. A socket between the helper and the agent holds the suspend back until
 * save-go. When the agent dies, the pipe breaks, the socket ends and the child is killed: nobody resumes the guest VM
 * or destroys it but the daemon, by op.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "domain.h"
#include "hold.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "message.h"
#include "ops.h"
#include "packed.h"
#include "saved_frames.h"
#include "store.h"
#include "suspended.h"
#include "work.h"

#define PIPE_SIZE	(1 << 20)

static struct {
	char migration[MAX_MIGRATION + 1];
	uint32_t domid;
	pid_t pid;		/* the child, which leads a process group; 0 once it is reaped */
	int status;
	int stream, control, log;
	bool active, prepared, gone, eof;	/* gone: save-go was given */
} save = { .stream = -1, .control = -1, .log = -1 };

/* An agent before this one may have left a request to suspend behind. */
static bool unsure = true;
static int64_t late;	/* until when a guest VM whose save was given up may still suspend, also for who asks anew */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Ends child and helper, wherever they are. The guest VM stays as it is. */
static void save_clear(void)
{
	if (save.pid) {
		kill(-save.pid, SIGKILL);
		kill(save.pid, SIGKILL);
		wait_child(save.pid, 5000, &save.status);
		save.pid = 0;
	}
	close_fd(&save.stream);
	close_fd(&save.control);
	close_fd(&save.log);
	saved_frames_drop();
	save.active = false;
}

static void save_child(uint32_t domid, pid_t parent)
{
	dup2(5, 2);
	close(5);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (setenv("LIBXL_SAVE_HELPER", domain_helper(), 1) || setenv("VMBEAM_HELPER_FD", "4", 1) ||
	    setenv("VMBEAM_FRAMES_FD", "6", 1))
		_exit(1);
	_exit(domain_save(domid, 3) ? 1 : 0);
}

static int save_start(struct request *r, uint32_t domid)
{
	int pipefd[2] = { -1, -1 }, sock[2] = { -1, -1 }, log = -1, frames = saved_frames_begin();
	int rc = frames < 0 ? frames : 0;
	pid_t parent = getpid(), pid;

	if (!rc && (pipe2(pipefd, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock)))
		rc = -errno;
	if (!rc) {
		log = memfd_create("vmbeam-save", MFD_CLOEXEC);
		if (log < 0)
			rc = -errno;
	}
	if (rc)
		goto out;
	fcntl(pipefd[1], F_SETPIPE_SZ, PIPE_SIZE);	/* only faster */
	fcntl(pipefd[0], F_SETFL, O_NONBLOCK);
	fcntl(sock[0], F_SETFL, O_NONBLOCK);

	pid = agent_fork((int[]){ pipefd[1], sock[1], log, frames }, 4);
	if (!pid)
		save_child(domid, parent);
	if (pid < 0) {
		rc = -errno;
		goto out;
	}
	setpgid(pid, pid);	/* both do it: whoever comes first */
	save.pid = pid;
	save.domid = domid;
	save.stream = pipefd[0];
	save.control = sock[0];
	save.log = log;
	save.prepared = save.gone = save.eof = false;
	save.status = 0;
	save.active = true;
	pipefd[0] = sock[0] = log = -1;
out:
	close_fd(&pipefd[0]);
	close_fd(&pipefd[1]);
	close_fd(&sock[0]);
	close_fd(&sock[1]);
	close_fd(&log);
	return rc ? fail(r, rc, "the save of domain %u cannot be started: %s", domid, strerror(-rc)) : 0;
}

/* The daemon has one migration at a time: whoever began another was given up by an operator (vmbeam forget). */
static void leave_to_nobody(void)
{
	if (!save.active)
		return;
	if (save.pid)
		log_warn("the save of domain %u for migration %s, which was given up, is ended", save.domid, save.migration);
	if (save.pid && save.gone && store_cancel(save.domid, "suspend"))
		log_info("took back the request to domain %u to suspend", save.domid);
	save_clear();
}

int op_save_begin(struct request *r)
{
	const char *migration;
	uint32_t domid;
	struct domain d;
	int rc = get_migration(r, &migration);

	rc = rc ?: get_domid(r, &domid);
	if (rc)
		return rc;
	if (save.active && !(save.eof && !save.pid) && !strcmp(save.migration, migration))
		return fail(r, -EBUSY, "the save of domain %u for migration %s is still under way", save.domid,
			    save.migration);
	leave_to_nobody();
	if (domain_read(domid, &d) || d.dying)
		return fail(r, -ESRCH, "domain %u is gone", domid);
	if (d.paused || d.shutdown)
		return fail(r, -EINVAL, "guest VM %s (domain %u) does not run: it could not suspend itself", d.called,
			    domid);
	if (access(domain_helper(), X_OK))
		return fail(r, -errno, "the save helper %s cannot be run: %s", domain_helper(), strerror(errno));
	save_clear();		/* one that has ended, whose migration is over */
	unsure = false;
	late = 0;
	snprintf(save.migration, sizeof(save.migration), "%s", migration);
	suspended_forget();
	return save_start(r, domid);
}

/* Whatever the helper says on its socket. */
static int read_control(struct request *r)
{
	char c;
	ssize_t n;

	if (save.control < 0)
		return 0;
	n = read(save.control, &c, 1);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : fail(r, -errno, "the save helper's socket broke: %s",
								     strerror(errno));
	if (!n) {
		close_fd(&save.control);	/* it has ended; what came of it, its exit will tell */
		return 0;
	}
	if (c != 'P' || save.prepared)
		return fail(r, -EPROTO, "the save helper says something unknown: is it of this version?");
	save.prepared = true;
	return 0;
}

static int save_ended(struct request *r, int64_t until)
{
	if (save.pid) {
		int rc = wait_child(save.pid, clock_left_ms(until), &save.status);

		if (!rc) {
			r->again = true;
			return 0;
		}
		if (rc < 0)
			return fail(r, rc, "lost the child that saves domain %u: %s", save.domid, strerror(-rc));
		save.pid = 0;
	}
	if (save.status)
		return fail(r, -EIO, "saving domain %u failed (%s): %s", save.domid, exit_text(save.status),
			    log_tail(save.log));
	saved_frames_take(save.domid);
	put_string(r->out, "state", "end");
	return 0;
}

/* Fills the blob with what the pipe has, up to @room bytes. */
static int read_stream(struct request *r, size_t room)
{
	while (r->out_len < room) {
		ssize_t n = read(save.stream, r->out_blob + r->out_len, room - r->out_len);

		if (n > 0) {
			r->out_len += n;
			continue;
		}
		if (!n)
			save.eof = true;
		else if (errno == EINTR)
			continue;
		else if (errno != EAGAIN)
			return fail(r, -errno, "the pipe of the save broke: %s", strerror(errno));
		break;
	}
	return 0;
}

int op_save_read(struct request *r)
{
	bool packed = js_bool(r->in, "pack");
	/* Packed, as much as the other side takes in one piece is little on the line. */
	size_t room = packed ? MESSAGE_MAX_BLOB : MAX_BLOB_OUT;
	int64_t until = clock_ms() + AGAIN_MS;
	int rc;

	if (!save.active)
		return fail(r, -EBADFD, "no save is under way here");
	r->out_blob = malloc(room);
	if (!r->out_blob)
		return fail(r, -ENOMEM, "out of memory");

	for (;;) {
		/* The socket first: all that the helper wrote before its 'P' is then in the pipe. */
		rc = read_control(r);
		rc = rc ?: read_stream(r, room);
		if (rc)
			return rc;
		if (r->out_len) {
			put_string(r->out, "state", "stream");
			return packed ? packed_put(r) : 0;
		}
		if (save.eof)
			return save_ended(r, until);
		if (save.prepared && !save.gone) {
			put_string(r->out, "state", "prepared");
			return 0;
		}
		if (clock_ms() >= until) {
			r->again = true;
			return 0;
		}
		struct pollfd p[2] = {
			{ .fd = save.stream, .events = POLLIN },
			{ .fd = save.control, .events = POLLIN },
		};
		poll(p, 2, clock_left_ms(until));
	}
}

int op_save_go(struct request *r)
{
	if (!save.active || !save.prepared)
		return fail(r, -EBADFD, "no save here waits for leave to suspend the guest VM");
	if (save.gone)
		return 0;
	if (save.control < 0 || send(save.control, "G", 1, MSG_NOSIGNAL) != 1)
		return fail(r, -EPIPE, "the save helper of domain %u has gone: %s", save.domid, log_tail(save.log));
	save.gone = true;
	return 0;
}

/*
 * Why the guest VM that was told to suspend never will: it has ended otherwise, or libxl has given up. 0: nothing speaks
 * against it yet.
 */
static int never_suspends(struct request *r, uint32_t domid)
{
	struct domain d;
	int rc = domain_read(domid, &d);

	if (rc == -ESRCH || (!rc && d.dying))
		return fail(r, -ESRCH, "domain %u has gone while it was asked to suspend: it rebooted, shut down or crashed, or somebody destroyed it",
			    domid);
	if (!rc && d.shutdown && !d.suspended)
		return fail(r, -ECANCELED, "domain %u has ended (%s) while it was asked to suspend", domid, d.ended);
	/* The reason is libxl's: a guest VM may refuse, or not answer. */
	if (save.active && save.domid == domid && save.pid && wait_child(save.pid, 0, &save.status) > 0)
		save.pid = 0;
	if (save.active && save.domid == domid && !save.pid && save.status)
		return fail(r, -EIO, "domain %u did not suspend: its save failed (%s): %s", domid, exit_text(save.status),
			    log_tail(save.log));
	return 0;
}

int op_save_status(struct request *r)
{
	uint32_t domid = save.domid;
	uint64_t ns;

	if (has_key(r, "domid")) {
		int rc = get_domid(r, &domid);

		if (rc)
			return rc;
	}
	if (!domid)
		return fail(r, -EBADFD, "no save is under way here");
	ns = suspended_since(domid);
	if (!ns) {
		int rc = never_suspends(r, domid);

		if (rc)
			return rc;
	}
	put_bool(r, "suspended", ns);
	put_number(r, "suspended_at_ns", ns);
	return 0;
}

static int get_save(struct request *r, uint32_t *domid)
{
	const char *migration;
	int rc = get_migration(r, &migration);

	*domid = save.domid;
	if (rc)
		return rc;
	if (save.active && strcmp(save.migration, migration))
		return fail(r, -EINVAL, "the save under way is of migration %s, not %s", save.migration, migration);
	if (has_key(r, "domid")) {
		rc = get_domid(r, domid);
		if (rc)
			return rc;
	}
	if (save.active && save.domid != *domid)
		return fail(r, -EINVAL, "the save under way is of domain %u, not %u", save.domid, *domid);
	return 0;
}

/*
 * Also without a save: the agent that had begun it may have died, and the request to suspend that its libxl left in
 * xenstore would take effect a moment after the daemon looked. So the request is taken back, or, once the guest VM has
 * taken it, waited for: afterwards "suspended" is the truth, and if it is true the daemon sends resume.
 */
int op_save_abort(struct request *r)
{
	int64_t until = clock_ms() + AGAIN_MS;
	uint32_t domid;
	struct domain d;
	int rc = get_save(r, &domid);

	if (rc)
		return rc;
	put_bool(r, "suspended", false);
	if (!has_key(r, "again")) {
		bool maybe = save.active ? save.gone : unsure;

		save_clear();
		unsure = false;
		if (maybe)
			late = clock_ms() + limit_ms(LIMIT_FREEZE);
		if (!domid || domain_read(domid, &d) || d.dying)
			return 0;
		hold_point("agent:save-abort-killed");
		if (!d.suspended && store_cancel(domid, "suspend")) {
			log_info("took back the request to domain %u to suspend", domid);
			return 0;
		}
	}
	while (!suspended_since(domid) && clock_ms() < late) {
		/* It has ended otherwise: it cannot suspend any more. */
		if (domain_read(domid, &d) || d.dying || d.shutdown)
			break;
		if (clock_ms() >= until) {
			r->again = true;
			return 0;
		}
		usleep(100000);
	}
	put_bool(r, "suspended", suspended_since(domid));
	return 0;
}
