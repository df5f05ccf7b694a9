// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "options.h"
#include "text.h"

#define MAX_RETRIES 10

/* Which command takes it. */
enum { EVACUATE = 1, RETURN = 2, MAINTAIN = 4, ALL = 7 };

enum option_kind { FLAG, TEXT, WORD, PATTERN, NUMBER, FILE_NAME, ITSELF };

/* What each option is called on the command line and in the request, and who takes it. */
static const struct {
	const char *name, *key;
	enum option_kind kind;
	int commands;
} known[] = {
	{ "to", "to", TEXT, EVACUATE },
	{ "from", "from", TEXT, RETURN },
	{ "via", "to", TEXT, MAINTAIN },
	{ "only", "only", PATTERN, EVACUATE | RETURN },
	{ "except", "except", PATTERN, EVACUATE | RETURN },
	{ "unmovable", "unmovable", WORD, ALL },
	{ "retries", "retries", NUMBER, ALL },
	{ "dry-run", "dry_run", FLAG, ALL },
	{ "config", "config", FILE_NAME, MAINTAIN },
	{ "run", "run", TEXT, MAINTAIN },
	{ "no-probe", "no_probe", FLAG, MAINTAIN },
	{ "no-return", "no_return", FLAG, MAINTAIN },
	{ "resume", NULL, ITSELF, MAINTAIN },
	{ "abort", NULL, ITSELF, MAINTAIN },
};
#define NR_KNOWN (sizeof(known) / sizeof(known[0]))

static int command_of(const char *name)
{
	return !strcmp(name, "evacuate") ? EVACUATE : !strcmp(name, "return") ? RETURN : MAINTAIN;
}

/* vmbeamd reads it, whose working directory is another. */
static int add_file(struct json_object *request, const char *key, const char *path)
{
	char *here = *path == '/' ? strdup("") : getcwd(NULL, 0), *whole;
	int rc = -1;

	if (access(path, R_OK))
		rc = cli_misuse("%s cannot be read: %m", path);
	else if (!here || asprintf(&whole, "%s%s%s", here, *here ? "/" : "", path) < 0)
		rc = cli_misuse("%s: there is no working directory that it could lie in", path);
	if (rc < 0) {
		js_add_str(request, key, whole);
		free(whole);
	}
	free(here);
	return rc;
}

static void add_pattern(struct json_object *request, const char *key, const char *pattern)
{
	struct json_object *list = js_array(request, key);
	char *form = text_is_utf8(pattern, strlen(pattern)) ? NULL : text_name(pattern);

	if (!list) {
		list = json_object_new_array();
		json_object_object_add(request, key, list);
	}
	json_object_array_add(list, json_object_new_string(form ?: pattern));
	free(form);
}

/* -1; or an exit code. */
static int add(struct maintain_options *o, size_t i, const char *value)
{
	const char *key = known[i].key;
	uint64_t n;

	switch (known[i].kind) {
	case FLAG:
		js_add_bool(o->request, key, true);
		o->dry_run |= !strcmp(key, "dry_run");
		return -1;
	case WORD:
		js_add_str(o->request, key, value);
		return strcmp(value, "refuse") && strcmp(value, "leave") && strcmp(value, "shutdown") ?
		       cli_misuse("--unmovable takes refuse, leave or shutdown, not \"%s\"", value) : -1;
	case PATTERN:
		add_pattern(o->request, key, value);
		return -1;
	case NUMBER:
		if (!cli_number(value, MAX_RETRIES, &n))
			return cli_misuse("--retries takes 0 to %d, not \"%s\"", MAX_RETRIES, value);
		js_add_u64(o->request, key, n);
		return -1;
	case FILE_NAME:
		return add_file(o->request, key, value);
	case ITSELF:
		js_add_str(o->request, "cmd", known[i].name);
		o->abort = !strcmp(known[i].name, "abort");
		return -1;
	case TEXT:
		break;
	}
	js_add_str(o->request, key, value);
	return *value ? -1 : cli_misuse("--%s takes something that is not empty", known[i].name);
}

/* The host VMs: where the guest VMs are, or, of a return, where they are to come home to. */
static int add_hostvm(struct maintain_options *o, int command, int argc, char **argv, size_t given)
{
	const char *other = command == EVACUATE ? "--to" : "--via";

	if (strcmp(js_str(o->request, "cmd", ""), argv[0])) {
		if (optind != argc || given > 1)
			return cli_misuse("--%s goes with nothing but --json", js_str(o->request, "cmd", ""));
		return -1;
	}
	if (argc - optind != 1 || !*argv[optind])
		return cli_misuse("%s takes the name of one host VM", argv[0]);
	js_add_str(o->request, command == RETURN ? "to" : "from", argv[optind]);
	if (command != RETURN && !js_str(o->request, "to", NULL))
		return cli_misuse("%s needs %s HOSTVM, where the guest VMs go", argv[0], other);
	return -1;
}

int maintain_parse(int argc, char **argv, const char *help, struct maintain_options *o)
{
	struct option options[NR_KNOWN + 3] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' } };
	int command = command_of(argv[0]), opt, rc = -1;
	size_t given = 0;

	memset(o, 0, sizeof(*o));
	for (size_t i = 0, k = 2; i < NR_KNOWN; i++)
		if (known[i].commands & command)
			options[k++] = (struct option){ known[i].name, known[i].kind == FLAG || known[i].kind == ITSELF ?
							no_argument : required_argument, NULL, 256 + (int)i };
	o->request = json_object_new_object();
	js_add_str(o->request, "cmd", argv[0]);
	while (rc < 0 && (opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (opt == 'j') {
			o->json = true;
		} else if (opt == 'h') {
			fputs(help, stdout);
			rc = CLI_OK;
		} else if (opt < 256) {
			rc = CLI_MISUSE;
		} else {
			given++;
			rc = add(o, opt - 256, optarg);
		}
	}
	if (rc < 0)
		rc = add_hostvm(o, command, argc, argv, given);
	if (rc >= 0) {
		json_object_put(o->request);
		o->request = NULL;
	}
	return rc;
}
