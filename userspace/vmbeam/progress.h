/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is shown of a migration, an evacuation, a return or a maintenance while it is under way, made from the daemon's
 * events (docs/protocol.md). On a terminal a block of lines that is drawn again and again; elsewhere a line for each
 * thing that happens, without escape sequences. Pure: time and width are told.
 */
#ifndef VMBEAM_PROGRESS_H
#define VMBEAM_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>

enum progress_state { PROGRESS_WAITING, PROGRESS_MOVING, PROGRESS_DONE, PROGRESS_FAILED };

struct progress_guest {
	char *name, *uuid;
	enum progress_state state;
	char phase[24];
	uint64_t done, total;		/* inside the phase; total 0: not known */
	char unit[8];			/* "frames" or "bytes" */
	int64_t phase_began_ms;
	uint64_t need_kib;		/* its part in the whole */
	double pause_ms;		/* < 0: not known */
	char *error;
};

struct progress {
	struct progress_guest *guests;
	size_t nr;
	char step[24];			/* of a maintenance; "": none */
	char *waiting;			/* what for; NULL: for nobody */
	bool comes_back;		/* a maintenance: each guest VM moves twice */
	int64_t began_ms;		/* of the step; 0: not yet */
	size_t drawn;			/* lines of the block that is on the terminal */
};

/* Takes an event in. One that is of no known shape changes nothing. */
void progress_event(struct progress *p, struct json_object *event, int64_t now_ms);
/*
 * The block, over the one that was drawn before. @width, @height: of the terminal. If there is no room for all, the guest
 * VMs that are moving or have failed are shown, and the total.
 */
void progress_draw(struct progress *p, FILE *f, size_t width, size_t height, int64_t now_ms);
/* The same event for where there is no terminal: a line, or nothing if it says no more than the one before. */
void progress_say(FILE *f, struct json_object *event);
/* Of the whole, 0 to 1. */
double progress_part(const struct progress *p);
void progress_clear(struct progress *p);

#endif
