// SPDX-License-Identifier: GPL-2.0
/* The line to vmbeamd. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "js.h"
#include "reader.h"

/* Where vmbeamd listens: as in its configuration. Whether the rest of that makes sense is not for the command to say. */
static char *socket_path(void)
{
	const char *file = getenv("VMBEAM_CONFIG"), *path = getenv("VMBEAM_SOCKET");
	struct json_object *config;
	char *copy;

	if (path)
		return strdup(path);
	config = json_object_from_file(file ? file : CLI_CONFIG);
	copy = strdup(js_str(config, "control", CLI_SOCKET));
	json_object_put(config);
	return copy;
}

int client_open(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char *path = socket_path();
	int fd;

	if (!path || strlen(path) >= sizeof(addr.sun_path)) {
		cli_say(stderr, "vmbeam: %s: too long for a socket\n", path ? path : "the path");
		free(path);
		return -1;
	}
	strcpy(addr.sun_path, path);
	free(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		cli_say(stderr, "vmbeam: vmbeamd cannot be reached at %s: %s\n", addr.sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

bool client_send(int fd, struct json_object *request)
{
	char *line = NULL;
	int len = asprintf(&line, "%s\n", json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN));
	bool sent = len > 0 && send(fd, line, len, MSG_NOSIGNAL) == len;

	if (len > 0)
		free(line);
	json_object_put(request);
	return sent;
}

int client_gone(void)
{
	fputs("vmbeam: vmbeamd went away before it answered. What it had begun is finished when it is back: see vmbeam status\n",
	      stderr);
	return CLI_NO_DAEMON;
}

int cli_ask(struct json_object *request, void (*progress)(struct json_object *line, void *arg), void *arg,
	    struct json_object **result)
{
	struct reader r = { .fd = client_open() };
	char *line;

	*result = NULL;
	if (r.fd < 0) {
		json_object_put(request);
		return CLI_NO_DAEMON;
	}
	if (client_send(r.fd, request))
		while (!*result && reader_fill(&r))
			while (!*result && (line = reader_line(&r))) {
				struct json_object *json = json_tokener_parse(line);

				if (json_object_object_get_ex(json, "result", result))
					*result = json_object_get(*result);
				else if (progress && json)
					progress(json, arg);
				json_object_put(json);
			}
	reader_clear(&r);
	close(r.fd);
	return *result ? 0 : client_gone();
}

int cli_outcome(struct json_object *result)
{
	const char *outcome = js_str(result, "outcome", "");

	if (!strcmp(outcome, "ok") || !strcmp(outcome, "done"))
		return CLI_OK;
	if (!strcmp(outcome, "refused"))
		return CLI_REFUSED;
	if (!strcmp(outcome, "rolled-back"))
		return CLI_ROLLED_BACK;
	if (!strcmp(outcome, "aborted"))
		return CLI_ROLLED_BACK;
	return !strcmp(outcome, "misuse") ? CLI_MISUSE : CLI_STUCK;
}

int cli_do(struct json_object *request, bool json, const char *done)
{
	struct json_object *result;
	int rc = cli_ask(request, NULL, NULL, &result);

	if (rc)
		return rc;
	rc = cli_outcome(result);
	if (json)
		cli_print(result);
	else if (rc)
		cli_say(stderr, "vmbeam: %s\n", js_str(result, "error", "failed"));
	else
		cli_say(stdout, "%s\n", done);
	json_object_put(result);
	return rc;
}
