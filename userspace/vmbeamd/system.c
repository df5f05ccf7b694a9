// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "system.h"

#define LOOK_US		500000

static int xl(const char *command, const char *arg, const char *more, struct error *err)
{
	/* What xl create leaves behind, the device model above all, must not end with this daemon's unit. */
	char *const argv[] = { "systemd-run", "--scope", "--quiet", "--collect",
			       "xl", (char *)command, (char *)arg, (char *)more, NULL };

	return child_run(sd_booted() > 0 ? argv : argv + 4, limit_s(LIMIT_XL), err);
}

static bool is_down(enum hostvm_state state)
{
	return state == HOSTVM_ENDED || state == HOSTVM_NONE;
}

/* Until nothing runs in it; or, if @whole, until there is no domain of that name. */
static int wait_down(const struct agent *a, const char *name, bool whole, int limit, struct error *err)
{
	int64_t until = clock_ms() + limit * 1000LL;

	for (;;) {
		uint32_t domid;
		enum hostvm_state state = hostvm_state(name, &domid);

		if (state == HOSTVM_NONE || (!whole && state == HOSTVM_ENDED))
			return 0;
		if (a && patience_over(a->patience, err))
			return -1;
		if (clock_ms() > until)
			return error_set(err, "%s is still there after %d s", name, limit);
		usleep(LOOK_US);
	}
}

/* 1: it does not want to, since a guest VM runs there, or does not know whether one does. */
static int tell_to_stop(const char *name, struct agent *a, struct error *err)
{
	struct error no_agent = { 0 };

	if (!agent_connect(a, limit_s(LIMIT_CHECK_CONNECT), &no_agent) &&
	    !agent_call(a, "power-off", NULL, limit_s(LIMIT_SHORT), NULL, &no_agent))
		return 0;
	/* Harder means are for silence, and for an agent that is too old to know the op. */
	if (*no_agent.code && strcmp(no_agent.code, "EOPNOTSUPP")) {
		*err = no_agent;
		return 1;
	}
	log_warn("%s: %s: the toolstack is asked to shut it down", name, no_agent.text);
	return xl("shutdown", "-F", name, err);
}

int system_stop(const char *name, struct agent *a, struct error *err)
{
	struct error told = { 0 };
	uint32_t domid;

	if (is_down(hostvm_state(name, &domid)))
		return 0;
	log_info("%s is being shut down", name);
	if (tell_to_stop(name, a, &told) > 0) {
		*err = told;		/* with its code */
		return -1;
	}
	/* Also when nobody seems to have heard it: what is on its way down is not to be cut off. */
	if (!wait_down(a, name, false, limit_s(LIMIT_SYSTEM), &told))
		return 0;
	/* Not if somebody wants it called off, nor if a guest VM has come meanwhile. */
	if (patience_over(a->patience, err) || tell_to_stop(name, a, err) > 0)
		return -1;
	log_warn("%s: %s: it is destroyed, since no guest VM is on it", name, told.text);
	return xl("destroy", name, NULL, err) || wait_down(a, name, false, limit_s(LIMIT_XL), err) ? -1 : 0;
}

/* Whatever the file calls it, it is this one that is waited for. */
static void override_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "name=\"%s\"", name);
}

/* As hostvm_check() has it of one that runs. */
static int check_settings(const char *config, struct json_object *json, struct error *err)
{
	static const char *const keys[] = { "on_crash", "on_reboot", "on_watchdog", "on_poweroff" };
	const char *type = js_str(js_get(json, "c_info", json_type_object), "type", "unknown");

	if (strcmp(type, "hvm"))
		return error_set(err, "%s is the configuration of a domain of the type %s, not hvm", config, type);
	/* What has libxl's default is not in there. */
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(js_str(json, keys[i], ""), "preserve"))
			return error_set(err, "%s has no %s=\"preserve\": destroyed, the host VM would take another system's guest VM with it",
					 config, keys[i]);
	return 0;
}

int system_check(const char *name, const char *config, struct error *err)
{
	char override[256], *said = NULL;
	char *const argv[] = { "xl", "create", "-n", (char *)config, override, NULL };
	struct json_object *json;
	struct error why;
	int rc;

	if (*config != '/')
		return error_set(err, "%s is no absolute path, and vmbeamd has a directory of its own", config);
	if (access(config, R_OK))
		return error_set(err, "%s, from which %s is to be started, cannot be read: %s", config, name, strerror(errno));
	override_name(override, sizeof(override), name);
	if (child_read(argv, limit_s(LIMIT_XL), &said, &why))
		return error_set(err, "%s cannot be started from %s: %s", name, config, why.text);
	/* What it warns of is before that. */
	json = strchr(said, '{') ? json_tokener_parse(strchr(said, '{')) : NULL;
	rc = json ? check_settings(config, json, err) :
	     error_set(err, "what xl create -n says of %s is no JSON: is output_format=\"json\" in /etc/xen/xl.conf?", config);
	json_object_put(json);
	free(said);
	return rc;
}

int system_start(const char *name, const char *config, struct error *err)
{
	char override[256];
	uint32_t domid;

	switch (hostvm_state(name, &domid)) {
	case HOSTVM_UP:
		return 0;
	case HOSTVM_ENDED:
		if (xl("destroy", name, NULL, err) || wait_down(NULL, name, true, limit_s(LIMIT_XL), err))
			return -1;
		break;
	default:
		break;
	}
	log_info("%s is being started from %s", name, config);
	override_name(override, sizeof(override), name);
	if (xl("create", config, override, err))
		return -1;
	if (hostvm_state(name, &domid) != HOSTVM_UP)
		return error_set(err, "xl has created no host VM %s that runs", name);
	return 0;
}
