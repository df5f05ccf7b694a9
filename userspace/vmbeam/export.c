// SPDX-License-Identifier: GPL-2.0
/* Exports of the guest module: list them, make one (for tests), release what was left armed. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "vmbeam.h"

#define LIST_MAX 4096

static const char help[] =
	"usage: vmbeam export list\n"
	"       vmbeam export create [--arm] [--hold] DOMID PFN:GFN[:COUNT]...\n"
	"       vmbeam export read ID\n"
	"       vmbeam export release ID...\n\n"
	"In a guest management VM: the exports of guest VMs' frames that vmbeam_guest.ko holds. Each takes --json.\n\n"
	"  list      all exports\n"
	"  create    pin frames; without --arm they are released at the end\n"
	"  read      the frames of an armed export\n"
	"  release   let go of armed exports. Only after a migration is over: until then an export may be all that keeps\n"
	"            a guest VM's memory\n"
	"  --arm     hand the export to the module\n"
	"  --hold    wait for the end of standard input\n";

static struct json_object *info_json(const struct vmbeam_export_info *info)
{
	struct json_object *o = json_object_new_object();

	js_add_u64(o, "id", info->id);
	js_add_u64(o, "domid", info->domid);
	js_add_bool(o, "armed", info->state == VMBEAM_EXPORT_ARMED);
	js_add_u64(o, "frames", info->nr_frames);
	js_add_u64(o, "extents", info->nr_extents);
	js_add_u64(o, "pin_ns", info->pin_ns);
	return o;
}

static void print_info(const struct vmbeam_export_info *info)
{
	printf("%llu: domain %u, %s, %llu frames in %llu extents\n", (unsigned long long)info->id, info->domid,
	       info->state == VMBEAM_EXPORT_ARMED ? "armed" : "not armed", (unsigned long long)info->nr_frames,
	       (unsigned long long)info->nr_extents);
}

static int failed(const char *what, int rc)
{
	fprintf(stderr, "vmbeam: %s: %s\n", what, strerror(-rc));
	return CLI_ROLLED_BACK;
}

static int do_list(int dev, bool json)
{
	struct vmbeam_export_info *list = calloc(LIST_MAX, sizeof(*list));
	struct json_object *array = json_object_new_array();
	int nr = list ? vmbeam_export_list(dev, list, LIST_MAX) : -ENOMEM;

	for (int i = 0; i < nr && i < LIST_MAX; i++) {
		if (json)
			json_object_array_add(array, info_json(&list[i]));
		else
			print_info(&list[i]);
	}
	if (nr >= 0 && json)
		cli_print(array);
	json_object_put(array);
	free(list);
	return nr < 0 ? failed("the list of exports", nr) : CLI_OK;
}

static int add_frames(int fd, char *text)
{
	char *b = strchr(text, ':'), *c = b ? strchr(b + 1, ':') : NULL;
	uint64_t pfn, gfn, nr = 1;

	if (b)
		*b++ = 0;
	if (c)
		*c++ = 0;
	if (!b || !cli_number(text, ~0ULL, &pfn) || !cli_number(b, ~0ULL, &gfn) || (c && !cli_number(c, 1 << 24, &nr)))
		return cli_misuse("frames are PFN:GFN or PFN:GFN:COUNT");
	for (uint64_t at = 0; at < nr;) {
		struct vmbeam_frame frames[512];
		uint8_t status[512];
		uint32_t n = nr - at < 512 ? nr - at : 512, pinned;
		int rc;

		for (uint32_t i = 0; i < n; i++)
			frames[i] = (struct vmbeam_frame){ .pfn = pfn + at + i, .gfn = gfn + at + i };
		rc = vmbeam_export_add(fd, frames, n, status, &pinned);
		if (rc)
			return failed("pinning", rc);
		for (uint32_t i = 0; i < n; i++)
			if (status[i] != VMBEAM_FRAME_PINNED)
				fprintf(stderr, "vmbeam: pfn 0x%llx, gfn 0x%llx: %s\n", (unsigned long long)frames[i].pfn,
					(unsigned long long)frames[i].gfn, vmbeam_frame_status(status[i]));
		at += n;
	}
	return CLI_OK;
}

static int do_create(int dev, int argc, char **argv, bool arm, bool hold, bool json)
{
	struct vmbeam_export_info info;
	uint64_t domid, id;
	int fd, rc = CLI_OK;

	if (argc < 2 || !cli_number(argv[0], 0x7fef, &domid))
		return cli_misuse("create takes a domid and frames");
	fd = vmbeam_export_create(dev, domid, &id);
	if (fd < 0)
		return failed("no export", fd);
	for (int i = 1; rc == CLI_OK && i < argc; i++)
		rc = add_frames(fd, argv[i]);
	if (rc == CLI_OK && arm) {
		rc = vmbeam_export_arm(fd);
		if (rc)
			rc = failed("arming", rc);
	}
	if (rc == CLI_OK) {
		rc = vmbeam_export_info(fd, &info);
		if (rc)
			rc = failed("the export's figures", rc);
		else if (json) {
			struct json_object *o = info_json(&info);

			cli_print(o);
			json_object_put(o);
		} else {
			print_info(&info);
		}
	}
	fflush(stdout);
	if (rc == CLI_OK && hold) {
		char drop[256];

		while (read(0, drop, sizeof(drop)) > 0)
			;
	}
	close(fd);
	return rc;
}

static int do_read(int dev, int argc, char **argv, bool json)
{
	struct json_object *array = json_object_new_array();
	struct vmbeam_extent e[256];
	uint64_t id, at = 0;
	int fd, n;

	if (argc != 1 || !cli_number(argv[0], ~0ULL, &id)) {
		json_object_put(array);
		return cli_misuse("read takes the id of an export");
	}
	fd = vmbeam_export_open(dev, id);
	n = fd < 0 ? fd : 1;
	while (n > 0) {
		n = vmbeam_export_read(fd, at, e, 256);
		for (int i = 0; i < n; i++) {
			if (!json) {
				printf("0x%llx 0x%llx %llu\n", (unsigned long long)e[i].pfn, (unsigned long long)e[i].gfn,
				       (unsigned long long)e[i].nr);
				continue;
			}
			struct json_object *o = json_object_new_object();

			js_add_u64(o, "pfn", e[i].pfn);
			js_add_u64(o, "gfn", e[i].gfn);
			js_add_u64(o, "nr", e[i].nr);
			json_object_array_add(array, o);
		}
		at += n > 0 ? n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!n && json)
		cli_print(array);
	json_object_put(array);
	return n < 0 ? failed("the export", n) : CLI_OK;
}

static int do_release(int dev, int argc, char **argv, bool json)
{
	struct json_object *o = json_object_new_object();
	int rc = CLI_OK, released = 0;

	if (!argc)
		rc = cli_misuse("release takes ids of exports");
	for (int i = 0; rc == CLI_OK && i < argc; i++) {
		uint64_t id;
		int fd;

		if (!cli_number(argv[i], ~0ULL, &id)) {
			rc = cli_misuse("\"%s\" is not the id of an export", argv[i]);
			break;
		}
		fd = vmbeam_export_open(dev, id);
		rc = fd < 0 ? fd : vmbeam_export_release(fd);
		if (fd >= 0)
			close(fd);
		if (rc)
			rc = failed(argv[i], rc);
		else
			released++;
	}
	js_add_u64(o, "released", released);
	if (json)
		cli_print(o);
	json_object_put(o);
	return rc;
}

int cli_export(int argc, char **argv)
{
	static const struct option options[] = {
		{ "arm", no_argument, NULL, 'a' },
		{ "hold", no_argument, NULL, 'H' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool arm = false, hold = false, json = false;
	const char *verb;
	int opt, dev, rc;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'a': arm = true; break;
		case 'H': hold = true; break;
		case 'j': json = true; break;
		case 'h': fputs(help, stdout); return CLI_OK;
		default: return CLI_MISUSE;
		}
	}
	if (optind == argc)
		return cli_misuse("export takes list, create, read or release");
	verb = argv[optind++];
	dev = vmbeam_open();
	if (dev < 0) {
		fprintf(stderr, "vmbeam: %s: %s: is vmbeam_guest.ko loaded?\n", VMBEAM_DEVICE, strerror(-dev));
		return CLI_ROLLED_BACK;
	}
	argc -= optind;
	argv += optind;
	if (!strcmp(verb, "list"))
		rc = do_list(dev, json);
	else if (!strcmp(verb, "create"))
		rc = do_create(dev, argc, argv, arm, hold, json);
	else if (!strcmp(verb, "read"))
		rc = do_read(dev, argc, argv, json);
	else if (!strcmp(verb, "release"))
		rc = do_release(dev, argc, argv, json);
	else
		rc = cli_misuse("export takes list, create, read or release, not \"%s\"", verb);
	close(dev);
	return rc;
}
