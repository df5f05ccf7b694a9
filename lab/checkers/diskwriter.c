// SPDX-License-Identifier: GPL-2.0
/*
 * diskwriter FILE          append records with fsync for ever; /run/diskwriter tells the last one that is safe
 * diskwriter --check FILE  read all from the disk; print "records N errors N"; status 1 on an error
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pace.h"
#include "record.h"

static int check(const char *path)
{
	unsigned long n = 0, errors = 0;
	int fd = open(path, O_RDONLY);
	struct record r;
	ssize_t got;
	FILE *drop;

	if (fd < 0) {
		perror(path);
		return 2;
	}
	/* What the page cache holds proves nothing of the disk, and what is dirty is not dropped. */
	sync();
	drop = fopen("/proc/sys/vm/drop_caches", "w");
	if (!drop || fputs("3\n", drop) < 0 || fclose(drop))
		fprintf(stderr, "diskwriter: the page cache cannot be dropped\n");
	while ((got = read(fd, &r, sizeof(r))) == sizeof(r)) {
		if (r.seq != n || r.sum != record_sum(&r)) {
			fprintf(stderr, "diskwriter: record %lu is wrong (it says %lu)\n", n, (unsigned long)r.seq);
			errors++;
		}
		n++;
	}
	printf("records %lu errors %lu\n", n, errors);
	return errors || got < 0;
}

int main(int argc, char **argv)
{
	struct record r;
	int fd;

	if (argc == 3 && !strcmp(argv[1], "--check"))
		return check(argv[2]);
	if (argc != 2) {
		fprintf(stderr, "usage: diskwriter [--check] FILE\n");
		return 2;
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	for (uint64_t seq = 0;; seq++) {
		long began = now_ms();
		FILE *f;

		record_make(&r, seq);
		if (write(fd, &r, sizeof(r)) != sizeof(r) || fsync(fd)) {
			perror("diskwriter");
			return 1;
		}
		f = fopen("/run/diskwriter.new", "w");
		if (f) {
			fprintf(f, "safe %lu\n", (unsigned long)seq + 1);
			if (!fclose(f))
				rename("/run/diskwriter.new", "/run/diskwriter");
		}
		rest(now_ms() - began, 1000);
	}
}
