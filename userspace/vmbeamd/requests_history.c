// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "requests_history.h"

static int print_record(struct json_object *json, void *arg)
{
	FILE *f = arg;

	fprintf(f, "{\"record\":%s}\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	return 0;
}

void request_history(struct client *c, struct json_object *json, const char *path)
{
	struct history_filter filter;
	struct error err;
	char *text = NULL;
	size_t len;
	FILE *f;
	int rc;

	if (history_filter_parse(&filter, json, &err)) {
		control_refuse(c, "misuse", "%s", err.text);
		return;
	}
	/* In one piece: more than a client may leave unread, and it asked for all of that. */
	f = open_memstream(&text, &len);
	rc = f ? history_read(path, &filter, print_record, f) : -ENOMEM;
	if (f)
		fputs("{\"result\":{\"outcome\":\"ok\"}}\n", f);
	if (f && fclose(f) && !rc)
		rc = -ENOMEM;
	if (rc)
		control_refuse(c, "refused", "the history %s cannot be read: %s", path, strerror(-rc));
	else
		control_send(c, "%s", text);
	free(text);
}
