// SPDX-License-Identifier: GPL-2.0
/*
 * heartbeat --send ADDRESS PORT   in the guest VM: a number every 250 ms over one TCP connection
 * heartbeat --follow PORT FILE    in the host management VM: take one connection, and write to FILE after each number
 *                                 "beats N gap_ms LONGEST lost N open 0|1"; the longest gap is counted anew when FILE
 *                                 is removed
 *
 * The guest sends and the other end follows, so that TCP's backoff at a sender outside does not count as the guest's
 * absence.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static int beat_send(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	inet_pton(AF_INET, address, &to.sin_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("heartbeat: connect");
		return 1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (uint64_t n = 0;; n++) {
		if (write(fd, &n, sizeof(n)) != sizeof(n)) {
			perror("heartbeat: write");
			return 1;
		}
		usleep(250000);	/* each costs an emulated guest VM 40 ms */
	}
}

static void tell(const char *path, uint64_t beats, long gap, unsigned long lost, int open)
{
	char new[4096];
	FILE *f;

	snprintf(new, sizeof(new), "%s.new", path);
	f = fopen(new, "w");
	if (!f)
		return;
	fprintf(f, "beats %lu gap_ms %ld lost %lu open %d\n", (unsigned long)beats, gap, lost, open);
	if (!fclose(f))
		rename(new, path);
}

static int beat_follow(int port, const char *path)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd;
	uint64_t n, expect = 0;
	unsigned long lost = 0;
	long last, gap = 0;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1)) {
		perror("heartbeat: listen");
		return 1;
	}
	fd = accept(s, NULL, NULL);
	close(s);
	last = now_ms();
	while (fd >= 0 && recv(fd, &n, sizeof(n), MSG_WAITALL) == sizeof(n)) {
		long now = now_ms();

		if (access(path, F_OK))
			gap = 0;
		if (now - last > gap)
			gap = now - last;
		last = now;
		lost += n != expect;
		expect = n + 1;
		tell(path, expect, gap, lost, 1);
	}
	tell(path, expect, gap, lost, 0);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "--send"))
		return beat_send(argv[2], atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "--follow"))
		return beat_follow(atoi(argv[2]), argv[3]);
	fprintf(stderr, "usage: heartbeat --send ADDRESS PORT | --follow PORT FILE\n");
	return 2;
}
