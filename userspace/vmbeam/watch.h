/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A request that takes long: shows how it goes, and asks the daemon to call it off on Ctrl-C. The second Ctrl-C leaves it
 * to the daemon.
 */
#ifndef VMBEAM_WATCH_H
#define VMBEAM_WATCH_H

#include <stdbool.h>
#include <json-c/json.h>

struct watch_what {
	const char *undo;	/* the request that calls it off: "cancel" or "abort" */
	const char *id;		/* what its id is called, in events and in that request: "migration" or "maintenance" */
	const char *guest;	/* of a migration: as it was asked for; NULL */
	bool quiet;		/* neither progress nor events: only what Ctrl-C does is told */
	bool *interrupted;	/* set when Ctrl-C was typed: what is under way may be done all the same; NULL */
};

/*
 * Sends @request to the daemon (consumed). Events are shown on stdout, or with @json written to stderr, or not at all.
 * 0 with *@result, or an exit code, the reason told on stderr.
 */
int watch_ask(struct json_object *request, const struct watch_what *what, bool json, struct json_object **result);

#endif
