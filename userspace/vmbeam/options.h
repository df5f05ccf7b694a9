/* SPDX-License-Identifier: GPL-2.0 */
/* What is asked for by evacuate, return and maintain. */
#ifndef VMBEAM_OPTIONS_H
#define VMBEAM_OPTIONS_H

#include <stdbool.h>
#include <json-c/json.h>

struct maintain_options {
	struct json_object *request;	/* to the daemon; NULL: nothing is to be asked */
	bool json, dry_run;
	bool abort;			/* what is called off is what was wanted */
};

/* By argv[0], the command. -1; or an exit code, and it is over. */
int maintain_parse(int argc, char **argv, const char *help, struct maintain_options *o);

#endif
