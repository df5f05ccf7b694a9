/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CLI's socket: JSON lines. A request is {"cmd":"check"|"migrate"|"status"|"cancel"|"forget",...}; then come
 * {"phase":...} lines, for whoever asked for the migration, and at the end one {"result":{...}}. A client that goes away
 * changes nothing. All of it is in the main thread, which waits for nobody.
 */
#ifndef VMBEAM_CONTROL_H
#define VMBEAM_CONTROL_H

#include <systemd/sd-event.h>

#include "migration.h"

/*
 * Adds the socket, and what the worker says on @worker_fd, to the event loop. @last: the report of the last migration, or
 * NULL; consumed.
 */
int control_open(sd_event *event, const struct config *config, struct journal *journal, int worker_fd,
		 struct json_object *last, struct error *err);
/* Takes no more migrations; the loop ends when the one under way has come to its end. */
void control_stop(void);

#endif
