/* SPDX-License-Identifier: GPL-2.0 */
/* The line to vmbeamd, for who asks something that takes long: cli_ask() is for the rest. */
#ifndef VMBEAM_CLIENT_H
#define VMBEAM_CLIENT_H

#include <stdbool.h>
#include <json-c/json.h>

/* A socket, or -1: it is told on stderr that the daemon cannot be reached. */
int client_open(void);
/* Consumes @request. false: the daemon has gone. */
bool client_send(int fd, struct json_object *request);
/* That it went away before it answered, on stderr; an exit code. */
int client_gone(void);

#endif
