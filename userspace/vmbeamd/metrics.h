/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Metrics for a monitoring system: an OpenMetrics text file in the directory of node_exporter's textfile collector.
 * Counters come from the history, gauges from what the daemon knows at this moment. It is written anew whenever one of
 * them changes, and takes the place of the one before by rename: nobody reads a half.
 */
#ifndef VMBEAM_METRICS_H
#define VMBEAM_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tally.h"

/* A host VM, by its agent. */
struct metrics_agent {
	const char *hostvm;
	bool up;		/* it answered when it was last asked */
	int64_t answered;	/* when that was, in seconds since 1970; 0: never */
	const char *version;	/* of the agent; NULL: not known */
	const char *xen;	/* of the nested Xen; NULL: not known */
	unsigned int away;	/* guest VMs that were evacuated from here and are not back */
	unsigned int doubled;	/* those that somebody has started here all the same, and that may be elsewhere, too */
};

struct metrics_now {
	bool migrating;		/* a migration is under way */
	bool maintaining;	/* an evacuation, a return or a maintenance is */
	bool stuck;		/* of a migration neither side has all of its guest VM */
	bool waiting;		/* something waits for an operator: vmbeam status says what */
	const struct metrics_agent *agents;
	size_t nr_agents;
};

/* 0 or -errno. */
int metrics_print(FILE *f, const struct tally *counted, const struct metrics_now *now);
/* The same into the file @path. */
int metrics_write(const char *path, const struct tally *counted, const struct metrics_now *now);

#endif
