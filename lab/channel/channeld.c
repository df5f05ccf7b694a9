// SPDX-License-Identifier: GPL-2.0
/*
 * channeld PORT: the lab's way into a system, without cryptography: on the lab's own network alone.
 *
 * A thread per connection serves one request after the other: in a guest VM under two hypervisors, a fork costs a
 * page table that three levels look at. Requests and replies are frames: a letter, the length of what follows (32 bits,
 * big-endian), the bytes.
 *
 *   C command    run "sh -c command" in a process group of its own; I frames are its standard input, E ends that
 *   G path       read a file, without starting a process
 *   P path       write a file: I frames, then E
 *   A path       likewise, and make it executable
 *
 * Replies: O standard output or the file's bytes, R standard error, and as the last one X: the exit status of a command
 * (128 + signal), the errno of a file, in 32 bits. When the other end goes away, the command's group is killed; what
 * left the group lives on. A command has ended when its process has: a child that keeps its output open is not waited
 * for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_MAX	65536

struct command {
	pid_t pid;	/* 0: none runs */
	int in, out, err, pidfd;
	char pending[FRAME_MAX];	/* standard input that it has not taken yet */
	size_t pending_from, pending_to;
};

struct conn {
	int fd, file;		/* file: that is being read or written, or -1 */
	jmp_buf gone;		/* where to go when the other end is gone: there is nobody to tell */
	struct command command;
	char buf[FRAME_MAX + 1];
	char out[5 + FRAME_MAX];
};

static void read_all(struct conn *c, void *to, size_t len)
{
	char *p = to;

	while (len) {
		ssize_t n = read(c->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			longjmp(c->gone, 1);
		p += n;
		len -= n;
	}
}

static int write_all(int fd, const void *from, size_t len)
{
	const char *p = from;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

/* One write for a frame: on this network a packet costs more than its bytes. */
static void frame_send(struct conn *c, char type, const void *data, uint32_t len)
{
	uint32_t be = htonl(len);

	c->out[0] = type;
	memcpy(c->out + 1, &be, 4);
	memcpy(c->out + 5, data, len);
	if (write_all(c->fd, c->out, 5 + len))
		longjmp(c->gone, 1);
}

static char frame_read(struct conn *c, uint32_t *len)
{
	unsigned char head[5];

	read_all(c, head, sizeof(head));
	memcpy(len, head + 1, 4);
	*len = ntohl(*len);
	if (*len > FRAME_MAX) {
		fprintf(stderr, "channeld: a frame of %u bytes\n", *len);
		longjmp(c->gone, 1);
	}
	read_all(c, c->buf, *len);
	c->buf[*len] = '\0';
	return head[0];
}

static void status_send(struct conn *c, uint32_t status)
{
	uint32_t be = htonl(status);

	frame_send(c, 'X', &be, sizeof(be));
}

static void file_close(struct conn *c)
{
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
}

static void file_send(struct conn *c, const char *path)
{
	int error = 0;
	ssize_t n = 0;

	c->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (c->file >= 0 && (n = read(c->file, c->buf, FRAME_MAX)) > 0)
		frame_send(c, 'O', c->buf, n);
	if (c->file < 0 || n < 0)
		error = errno;
	file_close(c);
	status_send(c, error);
}

/* By rename: who reads the file meanwhile sees the old one or the new one. */
static void file_receive(struct conn *c, const char *path, mode_t mode)
{
	char temp[4096];
	uint32_t len;
	int error;
	char type;

	snprintf(temp, sizeof(temp), "%s.channeld", path);
	c->file = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	error = c->file < 0 ? errno : 0;
	while ((type = frame_read(c, &len)) == 'I')
		if (!error && write_all(c->file, c->buf, len))
			error = errno;
	if (type != 'E')
		longjmp(c->gone, 1);
	if (!error && (fchmod(c->file, mode) || rename(temp, path)))
		error = errno;
	file_close(c);
	status_send(c, error);
}

/*
 * vfork: the child borrows the memory until it is another program. It must not change what its parent needs, so all it
 * calls are system calls.
 */
static pid_t command_spawn(const char *command, int in, int out, int err)
{
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	pid_t pid = vfork();

	if (pid)
		return pid;
	sigaction(SIGPIPE, &normal, NULL);
	setpgid(0, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static int command_start(struct command *c, const char *command)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	c->pid = command_spawn(command, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	c->pidfd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
	c->pending_from = 0;
	c->pending_to = 0;
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->err, F_SETFL, O_NONBLOCK);
	return c->pidfd < 0 ? -1 : 0;
}

static void input_end(struct command *c)
{
	if (c->in >= 0)
		close(c->in);
	c->in = -1;
	c->pending_from = 0;
	c->pending_to = 0;
}

/* Waits for it, and forgets it. */
static int command_end(struct command *c)
{
	int status = 0;

	input_end(c);
	close(c->out);
	close(c->err);
	close(c->pidfd);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void input_take(struct conn *c)
{
	uint32_t len;
	char type = frame_read(c, &len);

	if (type == 'E') {
		input_end(&c->command);
	} else if (type == 'I' && c->command.in >= 0) {
		memcpy(c->command.pending, c->buf, len);
		c->command.pending_from = 0;
		c->command.pending_to = len;
	}
}

static void input_pass(struct command *c)
{
	ssize_t n = write(c->in, c->pending + c->pending_from, c->pending_to - c->pending_from);

	if (n > 0)
		c->pending_from += n;
	else if (errno != EAGAIN && errno != EINTR)
		input_end(c);	/* it does not read; that is its right */
}

/* Passes on what there is; false when it has ended. */
static bool output_pass(struct conn *c, int fd, char type)
{
	ssize_t n = read(fd, c->buf, FRAME_MAX);

	if (n > 0)
		frame_send(c, type, c->buf, n);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void command_run(struct conn *c, const char *text)
{
	struct command *cmd = &c->command;
	struct pollfd p[5];

	if (command_start(cmd, text)) {
		if (cmd->pid > 0)
			kill(-cmd->pid, SIGKILL);
		command_end(cmd);
		status_send(c, 126);
		return;
	}
	p[0] = (struct pollfd) { .events = POLLIN };
	p[1] = (struct pollfd) { .fd = cmd->out, .events = POLLIN };
	p[2] = (struct pollfd) { .fd = cmd->err, .events = POLLIN };
	p[3] = (struct pollfd) { .fd = cmd->pidfd, .events = POLLIN };
	p[4] = (struct pollfd) { .events = POLLOUT };
	do {
		bool waiting = cmd->pending_from < cmd->pending_to;

		p[0].fd = waiting ? -1 : c->fd;
		p[4].fd = waiting ? cmd->in : -1;
		if (poll(p, 5, -1) < 0)
			continue;
		if (p[1].revents && !output_pass(c, cmd->out, 'O'))
			p[1].fd = -1;
		if (p[2].revents && !output_pass(c, cmd->err, 'R'))
			p[2].fd = -1;
		if (p[0].revents)
			input_take(c);
		if (p[4].revents)
			input_pass(cmd);
	} while (!p[3].revents);
	while (p[1].fd >= 0 && poll(p + 1, 1, 0) > 0 && output_pass(c, cmd->out, 'O'))
		;
	while (p[2].fd >= 0 && poll(p + 2, 1, 0) > 0 && output_pass(c, cmd->err, 'R'))
		;
	status_send(c, command_end(cmd));
}

static void requests_serve(struct conn *c)
{
	uint32_t len;

	for (;;) {
		char type = frame_read(c, &len);
		char *text = strdup(c->buf);

		switch (text ? type : 0) {
		case 'C':
			command_run(c, text);
			break;
		case 'G':
			file_send(c, text);
			break;
		case 'P':
		case 'A':
			file_receive(c, text, type == 'A' ? 0755 : 0644);
			break;
		case 'I':
		case 'E':
			break;	/* was meant for a command that ended before */
		default:
			fprintf(stderr, "channeld: unknown frame %#x\n", type);
			longjmp(c->gone, 1);
		}
		free(text);
	}
}

/* A request's text is lost with its connection: a few bytes, in a system that lives for minutes. */
static void *conn_serve(void *arg)
{
	struct conn *c = arg;

	if (!setjmp(c->gone))
		requests_serve(c);
	if (c->command.pid) {
		kill(-c->command.pid, SIGKILL);
		command_end(&c->command);
	}
	file_close(c);
	close(c->fd);
	free(c);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: channeld PORT\n");
		return 2;
	}
	at.sin_port = htons(atoi(argv[1]));
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 16)) {
		perror("channeld");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct conn *c = calloc(1, sizeof(*c));
		pthread_t thread;

		if (!c)
			return 1;
		c->file = -1;
		c->fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (c->fd < 0) {
			free(c);
			continue;
		}
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		if (pthread_create(&thread, NULL, conn_serve, c)) {
			close(c->fd);
			free(c);
		} else {
			pthread_detach(thread);
		}
	}
}
