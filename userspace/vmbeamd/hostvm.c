// SPDX-License-Identifier: GPL-2.0
/* The only file of the daemon that knows libxl and xenstore. */
#include <stdio.h>
#include <stdlib.h>
#include <libxl.h>
#include <libxl_utils.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "hostvm.h"

struct toolstack {
	xentoollog_logger_stdiostream *log;
	libxl_ctx *ctx;
};

static int toolstack_open(struct toolstack *t, struct error *err)
{
	t->ctx = NULL;
	t->log = xtl_createlogger_stdiostream(stderr, XTL_ERROR, 0);
	if (t->log && !libxl_ctx_alloc(&t->ctx, LIBXL_VERSION, 0, (xentoollog_logger *)t->log))
		return 0;
	if (t->log)
		xtl_logger_destroy((xentoollog_logger *)t->log);
	return error_set(err, "libxl does not start: is this the host management VM, and is xenstored running?");
}

static void toolstack_close(struct toolstack *t)
{
	libxl_ctx_free(t->ctx);
	xtl_logger_destroy((xentoollog_logger *)t->log);
}

int hostvm_domid(const char *name, uint32_t *domid, struct error *err)
{
	struct toolstack t;
	int rc;

	if (toolstack_open(&t, err))
		return -1;
	rc = libxl_name_to_domid(t.ctx, name, domid);
	toolstack_close(&t);
	if (rc)
		return error_set(err, "there is no host VM %s: is it running under that name (xl list)?", name);
	return 0;
}

int hostvm_check(const char *name, uint32_t domid, struct error *err)
{
	libxl_domain_config config;
	struct toolstack t;
	int rc;

	if (toolstack_open(&t, err))
		return -1;
	libxl_domain_config_init(&config);
	rc = libxl_retrieve_domain_configuration(t.ctx, domid, &config, NULL);
	if (rc) {
		rc = error_set(err, "%s: its configuration cannot be read (libxl error %d)", name, rc);
	} else if (config.c_info.type != LIBXL_DOMAIN_TYPE_HVM) {
		rc = error_set(err, "%s is not an HVM domain", name);
	} else {
		const struct {
			const char *key;
			libxl_action_on_shutdown action;
		} settings[] = {
			{ "on_crash", config.on_crash },
			{ "on_reboot", config.on_reboot },
			{ "on_watchdog", config.on_watchdog },
			{ "on_poweroff", config.on_poweroff },
		};

		for (size_t i = 0; !rc && i < sizeof(settings) / sizeof(settings[0]); i++)
			if (settings[i].action != LIBXL_ACTION_ON_SHUTDOWN_PRESERVE)
				rc = error_set(err, "%s has %s=\"%s\", which must be \"preserve\": destroyed, it would take another system's guest VM with it",
					       name, settings[i].key,
					       libxl_action_on_shutdown_to_string(settings[i].action));
	}
	libxl_domain_config_dispose(&config);
	toolstack_close(&t);
	return rc;
}

int hostvm_device_model(const char *name, uint32_t domid, pid_t *pid, struct error *err)
{
	struct xs_handle *xs = xs_open(0);
	char path[64], *text;

	if (!xs)
		return error_set(err, "%s: xenstore cannot be asked for its device model: is xenstored running?", name);
	snprintf(path, sizeof(path), "/local/domain/%u/image/device-model-pid", domid);
	text = xs_read(xs, XBT_NULL, path, NULL);
	xs_close(xs);
	*pid = text ? strtol(text, NULL, 10) : 0;
	free(text);
	if (*pid <= 0)
		return error_set(err, "%s: xenstore has no %s: whether the socket is that of this host VM is not known", name, path);
	return 0;
}

enum hostvm_state hostvm_state(const char *name, uint32_t *domid)
{
	enum hostvm_state state = HOSTVM_UNKNOWN;
	struct error err;
	struct toolstack t;
	libxl_dominfo info;
	int rc;

	*domid = 0;
	if (toolstack_open(&t, &err))
		return HOSTVM_UNKNOWN;
	libxl_dominfo_init(&info);
	rc = libxl_name_to_domid(t.ctx, name, domid);
	if (!rc)
		rc = libxl_domain_info(t.ctx, &info, *domid);
	if (!rc)
		state = info.shutdown || info.dying ? HOSTVM_ENDED : HOSTVM_UP;
	else if (rc == ERROR_DOMAIN_NOTFOUND || rc == ERROR_INVAL)
		state = HOSTVM_NONE;
	libxl_dominfo_dispose(&info);
	toolstack_close(&t);
	return state;
}

bool hostvm_is_dead(uint32_t domid)
{
	struct error err;
	struct toolstack t;
	libxl_dominfo info;
	bool dead;
	int rc;

	if (toolstack_open(&t, &err))
		return false;
	libxl_dominfo_init(&info);
	rc = libxl_domain_info(t.ctx, &info, domid);
	dead = rc == ERROR_DOMAIN_NOTFOUND || (!rc && (info.shutdown || info.dying));
	libxl_dominfo_dispose(&info);
	toolstack_close(&t);
	return dead;
}
