// SPDX-License-Identifier: GPL-2.0
/*
 * memcheck MIB: fill memory with patterns and verify them for ever, at a pace: a pass takes PASS_MS, or four times what
 * it costs where that is longer, so that at most a fifth of a CPU goes there. SIGUSR1 makes it look at every page at
 * once: it finishes the pass under way and does another one, both without a rest.
 *
 * Each page holds its own index and a generation, and 510 words made from both, no two the same, so that a page that
 * came from somewhere else, or an older state of itself, or that was cut and shifted, is seen. After each whole pass
 * one page in 16 gets a new generation, so that pages are also being written while the VM moves. State is told in one
 * line, written anew to /run/memcheck after each pass: "passes N pages N errors N pass_ms N".
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pace.h"

#define PAGE 4096
#define WORDS (PAGE / 8)
#define BATCH 4096	/* pages between two rests: few wake-ups, and none long enough to starve others */
#define PASS_MS 20000

static volatile sig_atomic_t hurry;	/* passes that end before the next rest */

static void on_hurry(int sig)
{
	(void)sig;
	hurry = 2;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ (x >> 29);
}

/* The words go up by an odd step: cheap, for an emulated CPU reads them all again and again. */
static uint64_t step(uint64_t page, uint64_t gen)
{
	return mix(page << 20 ^ gen << 44 ^ 1) | 1;
}

static void fill(uint64_t *p, uint64_t page, uint64_t gen)
{
	uint64_t x = mix(page << 20 ^ gen << 44), by = step(page, gen);

	p[0] = page;
	p[1] = gen;
	for (int i = 2; i < WORDS; i++)
		p[i] = x += by;
}

static int verify(const uint64_t *p, uint64_t page, uint64_t gen)
{
	uint64_t x = mix(page << 20 ^ gen << 44), by = step(page, gen);

	if (p[0] != page || p[1] != gen)
		return 1;
	for (int i = 2; i < WORDS; i++)
		if (p[i] != (x += by))
			return 1;
	return 0;
}

static void tell(unsigned long passes, unsigned long pages, unsigned long errors, long pass_ms)
{
	FILE *f = fopen("/run/memcheck.new", "w");

	if (!f)
		return;
	fprintf(f, "passes %lu pages %lu errors %lu pass_ms %ld\n", passes, pages, errors, pass_ms);
	if (!fclose(f))
		rename("/run/memcheck.new", "/run/memcheck");
}

int main(int argc, char **argv)
{
	unsigned long pages = argc == 2 ? strtoul(argv[1], NULL, 0) << 8 : 0, errors = 0;
	uint64_t *gen = calloc(pages ? pages : 1, sizeof(*gen));
	char *mem;

	if (!pages || !gen) {
		fprintf(stderr, "usage: memcheck MIB\n");
		return 1;
	}
	mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED) {
		perror("memcheck: mmap");
		return 1;
	}
	for (unsigned long i = 0; i < pages; i++)
		fill((uint64_t *)(mem + i * PAGE), i, 0);
	signal(SIGUSR1, on_hurry);
	for (unsigned long pass = 1;; pass++) {
		long began = now_ms(), batch = began;

		for (unsigned long i = 0; i < pages; i++) {
			uint64_t *p = (uint64_t *)(mem + i * PAGE);

			if (i % BATCH == BATCH - 1 || i + 1 == pages) {
				if (!hurry)
					rest(now_ms() - batch, PASS_MS * BATCH / (long)pages);
				batch = now_ms();
			}
			if (verify(p, i, gen[i])) {
				errors++;
				fprintf(stderr, "memcheck: page %lu is wrong in pass %lu\n", i, pass);
				fill(p, i, gen[i]);
			} else if (i % 16 == pass % 16) {
				fill(p, i, ++gen[i]);
			}
		}
		if (hurry)
			hurry--;
		tell(pass, pages, errors, now_ms() - began);
	}
}
