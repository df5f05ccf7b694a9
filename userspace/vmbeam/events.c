// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "js.h"
#include "reader.h"

static const char help[] =
	"usage: vmbeam events [--json]\n\n"
	"What happens, as it happens: a JSON object on a line for each plan, step, phase, outcome,\n"
	"hook (it begins, or has ended), and whatever waits for an operator. Goes on until it is interrupted; exits with 5\n"
	"when vmbeamd goes away.\n";

int cli_events(int argc, char **argv)
{
	struct json_object *request, *result = NULL;
	struct reader r = { 0 };
	char *line;
	bool json;
	int rc = cli_options(argc, argv, help, &json);

	if (rc >= 0)
		return rc;
	if (optind != argc)
		return cli_misuse("events takes no argument");
	r.fd = client_open();
	if (r.fd < 0)
		return CLI_NO_DAEMON;
	request = json_object_new_object();
	js_add_str(request, "cmd", "events");
	rc = CLI_NO_DAEMON;
	if (client_send(r.fd, request))
		while (!result && reader_fill(&r))
			while (!result && (line = reader_line(&r))) {
				struct json_object *event = json_tokener_parse(line);

				result = json_object_get(js_get(event, "result", json_type_object));
				if (event && !result)
					cli_print(event);
				json_object_put(event);
			}
	if (result)
		rc = cli_outcome(result);
	cli_say(stderr, "vmbeam: %s\n", result ? js_str(result, "error", "vmbeamd tells no more") : "vmbeamd went away");
	json_object_put(result);
	reader_clear(&r);
	close(r.fd);
	return rc;
}
