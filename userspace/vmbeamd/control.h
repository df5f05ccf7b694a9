/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CLI's socket: JSON lines. A request is {"cmd":"check"|"migrate"|"status"|"forget",...}; then come {"phase":...} lines, for
 * whoever asked for the migration, and at the end one {"result":{...}}. A client that goes away changes nothing.
 */
#ifndef VMBEAM_CONTROL_H
#define VMBEAM_CONTROL_H

#include "migration.h"

/* What the CLI wants done; taken by the main loop, one at a time. */
struct control_request {
	bool pending;
	bool check_only;
	char *guest;	/* a name, a UUID, or #DOMID */
	const struct config_hostvm *from, *to;
};

extern struct control_request control_request;
/* The migration under way, or NULL; and the last one's report, or NULL. */
extern const struct migration *control_current;
/* Nothing of it is under way but its end, which waits, perhaps for ever: it may be forgotten. */
extern bool control_waiting;
/* That was asked for. Whoever works on the end sees to it, and answers. */
extern bool control_forget;
extern struct json_object *control_last;

int control_open(const struct config *config, struct error *err);
/* Serves the socket for at most @timeout_ms. */
void control_poll(int timeout_ms);
/* The answer to control_request, which is then free for the next. @result is consumed. */
void control_result(struct json_object *result);
/* The answer to control_forget: it is forgotten, or, with a text, why it cannot be. */
void control_forgotten(const char *why_not);

#endif
