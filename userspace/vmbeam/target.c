// SPDX-License-Identifier: GPL-2.0
/* The arguments that check, migrate and bench share: HOSTVM/GUEST HOSTVM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "js.h"
#include "target.h"
#include "text.h"

void target_add_guest(struct json_object *request, const char *guest)
{
	char *form = text_is_utf8(guest, strlen(guest)) ? NULL : text_name(guest);

	js_add_str(request, "guest", form ?: guest);
	free(form);
}

int target_take(int argc, char **argv, const char *cmd, struct json_object **request)
{
	char *from, *slash;

	*request = NULL;
	if (argc - optind != 2)
		return cli_misuse("%s takes HOSTVM/GUEST and HOSTVM", argv[0]);
	/* The first: a host VM's name has none, a guest VM's may have. */
	slash = strchr(argv[optind], '/');
	if (!slash || slash == argv[optind] || !slash[1])
		return cli_misuse("\"%s\" is not of the form HOSTVM/GUEST", argv[optind]);
	if (!*argv[optind + 1] || strchr(argv[optind + 1], '/'))
		return cli_misuse("\"%s\" is not the name of a host VM", argv[optind + 1]);
	from = strndup(argv[optind], slash - argv[optind]);
	*request = json_object_new_object();
	js_add_str(*request, "cmd", cmd);
	target_add_guest(*request, slash + 1);
	js_add_str(*request, "from", from);
	js_add_str(*request, "to", argv[optind + 1]);
	free(from);
	return CLI_OK;
}

int target_parse(int argc, char **argv, const char *help, bool *json, struct json_object **request)
{
	int rc = cli_options(argc, argv, help, json);

	*request = NULL;
	return rc >= 0 ? rc : target_take(argc, argv, argv[0], request);
}
