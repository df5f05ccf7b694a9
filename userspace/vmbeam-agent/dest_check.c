// SPDX-License-Identifier: GPL-2.0
/* What stands in the way of taking a guest VM in. Touches nothing. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "domain.h"
#include "installed.h"
#include "needs.h"
#include "ops.h"
#include "users.h"

#define MAX_DISKS	64

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

static void check_memory(struct request *r, struct json_object *problems, uint64_t max_kib, uint64_t vcpus)
{
	/* What a PV domain costs besides its RAM: vCPUs, grant and P2M tables, the domain itself; generous. */
	uint64_t need = max_kib + max_kib / 128 + vcpus * 256 + 8192, free_kib;
	char why[400];

	if (domain_free_kib(&free_kib, why, sizeof(why)))
		add_problem(problems, "the free memory cannot be read: %s", why);
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
	rc = domains_read(&list, &nr);
	if (rc)
		return fail(r, rc, "the domains cannot be listed: is the toolstack of this host VM up?");

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
	check_memory(r, problems, max_kib, vcpus);
	for (size_t i = 0; i < json_object_array_length(wanted); i++)
		check_target(problems, json_object_array_get_idx(wanted, i), disks);
	needs_check(r->in, problems, warnings);
	check_installed(problems);
	domains_free(list, nr);
	return 0;
}
