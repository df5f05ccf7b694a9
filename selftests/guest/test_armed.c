// SPDX-License-Identifier: GPL-2.0
/* An armed export: it outlives its fd, its process and its domain, and goes only when it is released. */
#include "guest.h"
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "timeout.h"

FIXTURE(armed) {
	struct bare d;
	int dev;
	int fd;
	uint64_t id;
};

FIXTURE_SETUP(armed)
{
	int i;

	self->dev = dev_open();
	ASSERT_GE(self->dev, 0);
	ASSERT_EQ(bare_create(&self->d), 0);
	for (i = 0; i < BARE_FRAMES; i++)
		ASSERT_EQ(bare_pattern(&self->d, i, true), 0);
	self->fd = export_of(self->dev, &self->d, BARE_FRAMES, &self->id);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(export_end(self->fd, VMBEAM_EXPORT_ARM), 0);
}

FIXTURE_TEARDOWN(armed)
{
	close(self->fd);
	bare_destroy(&self->d);
	close(self->dev);
}

TEST_F(armed, closed_to_change)
{
	struct vmbeam_frame f = { .pfn = BARE_FIRST_PFN, .gfn = self->d.mfn[0] };

	EXPECT_EQ(export_end(self->fd, VMBEAM_EXPORT_ARM), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_add(self->fd, &f, 1, NULL), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_remove(self->fd, &f.pfn, 1), -1);
	EXPECT_EQ(errno, EBADFD);
}

TEST_F(armed, listed_and_reopened)
{
	struct vmbeam_extent before[BARE_FRAMES], after[BARE_FRAMES];
	struct vmbeam_export_info info, listed;
	ssize_t len;
	int other;

	len = pread(self->fd, before, sizeof(before), 0);
	ASSERT_GT(len, 0);
	ASSERT_EQ(export_info(self->fd, &info), 0);
	ASSERT_EQ(close(self->fd), 0);

	EXPECT_EQ(export_listed(self->dev, self->id, &listed), VMBEAM_EXPORT_ARMED);
	EXPECT_EQ(memcmp(&info, &listed, sizeof(info)), 0);

	self->fd = export_open(self->dev, self->id);
	ASSERT_GE(self->fd, 0);
	EXPECT_TRUE(fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(pread(self->fd, after, sizeof(after), 0), len);
	EXPECT_EQ(memcmp(before, after, len), 0);

	/* Released through one fd, it is over for the other. */
	other = export_open(self->dev, self->id);
	ASSERT_GE(other, 0);
	EXPECT_EQ(export_end(other, VMBEAM_EXPORT_RELEASE), 0);
	EXPECT_EQ(export_info(self->fd, &info), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_open(self->dev, self->id), -1);
	EXPECT_EQ(errno, ENOENT);
	EXPECT_EQ(export_listed(self->dev, self->id, NULL), 0);
	close(other);
}

/* Fewer rooms than exports: the number is told all the same. Ids ascend and are not given again. */
TEST_F(armed, list)
{
	struct vmbeam_export_info infos[8];
	uint64_t id, last = 0;
	int fd, nr, i;

	fd = export_create(self->dev, self->d.domid, &id);
	ASSERT_GE(fd, 0);
	EXPECT_GT(id, self->id);
	nr = export_list(self->dev, NULL, 0);
	EXPECT_GE(nr, 2);
	memset(infos, 0, sizeof(infos));
	EXPECT_EQ(export_list(self->dev, infos, 1), nr);
	EXPECT_EQ(infos[0].size, sizeof(infos[0]));
	EXPECT_EQ(infos[1].size, 0);
	nr = export_list(self->dev, infos, 8);
	for (i = 0; i < nr && i < 8; i++) {
		EXPECT_GT(infos[i].id, last);
		last = infos[i].id;
	}
	close(fd);
	EXPECT_EQ(export_open(self->dev, id), -1);
	EXPECT_EQ(errno, ENOENT);
	EXPECT_EQ(export_open(self->dev, 0), -1);
	EXPECT_EQ(errno, ENOENT);
}

/* Entries are as far apart as the caller says, and nothing beyond the last one is written. */
TEST_F(armed, list_entry_size)
{
	struct vmbeam_export_list l = { .size = sizeof(l), .entry_size = sizeof(struct vmbeam_export_info) + 16 };
	struct vmbeam_export_info *first;
	uint64_t buf[3 * (sizeof(*first) + 16) / 8];

	memset(buf, 0xee, sizeof(buf));
	l.exports = (uintptr_t)buf;
	l.nr = 1;
	ASSERT_EQ(ioctl(self->dev, VMBEAM_EXPORT_LIST, &l), 0);
	first = (void *)buf;
	EXPECT_EQ(first->size, sizeof(*first));
	EXPECT_EQ(buf[sizeof(*first) / 8], 0ULL);
	EXPECT_EQ(buf[sizeof(*first) / 8 + 1], 0ULL);
	EXPECT_EQ(buf[sizeof(*first) / 8 + 2], 0xeeeeeeeeeeeeeeeeULL);
	l.entry_size = sizeof(*first) - 1;
	EXPECT_EQ(ioctl(self->dev, VMBEAM_EXPORT_LIST, &l), -1);
	EXPECT_EQ(errno, EINVAL);
	l.entry_size = 4097;
	EXPECT_EQ(ioctl(self->dev, VMBEAM_EXPORT_LIST, &l), -1);
	EXPECT_EQ(errno, E2BIG);
}

/*
 * The domain is destroyed, the owner is gone: every byte is still there. The frames are looked at through a foreign
 * mapping, which the hypervisor allows also of a dying domain, as long as a frame has a reference.
 */
TEST_F_TIMEOUT(armed, outlives_domain_and_owner, 120)
{
	pid_t pid;
	int i;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(close(self->fd), 0);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	ASSERT_EQ(kill(pid, SIGKILL), 0);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	sleep(3);
	EXPECT_EQ(export_listed(self->dev, self->id, NULL), VMBEAM_EXPORT_ARMED);
	ASSERT_TRUE(bare_dying(&self->d));
	for (i = 0; i < BARE_FRAMES; i++)
		EXPECT_EQ(bare_pattern(&self->d, i, false), 0) TH_LOG("frame %d", i);

	self->fd = export_open(self->dev, self->id);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(export_end(self->fd, VMBEAM_EXPORT_RELEASE), 0);
	EXPECT_TRUE(bare_goes(&self->d));
}

/* What was not pinned does go when the domain is destroyed: the check above can fail. */
TEST_F_TIMEOUT(armed, unpinned_frames_go, 120)
{
	struct vmbeam_frame f = { .pfn = BARE_FIRST_PFN, .gfn = self->d.mfn[0] };

	ASSERT_EQ(export_end(self->fd, VMBEAM_EXPORT_RELEASE), 0);
	close(self->fd);
	self->fd = export_create(self->dev, self->d.domid, &self->id);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(export_add(self->fd, &f, 1, NULL), 1);
	ASSERT_EQ(export_end(self->fd, VMBEAM_EXPORT_ARM), 0);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	sleep(2);
	EXPECT_EQ(bare_pattern(&self->d, 0, false), 0);
	EXPECT_NE(bare_pattern(&self->d, 1, false), 0);
}

TEST_F(armed, module_stays)
{
	close(self->fd);
	close(self->dev);
	self->dev = -1;
	EXPECT_EQ(syscall(SYS_delete_module, "vmbeam_guest", O_NONBLOCK), -1);
	EXPECT_EQ(errno, EWOULDBLOCK);
	self->dev = dev_open();
	ASSERT_GE(self->dev, 0);
	EXPECT_EQ(export_listed(self->dev, self->id, NULL), VMBEAM_EXPORT_ARMED);
	self->fd = export_open(self->dev, self->id);
	EXPECT_GE(self->fd, 0);
}

TEST_HARNESS_MAIN
