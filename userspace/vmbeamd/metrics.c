// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* A label's value between its quotes. */
static void label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '"' || *value == '\\')
			fprintf(f, "\\%c", *value);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

static void counters(FILE *f, const struct tally *t)
{
	family(f, "vmbeam_migrations", "counter", "Migrations that are over, by outcome.");
	for (int i = 0; i < TALLY_OUTCOMES; i++)
		fprintf(f, "vmbeam_migrations_total{outcome=\"%s\"} %" PRIu64 "\n", tally_outcomes[i], t->migrations[i]);
	family(f, "vmbeam_maintenances", "counter", "Evacuations, returns and maintenances that are over, by outcome.");
	for (int i = 0; i < TALLY_WHATS; i++)
		for (int k = 0; k < TALLY_OUTCOMES; k++)
			fprintf(f, "vmbeam_maintenances_total{what=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", tally_whats[i],
				tally_outcomes[k], t->maintenances[i][k]);
	family(f, "vmbeam_frames", "counter", "Frames of guest VMs that moved, by how they did.");
	for (int i = 0; i < TALLY_KINDS; i++)
		fprintf(f, "vmbeam_frames_total{kind=\"%s\"} %" PRIu64 "\n", tally_kinds[i], t->frames[i]);
}

static void pauses(FILE *f, const struct tally *t)
{
	uint64_t so_far = 0;

	family(f, "vmbeam_pause_seconds", "histogram", "How long guest VMs that moved stood still.");
	fputs("# UNIT vmbeam_pause_seconds seconds\n", f);
	for (int i = 0; i < TALLY_BUCKETS; i++) {
		so_far += t->pauses[i];
		fprintf(f, "vmbeam_pause_seconds_bucket{le=\"%.17g\"} %" PRIu64 "\n", tally_bounds[i], so_far);
	}
	so_far += t->pauses[TALLY_BUCKETS];
	fprintf(f, "vmbeam_pause_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", so_far);
	fprintf(f, "vmbeam_pause_seconds_count %" PRIu64 "\nvmbeam_pause_seconds_sum %.6f\n", so_far, t->pauses_s);
}

static void flag(FILE *f, const char *name, const char *help, bool value)
{
	family(f, name, "gauge", help);
	fprintf(f, "%s %d\n", name, value);
}

static void sample(FILE *f, const char *name, const char *hostvm, int64_t value)
{
	fprintf(f, "%s{", name);
	label(f, "hostvm", hostvm);
	fprintf(f, "} %" PRId64 "\n", value);
}

static void agents(FILE *f, const struct metrics_now *now)
{
	family(f, "vmbeam_agent_up", "gauge", "Whether the host VM's agent answered when it was last asked.");
	for (size_t i = 0; i < now->nr_agents; i++)
		sample(f, "vmbeam_agent_up", now->agents[i].hostvm, now->agents[i].up);
	family(f, "vmbeam_agent_answered_timestamp_seconds", "gauge", "When the host VM's agent last answered.");
	fputs("# UNIT vmbeam_agent_answered_timestamp_seconds seconds\n", f);
	for (size_t i = 0; i < now->nr_agents; i++)
		if (now->agents[i].answered)
			sample(f, "vmbeam_agent_answered_timestamp_seconds", now->agents[i].hostvm, now->agents[i].answered);
	family(f, "vmbeam_guests_away", "gauge", "Guest VMs that were evacuated from the host VM and are not back.");
	for (size_t i = 0; i < now->nr_agents; i++)
		sample(f, "vmbeam_guests_away", now->agents[i].hostvm, now->agents[i].away);
	family(f, "vmbeam_guests_doubled", "gauge", "Guest VMs that run on the host VM although they left it, and may run elsewhere, too: both would write to their disks.");
	for (size_t i = 0; i < now->nr_agents; i++)
		sample(f, "vmbeam_guests_doubled", now->agents[i].hostvm, now->agents[i].doubled);
	/* Not of the type "info": node_exporter takes the older text format, which has none. */
	family(f, "vmbeam_agent_version", "gauge", "Versions of the host VM's agent and of its nested Xen; always 1.");
	for (size_t i = 0; i < now->nr_agents; i++) {
		if (!now->agents[i].version || !now->agents[i].xen)
			continue;
		fputs("vmbeam_agent_version{", f);
		label(f, "hostvm", now->agents[i].hostvm);
		fputc(',', f);
		label(f, "version", now->agents[i].version);
		fputc(',', f);
		label(f, "xen", now->agents[i].xen);
		fputs("} 1\n", f);
	}
}

int metrics_print(FILE *f, const struct tally *counted, const struct metrics_now *now)
{
	counters(f, counted);
	pauses(f, counted);
	flag(f, "vmbeam_migrating", "Whether a migration is under way.", now->migrating);
	flag(f, "vmbeam_maintaining", "Whether an evacuation, a return or a maintenance is under way.", now->maintaining);
	flag(f, "vmbeam_stuck", "Whether a migration is stuck: neither side has all of its guest VM.", now->stuck);
	flag(f, "vmbeam_waiting", "Whether something waits for an operator.", now->waiting);
	agents(f, now);
	family(f, "vmbeam_version", "gauge", "The version of vmbeamd; always 1.");
	fputs("vmbeam_version{", f);
	label(f, "version", VMBEAM_VERSION);
	fputs("} 1\n# EOF\n", f);
	return ferror(f) ? -EIO : 0;
}

int metrics_write(const char *path, const struct tally *counted, const struct metrics_now *now)
{
	char *temp;
	FILE *f;
	int rc;

	/* The collector reads what ends in .prom, which this does not. */
	if (asprintf(&temp, "%s.new", path) < 0)
		return -ENOMEM;
	f = fopen(temp, "we");
	if (!f) {
		rc = -errno;
		free(temp);
		return rc;
	}
	rc = metrics_print(f, counted, now);
	/* The collector is not root. */
	if (!rc && fchmod(fileno(f), 0644))
		rc = -errno;
	if (fclose(f) && !rc)
		rc = -errno;
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc)
		unlink(temp);
	free(temp);
	return rc;
}
