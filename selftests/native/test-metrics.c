// SPDX-License-Identifier: GPL-2.0
/* The metrics file: what is in it, and that nobody reads a half. test_metrics.py lets a parser of others read it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "kselftest_harness.h"

static const struct metrics_agent agents[] = {
	{ .hostvm = "hv1", .up = true, .answered = 1764000000, .version = "0.1", .xen = "4.20.1",
	  .away = 2, .doubled = 1 },
	{ .hostvm = "a \"quoted\" \\ malm\xc3\xa9", .up = false },
};
static const struct metrics_now now = { .stuck = true, .waiting = true, .agents = agents, .nr_agents = 2 };

static struct tally some(void)
{
	struct tally t = { .pauses_s = 1.75 };

	t.migrations[TALLY_DONE] = 3;
	t.migrations[TALLY_LOST] = 1;
	t.maintenances[TALLY_MAINTAIN][TALLY_DONE] = 1;
	t.frames[TALLY_SWAPPED] = 98765432109ULL;
	t.pauses[0] = 1;
	t.pauses[5] = 1;
	t.pauses[TALLY_BUCKETS] = 1;
	return t;
}

TEST(what_is_in_it)
{
	static const char *const lines[] = {
		"vmbeam_migrations_total{outcome=\"done\"} 3\n",
		"vmbeam_maintenances_total{what=\"maintain\",outcome=\"done\"} 1\n",
		"vmbeam_frames_total{kind=\"swapped\"} 98765432109\n",
		"vmbeam_pause_seconds_bucket{le=\"0.25\"} 1\nvmbeam_pause_seconds_bucket{le=\"0.5\"} 2\n",
		"vmbeam_pause_seconds_bucket{le=\"120\"} 2\nvmbeam_pause_seconds_bucket{le=\"+Inf\"} 3\n",
		"vmbeam_pause_seconds_count 3\nvmbeam_pause_seconds_sum 1.750000\n",
		"vmbeam_stuck 1\n", "vmbeam_migrating 0\n",
		"vmbeam_agent_up{hostvm=\"a \\\"quoted\\\" \\\\ malm\xc3\xa9\"} 0\n",
		"vmbeam_guests_away{hostvm=\"hv1\"} 2\n",
		"vmbeam_guests_doubled{hostvm=\"hv1\"} 1\n",
		"vmbeam_agent_version{hostvm=\"hv1\",version=\"0.1\",xen=\"4.20.1\"} 1\n",
	};
	struct tally t = some();
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ASSERT_EQ(0, metrics_print(f, &t, &now));
	fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		EXPECT_NE(NULL, strstr(text, lines[i]))
			TH_LOG("%s", lines[i]);
	}
	/* An agent that never answered has no time. */
	EXPECT_EQ(NULL, strstr(text, "timestamp_seconds{hostvm=\"a"));
	EXPECT_STREQ("# EOF\n", text + len - 6);
	free(text);
}

/* With a file's name, for the parser; else in a directory of its own. */
TEST(written_at_once)
{
	char dir[] = "/tmp/vmbeam-metrics-XXXXXX", path[64], temp[80], buf[16] = "";
	const char *given = getenv("METRICS_FILE");
	struct rlimit old, full;
	struct tally t = some();
	struct stat st;
	int fd;

	if (given) {
		ASSERT_EQ(0, metrics_write(given, &t, &now));
		return;
	}
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vmbeam.prom", dir);
	snprintf(temp, sizeof(temp), "%s.new", path);
	ASSERT_EQ(0, metrics_write(path, &t, &now));
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0644, st.st_mode & 0777);
	EXPECT_NE(0, access(temp, F_OK));

	/* A reader that has it open goes on with the old one, and a full disk leaves that. */
	fd = open(path, O_RDONLY);
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	full = old;
	full.rlim_cur = 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &full));
	EXPECT_GT(0, metrics_write(path, &t, &now));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	EXPECT_NE(0, access(temp, F_OK));
	EXPECT_EQ(6, pread(fd, buf, 6, st.st_size - 6));
	EXPECT_STREQ("# EOF\n", buf);
	ASSERT_EQ(0, metrics_write(path, &t, &now));
	EXPECT_EQ(6, pread(fd, buf, 6, st.st_size - 6));
	EXPECT_STREQ("# EOF\n", buf);
	close(fd);
	unlink(path);
	rmdir(dir);
}

TEST_HARNESS_MAIN
