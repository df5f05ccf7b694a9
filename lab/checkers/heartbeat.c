// SPDX-License-Identifier: GPL-2.0
/*
 * heartbeat --send ADDRESS PORT   in the guest VM: a number each second over one TCP connection, and in a datagram
 * heartbeat --follow PORT FILE    in the host management VM: take one connection after the other, and write to FILE
 *                                 after each number "beats N gap_ms LONGEST lost N open 0|1"; the longest gap is counted
 *                                 anew when FILE is removed
 *
 * The connection shows that nothing was lost. It does not show when the guest was back: TCP tries again after twice the
 * time that it has waited, so up to as long again as the guest was away. That is what the datagrams are for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pace.h"

static int beat_send(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd, datagrams = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	inet_pton(AF_INET, address, &to.sin_addr);
	/* At boot the network may not be there yet. */
	while (fd = socket(AF_INET, SOCK_STREAM, 0), connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("heartbeat: connect");
		close(fd);
		sleep(2);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (uint64_t n = 0;; n++) {
		long began = now_ms();

		/* While there is no network it does not get out. */
		sendto(datagrams, &n, sizeof(n), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
		if (write(fd, &n, sizeof(n)) != sizeof(n)) {
			perror("heartbeat: write");
			return 1;
		}
		rest(now_ms() - began, 1000);
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

/* Until it ends, or another one waits: a guest VM that is gone without a word does not keep the next of its name out. */
static void beat_connection(int fd, int listening, int datagrams, const char *path)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = listening, .events = POLLIN },
			      { .fd = datagrams, .events = POLLIN } };
	uint64_t n, expect = 0;
	unsigned long lost = 0;
	long last = now_ms(), gap = 0;

	while (poll(p, 3, -1) > 0 && !p[1].revents) {
		long now = now_ms();

		if (access(path, F_OK))
			gap = 0;
		if (now - last > gap)
			gap = now - last;
		last = now;
		if (p[2].revents)
			recv(datagrams, &n, sizeof(n), MSG_DONTWAIT);
		if (p[0].revents) {
			if (recv(fd, &n, sizeof(n), MSG_WAITALL) != sizeof(n))
				break;
			lost += n != expect;
			expect = n + 1;
		}
		tell(path, expect, gap, lost, 1);
	}
	tell(path, expect, gap, lost, 0);
}

static int beat_follow(int port, const char *path)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0), one = 1, fd;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1) ||
	    datagrams < 0 || bind(datagrams, (struct sockaddr *)&at, sizeof(at))) {
		perror("heartbeat: listen");
		return 1;
	}
	while ((fd = accept(s, NULL, NULL)) >= 0) {
		beat_connection(fd, s, datagrams, path);
		close(fd);
	}
	perror("heartbeat: accept");
	return 1;
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
