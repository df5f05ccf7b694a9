/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rings and event channels that a frontend shares with its backend, as the frontend's keys in xenstore name them. For
 * children: what goes wrong is told on stderr.
 */
#ifndef VMBEAM_AGENT_RINGS_H
#define VMBEAM_AGENT_RINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "sysfs.h"

#define STATE_CONNECTED	4
#define STATE_CLOSED	"6"

struct tools {
	struct xs_handle *xs;
	xengnttab_handle *gnttab;
	xenevtchn_handle *evtchn;
};

int tools_open(struct tools *t);
void tools_close(struct tools *t);

int64_t backend_state(struct tools *t, const struct device *d);
/* Does the guest VM's kernel use the device, and does nobody detach it? Only then its backend connects. */
bool frontend_waits(struct tools *t, const struct device *d);
/* Waits until the backend has let go of the frontend's event channels, and rings each if @ring. */
int ports_free(struct tools *t, const struct device *d, bool ring);
/* Waits until no request of the frontend is unanswered. */
int drain(struct tools *t, const struct device *d);

#endif
