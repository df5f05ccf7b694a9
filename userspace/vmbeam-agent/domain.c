// SPDX-License-Identifier: GPL-2.0
/*
 * All that needs libxl, in this file only: its interface has versions. Contexts live as long as one operation. In the
 * agent itself libxl is only asked for information; whatever may fork runs in a child of its own (work.c), where no
 * other child is there to be reaped by mistake.
 */
#define LIBXL_API_VERSION 0x041800
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libxl.h>
#include <libxl_utils.h>

#include "agent.h"
#include "backend.h"
#include "devices.h"
#include "disk.h"
#include "domain.h"
#include "log.h"
#include "needs.h"
#include "store.h"
#include "users.h"

#define MAX_DISKS	64

struct session {
	libxl_ctx *ctx;
	xentoollog_logger *lg;
	FILE *f;
	char *text;
	size_t len;
};

/* Errors go to stderr if @to_stderr, and to s->text otherwise. */
static int session_open(struct session *s, bool to_stderr)
{
	FILE *f = stderr;

	memset(s, 0, sizeof(*s));
	if (!to_stderr) {
		s->f = open_memstream(&s->text, &s->len);
		if (!s->f)
			return -ENOMEM;
		f = s->f;
	}
	s->lg = (xentoollog_logger *)xtl_createlogger_stdiostream(f, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
	if (s->lg && !libxl_ctx_alloc(&s->ctx, LIBXL_VERSION, 0, s->lg))
		return 0;
	if (s->lg)
		xtl_logger_destroy(s->lg);
	if (s->f)
		fclose(s->f);
	free(s->text);
	return -EIO;
}

static void session_close(struct session *s)
{
	libxl_ctx_free(s->ctx);
	xtl_logger_destroy(s->lg);
	if (s->f)
		fclose(s->f);
	free(s->text);
}

/* What libxl said last, as one line. */
static const char *session_text(struct session *s)
{
	char *p;

	if (!s->f || fflush(s->f) || !s->text || !*s->text)
		return "libxl gives no reason";
	for (p = s->text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? '|' : 0;
	return s->text;
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
	if (d->name)
		text_short(d->called, sizeof(d->called), d->name);
	free(name);
	uuid_text(&info->uuid, d->uuid);
	d->pv = info->domain_type == LIBXL_DOMAIN_TYPE_PV;
	d->paused = info->paused;
	d->shutdown = info->shutdown;
	d->suspended = info->shutdown && info->shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
	d->dying = info->dying;
	d->current_kib = info->current_memkb;
	d->max_kib = info->max_memkb;
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

/* --- checks ----------------------------------------------------------------------------------------------------- */

/* The configuration is what its author wrote: what he left out is neither true nor false, and libxl aborts if asked. */
static bool said_yes(libxl_defbool value)
{
	return !libxl_defbool_is_default(value) && libxl_defbool_val(value);
}

/* What the toolstack reads when the guest VM is started anew. */
static void list_boot(const libxl_domain_build_info *b, struct request *r)
{
	const struct {
		const char *what, *path;
	} files[] = {
		{ "kernel", b->kernel }, { "ramdisk", b->ramdisk }, { "boot loader", b->bootloader },
	};
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct json_object *obj;

		if (!files[i].path || !*files[i].path)
			continue;
		obj = json_object_new_object();
		put_string(obj, "what", files[i].what);
		put_string(obj, "path", files[i].path);
		json_object_array_add(list, obj);
	}
	json_object_object_add(r->out, "boot", list);
}

static void check_config(struct session *s, const struct domain *d, struct request *r, struct json_object *problems)
{
	libxl_domain_config config;

	libxl_domain_config_init(&config);
	if (libxl_retrieve_domain_configuration(s->ctx, d->domid, &config, NULL)) {
		add_problem(problems, "the configuration of %s cannot be read: %s", d->called, session_text(s));
	} else {
		put_number(r, "vcpus", config.b_info.max_vcpus);
		if (config.num_pcidevs)
			add_problem(problems, "%s has %d PCI devices passed through: detach them", d->called,
				    config.num_pcidevs);
		if (said_yes(config.b_info.disable_migrate))
			add_problem(problems, "%s has nomigrate=1: whoever set it up says that it must not be moved", d->called);
		if (said_yes(config.c_info.driver_domain))
			add_problem(problems, "%s has driver_domain=1: it serves devices to other guest VMs here, which would lose them. Move these to other backends first",
				    d->called);
		if (config.num_channels)
			add_problem(problems, "%s has %d consoles of channel=, which QEMU serves and which cannot be moved: start it without",
				    d->called, config.num_channels);
		list_boot(&config.b_info, r);
		if (config.num_vfbs || config.num_vkbs)
			add_problem(problems, "%s has a virtual framebuffer or keyboard, which cannot be moved",
				    d->called);
	}
	libxl_domain_config_dispose(&config);
}

/* It saves and it restores. */
static void check_helper(struct json_object *problems)
{
	if (access(save_helper(), X_OK))
		add_problem(problems, "the save helper %s is not there: install vmbeam in this host VM", save_helper());
}

int op_guest_check(struct request *r)
{
	struct json_object *problems, *backends;
	const struct domain *d;
	struct domain *list = NULL;
	struct session s;
	const char *name;
	size_t nr = 0;
	bool can;
	int rc;

	rc = get_name(r, "name", &name);
	if (rc)
		return rc;
	rc = session_open(&s, false);
	if (rc)
		return fail(r, rc, "libxl does not open: is the toolstack of this host VM up?");
	rc = session_domains(&s, &list, &nr);
	if (rc) {
		fail(r, rc, "the domains cannot be listed: %s", session_text(&s));
		goto out;
	}
	d = domains_find(list, nr, name);
	if (!d) {
		char called[TEXT_SHORT];

		text_short(called, sizeof(called), name);
		rc = fail(r, -ESRCH, "there is no guest VM called %s here, and none with that UUID or #DOMID", called);
		goto out;
	}
	name = d->called;

	problems = json_object_new_array();
	backends = json_object_new_array();
	put_number(r, "domid", d->domid);
	put_string(r->out, "name", d->name);
	put_string(r->out, "uuid", d->uuid);
	put_number(r, "frames", d->current_kib / 4);
	put_number(r, "max_kib", d->max_kib);
	put_string(r->out, "type", d->pv ? "pv" : "other");
	check_config(&s, d, r, problems);
	can = devices_can_suspend(d->domid);
	put_bool(r, "can_suspend", can);
	rc = devices_list(d->domid, backends, problems);
	if (rc) {
		add_problem(problems, "the devices of %s cannot be listed: %s", d->called, strerror(-rc));
		rc = 0;
	}
	json_object_object_add(r->out, "backends", backends);
	json_object_object_add(r->out, "problems", problems);

	if (!d->pv)
		add_problem(problems, "%s is not a PV guest VM: only these can be moved", name);
	if (d->paused)
		add_problem(problems, "%s is paused: unpause it, it has to suspend itself", name);
	if (d->shutdown)
		add_problem(problems, "%s has shut down or is suspended", name);
	if (!can)
		add_problem(problems, "%s does not say that it can suspend (control/feature-suspend)", name);
	check_helper(problems);
	if (!exports_available())
		add_problem(problems, "/dev/vmbeam does not open: load vmbeam_guest.ko in this host VM");
out:
	domains_free(list, nr);
	session_close(&s);
	return rc;
}

/*
 * A disk must be there under the same path, and nobody here may have it mounted: O_EXCL says so. A device that cannot be
 * written may be mounted: nobody can be hurt.
 */
static void check_target(struct json_object *problems, struct json_object *want, struct json_object *disks)
{
	struct json_object *target, *obj = json_object_new_object();
	struct disk disk;
	char why[400];
	const char *path;
	int fd;

	json_object_array_add(disks, obj);
	if (!json_object_is_type(want, json_type_object) || !json_object_object_get_ex(want, "target", &target) ||
	    !json_object_is_type(target, json_type_string)) {
		add_problem(problems, "a disk in the request has no target");
		return;
	}
	path = json_object_get_string(target);
	if (disk_look(path, &disk, why, sizeof(why))) {
		add_problem(problems, "the disk %s %s", path, why);
		return;
	}
	put_string(obj, "target", path);
	disk_describe(&disk, obj);
	users_check(&disk, path, NO_DOMAIN, problems);
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY && !disk.read_only)
		add_problem(problems, "the disk %s is in use here, mounted for example: unmount it in this management VM", path);
	else if (errno != EBUSY)
		add_problem(problems, "the disk %s cannot be opened here: %s", path, strerror(errno));
}

static void check_memory(struct session *s, struct request *r, struct json_object *problems, uint64_t max_kib,
			 uint64_t vcpus)
{
	/* What a PV domain costs besides its RAM: vCPUs, grant and P2M tables, the domain itself; generous. */
	uint64_t need = max_kib + max_kib / 128 + vcpus * 256 + 8192, free_kib = 0;

	if (libxl_get_free_memory(s->ctx, &free_kib))
		add_problem(problems, "the free memory cannot be read: %s", session_text(s));
	else if (free_kib < need)
		add_problem(problems, "%llu MiB of memory are needed and %llu MiB are free here",
			    (unsigned long long)need >> 10, (unsigned long long)free_kib >> 10);
	put_number(r, "free_kib", free_kib);
}

int op_dest_check(struct request *r)
{
	struct json_object *problems, *warnings, *wanted, *disks;
	struct domain *list = NULL;
	const char *name, *uuid;
	uint64_t max_kib, vcpus;
	struct session s;
	size_t nr = 0;
	int rc;

	rc = get_name(r, "name", &name);
	rc = rc ?: get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);
	rc = rc ?: get_number(r, "max_kib", 1ULL << 40, &max_kib);
	rc = rc ?: get_number(r, "vcpus", 4096, &vcpus);
	if (rc)
		return rc;
	if (!json_object_object_get_ex(r->in, "disks", &wanted) ||
	    !json_object_is_type(wanted, json_type_array) || json_object_array_length(wanted) > MAX_DISKS)
		return fail(r, -EINVAL, "the request lacks the list \"disks\" of at most %d", MAX_DISKS);
	rc = session_open(&s, false);
	if (rc)
		return fail(r, rc, "libxl does not open: is the toolstack of this host VM up?");
	rc = session_domains(&s, &list, &nr);
	if (rc) {
		fail(r, rc, "the domains cannot be listed: %s", session_text(&s));
		goto out;
	}

	problems = json_object_new_array();
	warnings = json_object_new_array();
	disks = json_object_new_array();
	json_object_object_add(r->out, "problems", problems);
	json_object_object_add(r->out, "warnings", warnings);
	json_object_object_add(r->out, "disks", disks);
	for (size_t i = 0; i < nr; i++) {
		if (list[i].dying)
			continue;
		if (!strcmp(list[i].name, name))
			add_problem(problems, "there is a guest VM called %s here already (domain %u): rename one of them",
				    list[i].called, list[i].domid);
		else if (!strcasecmp(list[i].uuid, uuid))
			add_problem(problems, "guest VM %s here (domain %u) has the UUID %s already", list[i].called,
				    list[i].domid, uuid);
	}
	check_memory(&s, r, problems, max_kib, vcpus);
	for (size_t i = 0; i < json_object_array_length(wanted); i++)
		check_target(problems, json_object_array_get_idx(wanted, i), disks);
	needs_check(r->in, problems, warnings);
	check_helper(problems);
	if (!exports_available())
		add_problem(problems, "/dev/vmbeam does not open: load vmbeam_guest.ko in this host VM");
out:
	domains_free(list, nr);
	session_close(&s);
	return rc;
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

int domain_save(uint32_t domid, int fd)
{
	libxl_domain_config config;
	struct session s;
	char *json = NULL;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	rc = libxl_retrieve_domain_configuration(s.ctx, domid, &config, NULL);
	if (!rc) {
		config.c_info.domid = 0;	/* the destination gives it a new one */
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

int domain_destroy(uint32_t domid)
{
	struct session s;
	struct domain d;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	rc = session_domain(&s, domid, &d);
	/* A domain whose frames an export pins stays dying until that is released: for the toolstack it is gone. */
	if (rc == -ESRCH || (!rc && d.dying)) {
		rc = 0;
	} else {
		backend_forget(domid);
		rc = libxl_domain_destroy(s.ctx, domid, NULL);
	}
	session_close(&s);
	return rc;
}

static int resume_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	/* 1: the suspend is cancelled. The slow way resets the secondary vCPUs and its frontends would reconnect. */
	rc = libxl_domain_resume(s.ctx, domid, 1, NULL);
	session_close(&s);
	return rc;
}

static int unpause_work(const void *arg)
{
	uint32_t domid = *(const uint32_t *)arg;
	struct session s;
	int rc = session_open(&s, true);

	if (rc)
		return rc;
	rc = libxl_domain_unpause(s.ctx, domid, NULL);
	session_close(&s);
	return rc;
}

static int destroy_work(const void *arg)
{
	return domain_destroy(*(const uint32_t *)arg);
}

/* --- ops that use them ------------------------------------------------------------------------------------------ */

/* "uuid" in the request, which may be left out, keeps a domid that was given anew from being mistaken. */
static int get_domain(struct request *r, struct domain *d)
{
	const char *uuid = NULL;
	uint32_t domid;
	int rc = get_domid(r, &domid);

	if (!rc && has_key(r, "uuid"))
		rc = get_string(r, "uuid", UUID_TEXT - 1, false, &uuid);
	if (rc)
		return rc;
	rc = domain_read(domid, d);
	if (rc == -ESRCH || (!rc && (d->dying || (uuid && strcasecmp(uuid, d->uuid)))))
		return fail(r, -ESRCH, "domain %u is gone", domid);
	return rc ? fail(r, rc, "domain %u cannot be looked at: %s", domid, strerror(-rc)) : 0;
}

int op_devices(struct request *r)
{
	struct json_object *list;
	struct domain d;
	int rc = get_domain(r, &d);

	if (rc)
		return rc;
	list = json_object_new_array();
	json_object_object_add(r->out, "devices", list);
	rc = devices_list(d.domid, list, NULL);
	return rc ? fail(r, rc, "the devices of %s cannot be listed: %s", d.called, strerror(-rc)) : 0;
}

int op_resume(struct request *r)
{
	struct domain d;
	char key[32];
	int rc = get_domain(r, &d);

	if (rc)
		return rc;
	if (d.shutdown && !d.suspended)
		return fail(r, -EINVAL, "guest VM %s (domain %u) has not suspended but shut down or crashed",
			    d.called, d.domid);
	/* Not refused: the daemon has tried to rebind, and a guest VM without its disk may be better than none. */
	if (backend_disk_off(d.domid))
		log_err("guest VM %s (domain %u) is resumed although a disk of it is not bound to its driver", d.called,
			d.domid);
	if (d.suspended) {
		snprintf(key, sizeof(key), "resume %u", d.domid);
		rc = work_run(r, key, resume_work, &d.domid, -1);
	}
	/*
	 * Also when it runs already: the agent before this one may have died between the two. Events that came while
	 * the frames were away are lost; this makes the guest VM look at its xenstore ring again, where the answers
	 * and the events themselves still are.
	 */
	if (!rc && !r->again)
		store_touch(d.domid);
	return rc;
}

int op_unpause(struct request *r)
{
	struct domain d;
	char key[32];
	int rc = get_domain(r, &d);

	if (rc || !d.paused)
		return rc;
	restore_forget(d.domid);
	snprintf(key, sizeof(key), "unpause %u", d.domid);
	return work_run(r, key, unpause_work, &d.domid, -1);
}

int op_destroy(struct request *r)
{
	struct domain d;
	uint32_t domid;
	char key[32];
	int rc;

	rc = get_domid(r, &domid);
	if (rc)
		return rc;
	snprintf(key, sizeof(key), "destroy %u", domid);
	/* A child that is at work is waited for, whatever has become of the domain by now. */
	if (!work_pending(key)) {
		rc = get_domain(r, &d);
		if (rc == -ESRCH) {
			*r->error = 0;	/* gone before: as it was wanted */
			return 0;
		}
		if (rc)
			return rc;
	}
	return work_run(r, key, destroy_work, &domid, -1);
}
