// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "placement.h"
#include "request.h"
#include "session.h"

/* "0-2,5"; "all" if none of the first @nr is missing. */
static void cpus_text(const libxl_bitmap *map, int nr, char *text, size_t size)
{
	size_t at = 0;
	int missing = 0;

	*text = 0;
	for (int i = 0; i < nr; i++)
		missing += !libxl_bitmap_test(map, i);
	if (!missing) {
		snprintf(text, size, "all");
		return;
	}
	for (int i = 0, end; i < nr && at < size; i = end + 1) {
		for (end = i; end < nr && libxl_bitmap_test(map, end); end++)
			;
		if (end == i)
			continue;
		at += snprintf(text + at, size - at, end - i > 1 ? "%s%d-%d" : "%s%d", at ? "," : "", i, end - 1);
	}
}

static struct json_object *vcpu_object(const libxl_vcpuinfo *v, int nr_cpus)
{
	struct json_object *obj = json_object_new_object();
	char text[512];

	cpus_text(&v->cpumap, nr_cpus, text, sizeof(text));
	put_string(obj, "hard", text);
	cpus_text(&v->cpumap_soft, nr_cpus, text, sizeof(text));
	put_string(obj, "soft", text);
	return obj;
}

int placement_of(uint32_t domid, struct json_object **placement, char *why, size_t size)
{
	struct json_object *obj, *vcpus;
	int nr = 0, nr_cpus = 0, rc;
	libxl_vcpuinfo *list;
	libxl_dominfo info;
	struct session s;
	char *pool;

	*placement = NULL;
	snprintf(why, size, "libxl does not open");
	rc = session_open(&s, false);
	if (rc)
		return rc;
	libxl_dominfo_init(&info);
	list = libxl_list_vcpu(s.ctx, domid, &nr, &nr_cpus);
	if (!list || libxl_domain_info(s.ctx, &info, domid)) {
		snprintf(why, size, "%s", session_text(&s));
		rc = -EIO;
		goto out;
	}
	obj = json_object_new_object();
	vcpus = json_object_new_array();
	pool = libxl_cpupoolid_to_name(s.ctx, info.cpupool);
	put_string(obj, "cpupool", pool ? pool : "");
	free(pool);
	json_object_object_add(obj, "online", json_object_new_int(info.vcpu_online));
	for (int i = 0; i < nr; i++)
		json_object_array_add(vcpus, vcpu_object(&list[i], nr_cpus));
	json_object_object_add(obj, "vcpus", vcpus);
	*placement = obj;
out:
	if (list)
		libxl_vcpuinfo_list_free(list, nr);
	libxl_dominfo_dispose(&info);
	session_close(&s);
	return rc;
}

int placement_here(struct json_object **here, char *why, size_t size)
{
	struct json_object *obj, *pools;
	libxl_cpupoolinfo *list;
	uint64_t free_kib = 0;
	int nr = 0, nr_cpus;
	struct session s;
	int rc;

	*here = NULL;
	snprintf(why, size, "libxl does not open");
	rc = session_open(&s, false);
	if (rc)
		return rc;
	nr_cpus = libxl_get_max_cpus(s.ctx);
	list = libxl_list_cpupool(s.ctx, &nr);
	if (nr_cpus < 1 || !list || libxl_get_free_memory(s.ctx, &free_kib)) {
		snprintf(why, size, "%s", session_text(&s));
		rc = -EIO;
		goto out;
	}
	obj = json_object_new_object();
	pools = json_object_new_array();
	json_object_object_add(obj, "free_kib", json_object_new_int64(free_kib));
	for (int i = 0; i < nr; i++) {
		struct json_object *pool = json_object_new_object();
		char text[512];

		/* By their numbers: "all" would mean those of another system, too. */
		cpus_text(&list[i].cpumap, nr_cpus, text, sizeof(text));
		if (!strcmp(text, "all"))
			snprintf(text, sizeof(text), nr_cpus > 1 ? "0-%d" : "%d", nr_cpus - 1);
		put_string(pool, "name", list[i].pool_name ? list[i].pool_name : "");
		put_string(pool, "cpus", text);
		json_object_array_add(pools, pool);
	}
	json_object_object_add(obj, "cpupools", pools);
	*here = obj;
out:
	if (list)
		libxl_cpupoolinfo_list_free(list, nr);
	session_close(&s);
	return rc;
}

static void drop(libxl_bitmap **list, int *nr)
{
	for (int i = 0; i < *nr; i++)
		libxl_bitmap_dispose(&(*list)[i]);
	free(*list);
	*list = NULL;
	*nr = 0;
}

/* @soft: the maps of the soft affinity. Nothing if no vCPU has one. */
static int carry_maps(struct session *s, const libxl_vcpuinfo *vcpus, int nr, int nr_cpus, bool soft, libxl_bitmap **list,
		      int *nr_list)
{
	bool pinned = false;

	drop(list, nr_list);
	for (int i = 0; i < nr; i++)
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			pinned |= !libxl_bitmap_test(soft ? &vcpus[i].cpumap_soft : &vcpus[i].cpumap, cpu);
	if (!pinned)
		return 0;
	*list = calloc(nr, sizeof(**list));
	if (!*list)
		return ERROR_NOMEM;
	for (int i = 0; i < nr; i++, ++*nr_list) {
		libxl_bitmap_init(&(*list)[i]);
		libxl_bitmap_copy_alloc(s->ctx, &(*list)[i], soft ? &vcpus[i].cpumap_soft : &vcpus[i].cpumap);
	}
	return 0;
}

int placement_carry(struct session *s, uint32_t domid, void *config)
{
	libxl_domain_build_info *b = &((libxl_domain_config *)config)->b_info;
	libxl_domain_create_info *c = &((libxl_domain_config *)config)->c_info;
	int nr = 0, nr_cpus = 0, rc = ERROR_FAIL;
	libxl_vcpuinfo *list;
	libxl_dominfo info;

	libxl_dominfo_init(&info);
	list = libxl_list_vcpu(s->ctx, domid, &nr, &nr_cpus);
	if (list && !libxl_domain_info(s->ctx, &info, domid)) {
		/* By its name: another system numbers them otherwise. */
		free(c->pool_name);
		c->pool_name = libxl_cpupoolid_to_name(s->ctx, info.cpupool);
		libxl_bitmap_dispose(&b->cpumap);
		libxl_bitmap_init(&b->cpumap);
		rc = carry_maps(s, list, nr, nr_cpus, false, &b->vcpu_hard_affinity, &b->num_vcpu_hard_affinity) ?:
		     carry_maps(s, list, nr, nr_cpus, true, &b->vcpu_soft_affinity, &b->num_vcpu_soft_affinity);
	}
	if (list)
		libxl_vcpuinfo_list_free(list, nr);
	libxl_dominfo_dispose(&info);
	return rc;
}
