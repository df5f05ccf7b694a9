// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "saved_frames.h"

static struct {
	int fd;
	const uint64_t *list;	/* NULL until it is whole */
	uint32_t domid;
	size_t nr;
} saved = { .fd = -1 };

void saved_frames_drop(void)
{
	if (saved.list)
		munmap((void *)saved.list, saved.nr * sizeof(*saved.list));
	if (saved.fd >= 0)
		close(saved.fd);
	saved.list = NULL;
	saved.fd = -1;
}

int saved_frames_begin(void)
{
	saved_frames_drop();
	saved.fd = memfd_create("vmbeam-frames", MFD_CLOEXEC);
	return saved.fd < 0 ? -errno : saved.fd;
}

/* Mapped here, so that a child has it, too. A helper that makes no such list leaves the file empty. */
void saved_frames_take(uint32_t domid)
{
	struct stat st;
	void *list;

	if (saved.fd < 0 || saved.list || fstat(saved.fd, &st) || !st.st_size || st.st_size % sizeof(*saved.list))
		return;
	list = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, saved.fd, 0);
	if (list == MAP_FAILED)
		return;
	saved.list = list;
	saved.nr = st.st_size / sizeof(*saved.list);
	saved.domid = domid;
}

const uint64_t *saved_frames_get(uint32_t domid, size_t *nr)
{
	*nr = saved.nr;
	return saved.list && saved.domid == domid ? saved.list : NULL;
}
