/* SPDX-License-Identifier: GPL-2.0 */
/* A table of tests, each run with many seeds; TAP on stdout. */
#ifndef _TEST_TAP_H
#define _TEST_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned int seed;

#define CHECK(what) do {								\
	if (!(what)) {									\
		printf("# seed %u, line %d: %s\n", seed, __LINE__, #what);		\
		return false;								\
	}										\
} while (0)

struct test {
	const char *name;
	bool (*run)(void);
};

#define TEST(name) { #name, name }

/* -r NAME: that one alone, with a last line like kselftest's harness. @after: what holds after each, or NULL */
static inline int tap_run(const struct test *tests, size_t nr_tests, unsigned int rounds, bool (*after)(void),
			  int argc, char **argv)
{
	const char *only = argc == 3 && !strcmp(argv[1], "-r") ? argv[2] : NULL;
	int failed = 0, nr = 0;

	printf("TAP version 13\n");
	for (size_t i = 0; i < nr_tests; i++) {
		bool good = true;

		if (only && strcmp(only, tests[i].name))
			continue;
		for (seed = 0; good && seed < rounds; seed++)
			good = tests[i].run() && (!after || after());
		failed += !good;
		printf("%sok %d %s\n", good ? "" : "not ", ++nr, tests[i].name);
		fflush(stdout);
	}
	printf("1..%d\n# %sED: %d / %d tests passed\n", nr, failed ? "FAIL" : "PASS", nr - failed, nr);
	return failed || !nr;
}

#endif /* _TEST_TAP_H */
