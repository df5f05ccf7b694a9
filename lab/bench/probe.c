// SPDX-License-Identifier: GPL-2.0
/*
 * What a migration is felt by. Each runs until SIGTERM, if it does not say otherwise.
 *
 * probe beat ADDRESS PORT MS   in the guest VM that moves: a number every MS ms over TCP, anew when the other end leaves, and
 *                              each in a datagram besides
 * probe follow PORT            outside: takes one connection, prints "connected", then a line in each second with beats, and
 *                              at SIGTERM as JSON the beats and the longest time that nothing came. That is told by the
 *                              datagrams: TCP tries again after twice the time that it has waited, so up to as long again
 *                              as the guest VM was away
 * probe dirty MIB MS           writes to each page of that much memory once in MS ms, at a low priority. 0: without pause
 * probe stalls US              a timer loop with that period. Prints, as JSON, the time since the boot and the period; at SIGTERM,
 *                              behind that line, how late each tick was: us, 32 bits, little-endian. A tick's time is fixed
 *                              beforehand, so that of a long stall each tick in it counts
 * probe speed MIB MS PASSES    reads that much memory every MS ms; ends by itself after so many passes, and prints as JSON how
 *                              long one took
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
/* An hour of ticks of 1 ms; what is not used takes no memory. */
#define TICKS_MAX 3600000
/* So many pauses a pass over the memory has, for all who share a processor with it. */
#define PAUSES 50

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	/* The kernel would set its timer all the same, and sleep for the least that it can: xen_timer_slop. */
	if (ns <= now_ns())
		return;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int beat(const char *address, int port, long ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int datagrams = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		fprintf(stderr, "probe: \"%s\" is no address\n", address);
		return 2;
	}
	while (!over) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to))) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			for (uint64_t n = 0; !over && write(fd, &n, sizeof(n)) == sizeof(n); n++) {
				/* While there is no network it does not get out. */
				sendto(datagrams, &n, sizeof(n), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
				usleep(ms * 1000);
			}
		}
		close(fd);
		usleep(200000);
	}
	return 0;
}

static int follow(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0), one = 1, fd;
	int64_t last, longest = 0, told;
	uint64_t n, expect, beats = 0, lost = 0;
	struct pollfd from[2] = { { .events = POLLIN }, { .fd = datagrams, .events = POLLIN } };

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1) ||
	    datagrams < 0 || bind(datagrams, (struct sockaddr *)&at, sizeof(at))) {
		perror("probe: listen");
		return 1;
	}
	fd = accept(s, NULL, NULL);
	if (fd < 0 || recv(fd, &n, sizeof(n), MSG_WAITALL) != sizeof(n)) {
		perror("probe: no beat came");
		return 1;
	}
	printf("connected\n");
	fflush(stdout);
	from[0].fd = fd;
	expect = n + 1;
	last = told = now_ns();
	while (!over && poll(from, 2, -1) > 0) {
		int64_t now = now_ns();

		if (now - last > longest)
			longest = now - last;
		last = now;
		if (from[1].revents)
			recv(datagrams, &n, sizeof(n), MSG_DONTWAIT);
		if (!from[0].revents)
			continue;
		if (recv(fd, &n, sizeof(n), MSG_WAITALL) != sizeof(n))
			break;
		lost += n != expect;
		expect = n + 1;
		beats++;
		if (now - told >= 1000000000) {
			printf("beats %lu\n", (unsigned long)beats);
			fflush(stdout);
			told = now;
		}
	}
	printf("{\"beats\":%lu,\"lost\":%lu,\"longest_ms\":%.3f,\"broke\":%s}\n", (unsigned long)beats, (unsigned long)lost,
	       longest / 1e6, over ? "false" : "true");
	return 0;
}

static int dirty(unsigned long mib, long ms)
{
	size_t pages = mib << 8, portion = (pages + PAUSES - 1) / PAUSES, i = 0;
	int64_t at = now_ns();
	uint8_t *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED) {
		perror("probe: memory");
		return 1;
	}
	/* What the guest VM is measured by goes first. */
	setpriority(PRIO_PROCESS, 0, 19);
	while (!over) {
		for (size_t n = 0; n < portion; n++, i = i + 1 < pages ? i + 1 : 0)
			++*(volatile uint64_t *)(mem + i * PAGE);
		if (!ms)
			continue;
		/* What it missed while it stood still is not made up for. */
		at += ms * 1000000 / PAUSES;
		if (at < now_ns())
			at = now_ns();
		sleep_until(at);
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t as_us(int64_t ns)
{
	return ns / 1000 < UINT32_MAX ? ns / 1000 : UINT32_MAX;
}

static int stalls(long us)
{
	uint32_t *late = mmap(NULL, TICKS_MAX * sizeof(*late), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct timespec up;
	int64_t at;
	size_t n;

	if (late == MAP_FAILED) {
		perror("probe: memory");
		return 1;
	}
	clock_gettime(CLOCK_BOOTTIME, &up);	/* what /proc/uptime has: a window in the ticks is told by that */
	at = now_ns();
	printf("{\"uptime_us\":%lld,\"us\":%ld}\n", up.tv_sec * 1000000LL + up.tv_nsec / 1000, us);
	fflush(stdout);
	for (n = 0; n < TICKS_MAX; n++) {
		int64_t by;

		at += us * 1000;
		/* Those that are due by the time of the signal are still counted. */
		if (over && at > now_ns())
			break;
		sleep_until(at);
		by = now_ns() - at;
		if (by < 0)
			break;	/* the signal has ended the sleep */
		late[n] = as_us(by);
	}
	if (fwrite(late, sizeof(*late), n, stdout) != n || fflush(stdout)) {
		perror("probe: the ticks cannot be written");
		return 1;
	}
	return 0;
}

static int speed(unsigned long mib, long ms, long passes)
{
	size_t words = mib << 17;
	uint64_t *mem = mmap(NULL, words * sizeof(*mem), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint32_t *took = calloc(passes, sizeof(*took));
	int64_t at = now_ns();

	if (mem == MAP_FAILED || !took) {
		perror("probe: memory");
		return 1;
	}
	for (long i = 0; i < passes; i++) {
		int64_t began;

		sleep_until(at);
		if (over) {
			fprintf(stderr, "probe: it was ended after %ld passes of %ld\n", i, passes);
			return 1;
		}
		began = now_ns();
		for (size_t w = 0; w < words; w++)
			*(volatile uint64_t *)(mem + w);
		took[i] = as_us(now_ns() - began);
		at += ms * 1000000;
	}
	qsort(took, passes, sizeof(*took), by_size);
	printf("{\"passes\":%ld,\"p50_us\":%u,\"most_us\":%u}\n", passes, took[passes / 2], took[passes - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };	/* no SA_RESTART: what waits, returns */

	sigaction(SIGTERM, &term, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 5 && !strcmp(argv[1], "beat") && atol(argv[4]) > 0)
		return beat(argv[2], atoi(argv[3]), atol(argv[4]));
	if (argc == 3 && !strcmp(argv[1], "follow"))
		return follow(atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "dirty") && atol(argv[2]) > 0 && *argv[3] >= '0' && *argv[3] <= '9')
		return dirty(atol(argv[2]), atol(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "stalls") && atol(argv[2]) > 0)
		return stalls(atol(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "speed") && atol(argv[2]) > 0 && atol(argv[3]) > 0 && atol(argv[4]) > 0)
		return speed(atol(argv[2]), atol(argv[3]), atol(argv[4]));
	fprintf(stderr, "usage: probe beat ADDRESS PORT MS | follow PORT | dirty MIB MS | stalls US | speed MIB MS PASSES\n");
	return 2;
}
