// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration travels whole, and the destination's toolstack reads all of it. What it names of this host VM must be
 * there, too. So each key is either known to mean nothing to a host VM, or compared as an item of its own, or refused:
 * also one that a newer toolstack has and this agent does not know.
 */
#include <string.h>
#include <strings.h>

#include "config.h"
#include "item.h"
#include "js.h"

/* "Nothing is lost": of the domain alone, or compared elsewhere. */
static const char *const top_known[] = {
	"c_info", "b_info", "disks", "nics", "on_poweroff", "on_reboot", "on_watchdog", "on_crash", "on_soft_reset", NULL
};
static const char *const c_info_known[] = {
	"type", "hap", "oos", "ssidref", "ssid_label", "name", "domid", "uuid", "xsdata", "platformdata", "poolid", "pool_name",
	"run_hotplug_scripts", "xend_suspend_evtchn_compat", NULL
};
static const char *const b_info_known[] = {
	"max_vcpus", "avail_vcpus", "cpumap", "nodemap", "vcpu_hard_affinity", "vcpu_soft_affinity", "numa_placement", "tsc_mode",
	"max_memkb", "target_memkb", "video_memkb", "shadow_memkb", "iommu_memkb", "rtc_timeoffset", "exec_ssidref",
	"exec_ssid_label", "localtime", "cpuid", "blkdev_start", "max_grant_frames", "max_maptrack_frames", "max_grant_version",
	"device_model_version", "device_model_stubdomain", "stubdomain_memkb", "device_model_ssidref", "device_model_ssid_label",
	"device_model_user", "dm_restrict", "extra", "extra_hvm", "sched_params", "claim_mode", "event_channels", "kernel",
	"cmdline", "ramdisk", "acpi", "bootloader", "bootloader_args", "bootloader_restrict", "bootloader_user", "timer_mode",
	"nested_hvm", "apic", "tee", "type", "arch_arm", "arch_x86", "altp2m", "vmtrace_buf_kb", "vpmu", NULL
};
static const char *const pv_known[] = {
	"kernel", "slack_memkb", "bootloader", "bootloader_args", "cmdline", "ramdisk", "features", NULL
};

/* What is known, and cannot be carried over. */
static const struct refused {
	const char *part, *key, *why;
} refused[] = {
	{ "", "pcidevs", "PCI devices are passed through to it, and these are in this host VM: detach them (xl pci-detach)" },
	{ "", "dtdevs", "devices are passed through to it: start it without" },
	{ "", "channels", "it has consoles of channel=, which QEMU serves and which cannot be moved: start it without" },
	{ "", "vfbs", "it has a virtual framebuffer, which cannot be moved: start it without" },
	{ "", "vkbs", "it has a virtual keyboard, which cannot be moved: start it without" },
	{ "c_info", "driver_domain", "it has driver_domain=1: it serves devices to other guest VMs here, which would lose them. Move these to other backends first" },
	{ "b_info", "disable_migrate", "it has nomigrate=1: whoever set it up says that it must not be moved" },
	{ "b_info", "vnuma_nodes", "it has a NUMA layout of its own (vnuma=), made for this host VM's nodes: start it without" },
	{ "b_info", "ioports", "I/O ports of this host VM are given to it (ioports=): start it without" },
	{ "b_info", "irqs", "interrupts of this host VM are given to it (irqs=): start it without" },
	{ "b_info", "iomem", "I/O memory of this host VM is given to it (iomem=): start it without" },
	{ "b_info", "llc_colors", "it has cache colours of this host VM (llc_colors=): start it without" },
	{ "b_info", "extra_pv", "QEMU serves it with arguments of its own (device_model_args_pv=): start it without" },
	{ "type.pv", "e820_host", "it has this host VM's memory map (e820_host=1): start it without" },
};

/* What the author of a configuration left out is not there, or says so. */
static bool is_set(struct json_object *value)
{
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "set";

	if (json_object_is_type(value, json_type_array))
		return json_object_array_length(value);
	if (json_object_is_type(value, json_type_object))
		return json_object_object_length(value);
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value);
	return value && strcasecmp(text, "False") && strcasecmp(text, "<default>") && *text;
}

static bool is_known(const char *const *list, const char *key)
{
	for (; *list; list++)
		if (!strcmp(*list, key))
			return true;
	return false;
}

static const char *why_refused(const char *part, const char *key)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (!strcmp(refused[i].part, part) && !strcmp(refused[i].key, key))
			return refused[i].why;
	return NULL;
}

static void look_at(struct json_object *object, const char *part, const char *const *known, struct json_object *items)
{
	if (!object)
		return;
	json_object_object_foreach(object, key, value) {
		const char *why = why_refused(part, key);
		struct json_object *problems;

		if (is_known(known, key) || !is_set(value))
			continue;
		/* An object of its own, looked at by itself. */
		if (!strcmp(key, "type.pv"))
			continue;
		problems = item_problems(item_add(items, "key", key));
		if (why)
			add_problem(problems, "%s", why);
		else
			add_problem(problems, "its configuration has \"%s%s%s\", which this version of vmbeam-agent does not know: whether it can be moved with that is not known. Start it without, or install a newer vmbeam",
				    part, *part ? "." : "", key);
	}
}

static void add_file(struct json_object *b_info, const char *key, const char *called, struct json_object *items)
{
	const char *path = js_str(b_info, key, "");

	if (*path)
		put_string(item_add(items, "file", called), "path", path);
}

void config_needs(struct json_object *config, struct json_object *items)
{
	struct json_object *b_info = js_get(config, "b_info", json_type_object);

	look_at(config, "", top_known, items);
	look_at(js_get(config, "c_info", json_type_object), "c_info", c_info_known, items);
	look_at(b_info, "b_info", b_info_known, items);
	look_at(js_get(b_info, "type.pv", json_type_object), "type.pv", pv_known, items);
	/* What the toolstack reads when it starts the guest VM anew. */
	add_file(b_info, "kernel", "kernel", items);
	add_file(b_info, "ramdisk", "ramdisk", items);
	add_file(b_info, "bootloader", "boot loader", items);
}

struct json_object *config_written_disks(struct json_object *config)
{
	struct json_object *disks = js_array(config, "disks"), *paths = json_object_new_array();

	for (size_t i = 0; i < js_len(disks); i++) {
		struct json_object *disk = json_object_array_get_idx(disks, i);
		const char *path = js_str(disk, "pdev_path", "");

		if (*path && js_u64(disk, "readwrite", 0))
			json_object_array_add(paths, json_object_new_string(path));
	}
	return paths;
}
