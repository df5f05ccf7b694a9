// SPDX-License-Identifier: GPL-2.0
/* What is in some blocks of a disk. In a child: a disk can hang. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "ops.h"
#include "work.h"

#define MAX_BLOCKS 128

static struct {
	char path[DISK_MAX_PATH + 1];
	uint64_t blocks[MAX_BLOCKS];
	size_t nr;
	int results;	/* a memfd: a digest of each */
} job = { .results = -1 };

static int blocks_work(const void *arg)
{
	struct stat st;
	int fd = disk_open(job.path), rc = 0;

	(void)arg;
	if (fd < 0 || fstat(fd, &st) || !S_ISBLK(st.st_mode)) {
		fprintf(stderr, "the disk %s cannot be read: %s\n", job.path, fd < 0 ? strerror(-fd) : "it is no block device");
		return -1;
	}
	if (!(fcntl(fd, F_GETFL) & O_DIRECT))
		ioctl(fd, BLKFLSBUF, 0);
	for (size_t i = 0; !rc && i < job.nr; i++) {
		uint64_t digest;

		rc = disk_digest(fd, job.blocks[i], &digest);
		if (rc)
			fprintf(stderr, "block %llu of the disk %s cannot be read: %s\n",
				(unsigned long long)job.blocks[i], job.path, strerror(-rc));
		else if (write(WORK_FD, &digest, sizeof(digest)) != sizeof(digest))
			rc = -EIO;
	}
	return rc;
}

static int get_job(struct request *r)
{
	struct json_object *list;
	const char *path;
	int rc = get_name(r, "target", &path);

	if (rc)
		return rc;
	if (*path != '/' || strlen(path) > DISK_MAX_PATH)
		return fail(r, -EINVAL, "\"target\" in the request is not an absolute path of at most %d bytes", DISK_MAX_PATH);
	if (!json_object_object_get_ex(r->in, "blocks", &list) || !json_object_is_type(list, json_type_array) ||
	    !json_object_array_length(list) || json_object_array_length(list) > MAX_BLOCKS)
		return fail(r, -EINVAL, "the request lacks the list \"blocks\" of at most %d numbers", MAX_BLOCKS);
	job.nr = json_object_array_length(list);
	for (size_t i = 0; i < job.nr; i++) {
		struct json_object *nr = json_object_array_get_idx(list, i);

		if (!json_object_is_type(nr, json_type_int) || json_object_get_int64(nr) < 0 ||
		    json_object_get_int64(nr) > INT64_MAX / DISK_BLOCK - 1)
			return fail(r, -EINVAL, "\"blocks\" in the request has something that is no block");
		job.blocks[i] = json_object_get_int64(nr);
	}
	snprintf(job.path, sizeof(job.path), "%s", path);
	return 0;
}

int op_disk_blocks(struct request *r)
{
	struct json_object *list;
	const char *migration;
	char key[64];
	int rc = get_migration(r, &migration);

	if (!rc && (job.results < 0 || !has_key(r, "again"))) {
		rc = get_job(r);
		if (rc)
			return rc;
		if (job.results >= 0)
			close(job.results);
		job.results = memfd_create("vmbeam-blocks", MFD_CLOEXEC);
		if (job.results < 0)
			return fail(r, -errno, "out of memory");
	}
	if (rc)
		return rc;
	snprintf(key, sizeof(key), "disk-blocks %s", migration);
	rc = work_run(r, key, blocks_work, NULL, job.results);
	if (rc || r->again)
		return rc;
	list = json_object_new_array();
	json_object_object_add(r->out, "digests", list);
	for (size_t i = 0; i < job.nr; i++) {
		uint64_t digest;
		char text[20];

		if (pread(job.results, &digest, sizeof(digest), i * sizeof(digest)) != sizeof(digest))
			return fail(r, -EIO, "%s was not read to its end", job.path);
		snprintf(text, sizeof(text), "%llx", (unsigned long long)digest);
		json_object_array_add(list, json_object_new_string(text));
	}
	return 0;
}
