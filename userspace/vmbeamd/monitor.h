/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What people and monitoring systems are told: what is over goes into the history, and the metrics are written whenever
 * something in them changes. From any thread. The history's disk is waited for, so not by the main thread; the metrics
 * are written by its loop.
 */
#ifndef VMBEAM_MONITOR_H
#define VMBEAM_MONITOR_H

#include <systemd/sd-event.h>

#include "config.h"

/* Before all else here. Counts what is in the history, and writes the first metrics. */
int monitor_open(sd_event *event, const struct config *config, struct error *err);
/* Writes what has not been written: the loop has ended. */
void monitor_close(void);

/*
 * A migration or a maintenance is over; its record is consumed. That it cannot be written is a warning, and it is counted
 * all the same.
 */
void monitor_over(struct json_object *record);
/* Is the migration or maintenance @id in the history? False, too, when that cannot be read. */
bool monitor_has(const char *id);

/* How the migration is that is under way. @waiting: for longer than the limit "finish", or for ever. */
void monitor_migration(bool is, bool waiting, bool stuck);
void monitor_maintenance(bool is, bool waiting);
/* A host VM's agent has answered hello, or, when @hello is NULL, has not answered something. */
void monitor_agent(const char *hostvm, struct json_object *hello);
/* How many guest VMs were evacuated from there and are not back. */
void monitor_away(const char *hostvm, unsigned int guests);
/* How many of these are there all the same, and elsewhere, too, or nobody knows. */
void monitor_doubled(const char *hostvm, unsigned int guests);

#endif
