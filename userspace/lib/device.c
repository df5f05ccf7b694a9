// SPDX-License-Identifier: GPL-2.0
/* Thin wrappers over the ioctls of /dev/vmbeam. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmbeam.h"

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int vmbeam_open(void)
{
	int fd = open(VMBEAM_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vmbeam_query(int dev, struct vmbeam_query *query)
{
	*query = (struct vmbeam_query){ .size = sizeof(*query) };
	return call(dev, VMBEAM_QUERY, query);
}

int vmbeam_txn_begin(int dev, uint32_t domid_a, uint32_t domid_b, uint64_t *id)
{
	struct vmbeam_txn_begin arg = { .size = sizeof(arg), .domid_a = domid_a, .domid_b = domid_b };
	int rc = call(dev, VMBEAM_TXN_BEGIN, &arg);

	if (rc)
		return rc;
	*id = arg.id;
	return arg.out_fd;
}

int vmbeam_txn_swap(int txn, uint32_t flags, const struct vmbeam_extent_pair *pairs, uint32_t nr_pairs,
		    const struct vmbeam_extent_pair *excluded, uint32_t nr_excluded, uint8_t *status,
		    struct vmbeam_txn_swap *result)
{
	struct vmbeam_txn_swap arg = {
		.size = sizeof(arg),
		.flags = flags,
		.pairs = (uintptr_t)pairs,
		.nr_pairs = nr_pairs,
		.nr_excluded = nr_excluded,
		.excluded = nr_excluded ? (uintptr_t)excluded : 0,
		.status = (uintptr_t)status,
	};
	int rc = call(txn, VMBEAM_TXN_SWAP, &arg);

	if (result)
		*result = arg;
	return rc;
}

int vmbeam_txn_commit(int txn)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return call(txn, VMBEAM_TXN_COMMIT, &arg);
}

int vmbeam_txn_rollback(int txn)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return call(txn, VMBEAM_TXN_ROLLBACK, &arg);
}

int vmbeam_txn_outcome(int dev, uint64_t id, struct vmbeam_txn_outcome *outcome)
{
	*outcome = (struct vmbeam_txn_outcome){ .size = sizeof(*outcome), .id = id };
	return call(dev, VMBEAM_TXN_OUTCOME, outcome);
}

int vmbeam_txn_list(int dev, struct vmbeam_txn_outcome *txns, uint32_t room)
{
	struct vmbeam_txn_list arg = {
		.size = sizeof(arg),
		.txns = (uintptr_t)txns,
		.nr = room,
		.entry_size = sizeof(*txns),
	};
	int rc = call(dev, VMBEAM_TXN_LIST, &arg);

	return rc ? rc : (int)arg.nr;
}

int vmbeam_txn_reopen(int dev, uint64_t id)
{
	struct vmbeam_txn_reopen arg = { .size = sizeof(arg), .id = id };
	int rc = call(dev, VMBEAM_TXN_REOPEN, &arg);

	return rc ? rc : arg.out_fd;
}

int vmbeam_txn_forget(int txn)
{
	struct vmbeam_txn_end arg = { .size = sizeof(arg) };

	return call(txn, VMBEAM_TXN_FORGET, &arg);
}

int vmbeam_txn_retry(int dev, uint64_t id)
{
	int txn = vmbeam_txn_reopen(dev, id), rc;

	if (txn < 0)
		return txn;
	rc = vmbeam_txn_rollback(txn);
	close(txn);
	return rc;
}

int vmbeam_export_create(int dev, uint32_t domid, uint64_t *id)
{
	struct vmbeam_export_create arg = { .size = sizeof(arg), .domid = domid };
	int rc = call(dev, VMBEAM_EXPORT_CREATE, &arg);

	if (rc)
		return rc;
	*id = arg.id;
	return arg.out_fd;
}

int vmbeam_export_list(int dev, struct vmbeam_export_info *exports, uint32_t room)
{
	struct vmbeam_export_list arg = {
		.size = sizeof(arg),
		.exports = (uintptr_t)exports,
		.nr = room,
		.entry_size = sizeof(*exports),
	};
	int rc = call(dev, VMBEAM_EXPORT_LIST, &arg);

	return rc ? rc : (int)arg.nr;
}

int vmbeam_export_open(int dev, uint64_t id)
{
	struct vmbeam_export_open arg = { .size = sizeof(arg), .id = id };
	int rc = call(dev, VMBEAM_EXPORT_OPEN, &arg);

	return rc ? rc : arg.out_fd;
}

int vmbeam_export_add(int export_fd, const struct vmbeam_frame *frames, uint32_t nr, uint8_t *status,
		      uint32_t *nr_pinned)
{
	struct vmbeam_export_add arg = {
		.size = sizeof(arg),
		.frames = (uintptr_t)frames,
		.nr = nr,
		.status = (uintptr_t)status,
	};
	int rc = call(export_fd, VMBEAM_EXPORT_ADD, &arg);

	if (nr_pinned)
		*nr_pinned = arg.nr_pinned;
	return rc;
}

int vmbeam_export_remove(int export_fd, const uint64_t *pfns, uint32_t nr, uint32_t *nr_removed)
{
	struct vmbeam_export_remove arg = { .size = sizeof(arg), .pfns = (uintptr_t)pfns, .nr = nr };
	int rc = call(export_fd, VMBEAM_EXPORT_REMOVE, &arg);

	if (nr_removed)
		*nr_removed = arg.nr_removed;
	return rc;
}

int vmbeam_export_arm(int export_fd)
{
	struct vmbeam_export_end arg = { .size = sizeof(arg) };

	return call(export_fd, VMBEAM_EXPORT_ARM, &arg);
}

int vmbeam_export_release(int export_fd)
{
	struct vmbeam_export_end arg = { .size = sizeof(arg) };

	return call(export_fd, VMBEAM_EXPORT_RELEASE, &arg);
}

int vmbeam_export_info(int export_fd, struct vmbeam_export_info *info)
{
	*info = (struct vmbeam_export_info){ .size = sizeof(*info) };
	return call(export_fd, VMBEAM_EXPORT_INFO, info);
}

int vmbeam_export_read(int export_fd, uint64_t first, struct vmbeam_extent *extents, size_t room)
{
	ssize_t n;

	/* The count must fit the int that is returned. */
	if (room > 1 << 20)
		room = 1 << 20;
	do
		n = pread(export_fd, extents, room * sizeof(*extents), first * sizeof(*extents));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)(n / sizeof(*extents));
}
