// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "placement.h"
#include "session.h"

#define HELPER		"/usr/lib/vmbeam/libxl-save-helper"

const char *domain_helper(void)
{
	const char *path = getenv("VMBEAM_SAVE_HELPER");

	return path && *path ? path : HELPER;
}

static void uuid_text(const libxl_uuid *uuid, char *text)
{
	snprintf(text, UUID_TEXT, LIBXL_UUID_FMT, LIBXL_UUID_BYTES(*uuid));
}

/* -ENOMEM: there is no name then. */
static int domain_from_info(struct session *s, const libxl_dominfo *info, struct domain *d)
{
	char *name = libxl_domid_to_name(s->ctx, info->domid);

	memset(d, 0, sizeof(*d));
	d->domid = info->domid;
	d->name = text_name(name ? name : "");
	d->utf8 = !name || text_is_utf8(name, strlen(name));
	if (d->name)
		text_short(d->called, sizeof(d->called), d->name);
	free(name);
	uuid_text(&info->uuid, d->uuid);
	d->pv = info->domain_type == LIBXL_DOMAIN_TYPE_PV;
	d->paused = info->paused;
	d->shutdown = info->shutdown;
	d->suspended = info->shutdown && info->shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
	d->dying = info->dying;
	d->ended = info->shutdown ? libxl_shutdown_reason_to_string(info->shutdown_reason) : "";
	if (!d->ended)
		d->ended = "for a reason that libxl does not name";
	d->current_kib = info->current_memkb;
	d->max_kib = info->max_memkb;
	d->vcpus = info->vcpu_online;
	d->cpu_ns = info->cpu_time;
	return d->name ? 0 : -ENOMEM;
}

static int session_domains(struct session *s, struct domain **list, size_t *nr)
{
	libxl_dominfo *infos;
	int count, rc = 0;

	infos = libxl_list_domain(s->ctx, &count);
	if (!infos)
		return -EIO;
	*nr = 0;
	*list = calloc(count + 1, sizeof(**list));
	if (!*list)
		rc = -ENOMEM;
	for (int i = 0; !rc && i < count; i++)
		if (infos[i].domid)
			rc = domain_from_info(s, &infos[i], &(*list)[(*nr)++]);
	libxl_dominfo_list_free(infos, count);
	if (rc) {
		domains_free(*list, *nr);
		*list = NULL;
		*nr = 0;
	}
	return rc;
}

static int session_domain(struct session *s, uint32_t domid, struct domain *d)
{
	libxl_dominfo info;
	int rc;

	libxl_dominfo_init(&info);
	rc = libxl_domain_info(s->ctx, &info, domid);
	if (!rc) {
		domain_from_info(s, &info, d);
		free(d->name);
		d->name = NULL;
	}
	libxl_dominfo_dispose(&info);
	return rc == ERROR_DOMAIN_NOTFOUND ? -ESRCH : rc ? -EIO : 0;
}

int domains_read(struct domain **list, size_t *nr)
{
	struct session s;
	int rc = session_open(&s, false);

	if (rc)
		return rc;
	rc = session_domains(&s, list, nr);
	session_close(&s);
	return rc;
}

int domain_read(uint32_t domid, struct domain *d)
{
	struct session s;
	int rc = session_open(&s, false);

	if (rc)
		return rc;
	rc = session_domain(&s, domid, d);
	session_close(&s);
	return rc;
}

int domain_config(uint32_t domid, struct json_object **config, char *why, size_t size)
{
	libxl_domain_config c;
	struct session s;
	char *json = NULL;
	int rc = session_open(&s, false);

	*config = NULL;
	snprintf(why, size, "libxl does not open");
	if (rc)
		return rc;
	libxl_domain_config_init(&c);
	if (!libxl_retrieve_domain_configuration(s.ctx, domid, &c, NULL))
		json = libxl_domain_config_to_json(s.ctx, &c);
	if (json)
		*config = json_tokener_parse(json);
	else
		snprintf(why, size, "%s", session_text(&s));
	libxl_domain_config_dispose(&c);
	free(json);
	session_close(&s);
	return *config ? 0 : -EIO;
}

/* What does not travel: see carry_name(). */
int domain_give_name(struct session *s, uint32_t domid, const char *form)
{
	char *name = text_unname(form);
	int rc = name ? 0 : ERROR_NOMEM;

	if (name && !domain_name_travels(name))
		rc = libxl_domain_rename(s->ctx, domid, NULL, name);
	free(name);
	return rc;
}

int domain_rename(uint32_t domid, const char *form)
{
	struct session s;
	int rc = session_open(&s, false);

	if (rc)
		return rc;
	rc = domain_give_name(&s, domid, form);
	session_close(&s);
	return !rc ? 0 : rc == ERROR_NOMEM ? -ENOMEM : -EIO;
}

/* --- in children ------------------------------------------------------------------------------------------------ */

/*
 * The head of a file that `xl restore` takes: this struct, then the optional data (here the length of the
 * configuration, and the configuration), then libxl's stream. In the byte order of the machine.
 */
struct savefile_header {
	char magic[32];
	uint32_t byteorder;
	uint32_t mandatory_flags;
	uint32_t optional_flags;
	uint32_t optional_data_len;
};

#define SAVEFILE_MAGIC		"Xen saved domain, xl format\n \0 \r"
#define SAVEFILE_BYTEORDER	0x01020304U
#define SAVEFILE_JSON		(1U << 0)
#define SAVEFILE_STREAM_V2	(1U << 1)
_Static_assert(sizeof(SAVEFILE_MAGIC) - 1 == sizeof(((struct savefile_header *)0)->magic), "xl's magic has 32 bytes");

static int write_header(struct session *s, int fd, const char *json)
{
	uint32_t json_len = strlen(json) + 1;
	struct savefile_header h = {
		.byteorder = SAVEFILE_BYTEORDER,
		.mandatory_flags = SAVEFILE_JSON | SAVEFILE_STREAM_V2,
		.optional_data_len = sizeof(json_len) + json_len,
	};

	memcpy(h.magic, SAVEFILE_MAGIC, sizeof(h.magic));
	return libxl_write_exactly(s->ctx, fd, &h, sizeof(h), "pipe", "savefile header") ?:
	       libxl_write_exactly(s->ctx, fd, &json_len, sizeof(json_len), "pipe", "length of configuration") ?:
	       libxl_write_exactly(s->ctx, fd, json, json_len, "pipe", "configuration");
}

/*
 * libxl writes a name of any bytes into its JSON, and refuses to read one that is not UTF-8; xl opens a log that is called
 * by it, and fails if it cannot, with the domain restored. The destination's agent gives the domain its name back.
 */
static int carry_name(libxl_domain_create_info *c)
{
	char *name;

	if (!c->name || domain_name_travels(c->name))
		return 0;
	name = malloc(UUID_TEXT);
	if (!name)
		return ERROR_NOMEM;
	uuid_text(&c->uuid, name);
	free(c->name);
	c->name = name;
	return 0;
}

/* The configuration with which the guest VM can be made on another system, or later: with what was set since it was created. */
static int carry(struct session *s, uint32_t domid, libxl_domain_config *config)
{
	int rc = libxl_retrieve_domain_configuration(s->ctx, domid, config, NULL);

	if (rc)
		return rc;
	config->c_info.domid = 0;	/* it gets a new one */
	return carry_name(&config->c_info) ?: placement_carry(s, domid, config);
}

int domain_save(uint32_t domid, int fd)
{
	libxl_domain_config config;
	struct session s;
	char *json = NULL;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	rc = carry(&s, domid, &config);
	if (!rc) {
		json = libxl_domain_config_to_json(s.ctx, &config);
		rc = json ? write_header(&s, fd, json) : ERROR_NOMEM;
	}
	libxl_domain_config_dispose(&config);
	free(json);
	/* Not live: the live path turns log-dirty on, and the outer hypervisor's swap could not be told apart. */
	rc = rc ?: libxl_domain_suspend(s.ctx, domid, fd, 0, NULL);
	session_close(&s);
	return rc;
}

int domain_keep(uint32_t domid, bool to_stay_down, struct json_object **kept)
{
	libxl_domain_config config;
	struct session s;
	char *json = NULL;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	rc = carry(&s, domid, &config);
	if (!rc && to_stay_down && config.on_poweroff != LIBXL_ACTION_ON_SHUTDOWN_DESTROY &&
	    config.on_poweroff != LIBXL_ACTION_ON_SHUTDOWN_PRESERVE) {
		fprintf(stderr, "domain %u has on_poweroff=\"%s\": it would not stay down. Shut it down by hand\n", domid,
			libxl_action_on_shutdown_to_string(config.on_poweroff));
		rc = ERROR_INVAL;
	}
	if (!rc)
		json = libxl_domain_config_to_json(s.ctx, &config);
	*kept = json ? json_tokener_parse(json) : NULL;
	if (!rc && !*kept)
		rc = ERROR_FAIL;
	libxl_domain_config_dispose(&config);
	free(json);
	session_close(&s);
	return rc;
}

int domain_shutdown(uint32_t domid)
{
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	rc = libxl_domain_shutdown(s.ctx, domid, NULL);
	session_close(&s);
	return rc;
}

int domain_destroy(uint32_t domid)
{
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	rc = libxl_domain_destroy(s.ctx, domid, NULL);
	session_close(&s);
	return rc;
}

int domain_resume(uint32_t domid)
{
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	/* 1: the suspend is cancelled. The slow way resets the secondary vCPUs and its frontends would reconnect. */
	rc = libxl_domain_resume(s.ctx, domid, 1, NULL);
	session_close(&s);
	return rc;
}

int domain_unpause(uint32_t domid)
{
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	rc = libxl_domain_unpause(s.ctx, domid, NULL);
	session_close(&s);
	return rc;
}
