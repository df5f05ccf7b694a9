// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "create.h"
#include "domain.h"
#include "session.h"

static int create(struct session *s, libxl_domain_config *config, uint32_t *domid)
{
	int rc;

	config->c_info.domid = INVALID_DOMID;
	*domid = INVALID_DOMID;
	rc = libxl_domain_create_new(s->ctx, config, domid, NULL, NULL);
	/* Half of it may be there. */
	if (rc && libxl_domid_valid_guest(*domid))
		libxl_domain_destroy(s->ctx, *domid, NULL);
	return rc;
}

static void close_config(struct session *s, libxl_domain_config *config)
{
	libxl_domain_config_dispose(config);
	session_close(s);
}

/* A session, and the configuration that was kept; both until close_config(), unless there is an error. */
static int open_kept(struct session *s, struct json_object *kept, libxl_domain_config *config)
{
	int rc = session_open(s, true);

	if (rc)
		return rc;
	libxl_domain_config_init(config);
	rc = libxl_domain_config_from_json(s->ctx, config, json_object_to_json_string(kept));
	if (rc)
		close_config(s, config);
	return rc;
}

int create_check(struct json_object *kept, const char *uuid)
{
	libxl_domain_config config;
	libxl_uuid wanted;
	struct session s;
	int rc = open_kept(&s, kept, &config);

	if (rc)
		return rc;
	if (libxl_uuid_from_string(&wanted, uuid) || libxl_uuid_compare(&wanted, &config.c_info.uuid)) {
		fprintf(stderr, "it is the configuration of a guest VM with another UUID\n");
		rc = ERROR_INVAL;
	}
	close_config(&s, &config);
	return rc;
}

int create_domain(struct json_object *kept, const char *form, uint32_t *domid)
{
	libxl_domain_config config;
	struct session s;
	int rc = open_kept(&s, kept, &config);

	if (rc)
		return rc;
	rc = create(&s, &config, domid);
	if (!rc) {
		rc = domain_give_name(&s, *domid, form);
		if (rc)
			libxl_domain_destroy(s.ctx, *domid, NULL);
	}
	close_config(&s, &config);
	return rc;
}

int create_small(const char *name, const char *uuid, const char *kernel, uint64_t kib, uint32_t *domid)
{
	libxl_domain_config config;
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	config.c_info.type = LIBXL_DOMAIN_TYPE_PV;
	config.c_info.name = strdup(name);
	libxl_domain_build_info_init_type(&config.b_info, LIBXL_DOMAIN_TYPE_PV);
	config.b_info.max_vcpus = 1;
	config.b_info.max_memkb = config.b_info.target_memkb = kib;
	config.b_info.kernel = strdup(kernel);
	config.on_poweroff = config.on_reboot = config.on_crash = config.on_watchdog = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
	if (!config.c_info.name || !config.b_info.kernel || libxl_uuid_from_string(&config.c_info.uuid, uuid))
		rc = ERROR_NOMEM;
	rc = rc ?: create(&s, &config, domid);
	close_config(&s, &config);
	return rc;
}

static libxl_action_on_shutdown wanted(const libxl_domain_config *config, int reason)
{
	switch (reason) {
	case LIBXL_SHUTDOWN_REASON_POWEROFF:
		return config->on_poweroff;
	case LIBXL_SHUTDOWN_REASON_REBOOT:
		return config->on_reboot;
	case LIBXL_SHUTDOWN_REASON_CRASH:
		return config->on_crash;
	case LIBXL_SHUTDOWN_REASON_WATCHDOG:
		return config->on_watchdog;
	default:
		return LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
	}
}

/* What the configuration says is to become of it. */
static enum ending ending_of(struct session *s, uint32_t domid, int reason)
{
	libxl_action_on_shutdown action = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
	libxl_domain_config config;

	libxl_domain_config_init(&config);
	if (!libxl_retrieve_domain_configuration(s->ctx, domid, &config, NULL))
		action = wanted(&config, reason);
	libxl_domain_config_dispose(&config);
	if (action == LIBXL_ACTION_ON_SHUTDOWN_DESTROY)
		return ENDING_DESTROY;
	if (action == LIBXL_ACTION_ON_SHUTDOWN_RESTART)
		return ENDING_RESTART;
	fprintf(stderr, "domain %u has ended (%s) and is left for an operator to look at\n", domid,
		libxl_shutdown_reason_to_string(reason) ?: "for an unknown reason");
	return ENDING_LEFT;
}

enum ending create_wait(uint32_t domid)
{
	libxl_evgen_domain_death *death = NULL, *new;
	enum ending ending = ENDING_NONE;
	struct session s;

	if (session_open(&s, true))
		return ENDING_UNKNOWN;
	while (ending == ENDING_NONE) {
		libxl_event *event;

		/* The new one before the old one goes: else it would tell of a suspend that it has told of. */
		if (libxl_evenable_domain_death(s.ctx, domid, 0, &new)) {
			ending = ENDING_UNKNOWN;
			break;
		}
		if (death)
			libxl_evdisable_domain_death(s.ctx, death);
		death = new;
		if (libxl_event_wait(s.ctx, &event, LIBXL_EVENTMASK_ALL, NULL, NULL)) {
			ending = ENDING_UNKNOWN;
			break;
		}
		if (event->domid == domid && event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH)
			ending = ENDING_GONE;
		else if (event->domid == domid && event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN &&
			 event->u.domain_shutdown.shutdown_reason != LIBXL_SHUTDOWN_REASON_SUSPEND)
			ending = ending_of(&s, domid, event->u.domain_shutdown.shutdown_reason);
		libxl_event_free(s.ctx, event);
	}
	session_close(&s);
	return ending;
}
