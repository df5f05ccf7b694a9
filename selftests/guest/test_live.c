// SPDX-License-Identifier: GPL-2.0
/*
 * A real, running guest VM, named by the environment variable VMBEAM_TEST_DOMID: its export is complete and right
 * against the toolstack's own view of its P2M.
 */
#include "guest.h"
#include <xenguest.h>
#include "kselftest_harness.h"
#include "timeout.h"

#define MAX_BATCH 65536U

FIXTURE(live) {
	xc_interface *xch;
	struct xc_domain_meminfo minfo;
	uint32_t domid;
	struct vmbeam_frame *frames;	/* what the toolstack sees, by pfn */
	uint32_t nr;
	int dev;
	int fd;
};

static void __attribute__((constructor)) skip_without_guest(void)
{
	if (getenv("VMBEAM_TEST_DOMID"))
		return;
	printf("TAP version 13\n1..0 # SKIP set VMBEAM_TEST_DOMID to the domid of a running PV guest VM\n");
	exit(4);
}

FIXTURE_SETUP(live)
{
	unsigned long pfn;

	self->domid = strtoul(getenv("VMBEAM_TEST_DOMID"), NULL, 10);
	self->xch = xc_interface_open(NULL, NULL, 0);
	ASSERT_NE(self->xch, NULL);
	ASSERT_EQ(xc_map_domain_meminfo(self->xch, self->domid, &self->minfo), 0);
	self->frames = calloc(self->minfo.p2m_size, sizeof(*self->frames));
	ASSERT_NE(self->frames, NULL);
	for (pfn = 0; pfn < self->minfo.p2m_size; pfn++) {
		xen_pfn_t mfn = self->minfo.p2m_table[pfn];

		if (mfn == ~0UL || self->minfo.pfn_type[pfn] == XEN_DOMCTL_PFINFO_XTAB)
			continue;
		self->frames[self->nr++] = (struct vmbeam_frame){ .pfn = pfn, .gfn = mfn };
	}
	ASSERT_GT(self->nr, 1024);
	self->dev = dev_open();
	ASSERT_GE(self->dev, 0);
	self->fd = export_create(self->dev, self->domid, NULL);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(live)
{
	close(self->fd);
	close(self->dev);
	xc_unmap_domain_meminfo(self->xch, &self->minfo);
	xc_interface_close(self->xch);
	free(self->frames);
}

static void add_all(struct __test_metadata *_metadata, FIXTURE_DATA(live) *self)
{
	uint8_t *status = malloc(MAX_BATCH);
	uint32_t i, j, nr, refused = 0;

	for (i = 0; i < self->nr; i += nr) {
		nr = self->nr - i < MAX_BATCH ? self->nr - i : MAX_BATCH;
		ASSERT_GE(export_add(self->fd, &self->frames[i], nr, status), 0);
		for (j = 0; j < nr; j++)
			if (status[j] != VMBEAM_FRAME_PINNED && !refused++)
				TH_LOG("pfn %#llx, gfn %#llx: status %u",
				       (unsigned long long)self->frames[i + j].pfn,
				       (unsigned long long)self->frames[i + j].gfn, status[j]);
	}
	EXPECT_EQ(refused, 0);
	free(status);
}

/* read() gives exactly self->frames (but those with pfn % skip == 0), ascending and merged. Reads @room at a time. */
static void check(struct __test_metadata *_metadata, FIXTURE_DATA(live) *self, uint32_t room, uint32_t skip)
{
	struct vmbeam_extent *x = calloc(room, sizeof(*x)), last = {};
	uint64_t extents = 0, wrong = 0, i;
	struct vmbeam_export_info info;
	uint32_t at = 0, frames = 0;
	ssize_t len;

	ASSERT_EQ(lseek(self->fd, 0, SEEK_SET), 0);
	while ((len = read(self->fd, x, room * sizeof(*x))) > 0) {
		struct vmbeam_extent *e;

		ASSERT_EQ(len % sizeof(*x), 0UL);
		for (e = x; e < x + len / sizeof(*x); e++) {
			ASSERT_GT(e->nr, 0ULL);
			if (extents++) {
				ASSERT_GE(e->pfn, last.pfn + last.nr);
				ASSERT_FALSE(e->pfn == last.pfn + last.nr && e->gfn == last.gfn + last.nr);
			}
			last = *e;
			for (i = 0; i < e->nr; i++) {
				while (skip && at < self->nr && self->frames[at].pfn % skip == 0)
					at++;
				ASSERT_LT(at, self->nr);
				wrong += self->frames[at].pfn != e->pfn + i || self->frames[at].gfn != e->gfn + i;
				at++;
				frames++;
			}
		}
	}
	ASSERT_EQ(len, 0);
	while (skip && at < self->nr && self->frames[at].pfn % skip == 0)
		at++;
	EXPECT_EQ(wrong, 0ULL);
	EXPECT_EQ(at, self->nr);
	ASSERT_EQ(export_info(self->fd, &info), 0);
	EXPECT_EQ(info.nr_frames, (uint64_t)frames);
	EXPECT_EQ(info.nr_extents, extents);
	free(x);
}

TEST_F_TIMEOUT(live, complete_and_right, 300)
{
	struct vmbeam_export_info info;

	add_all(_metadata, self);
	check(_metadata, self, 10000, 0);
	check(_metadata, self, 7, 0);
	ASSERT_EQ(export_info(self->fd, &info), 0);
	TH_LOG("%llu frames in %llu extents, %llu ns to pin each", (unsigned long long)info.nr_frames,
	       (unsigned long long)info.nr_extents, (unsigned long long)(info.pin_ns / info.nr_frames));
}

/* As when the guest balloons: frames go and come back. */
TEST_F_TIMEOUT(live, every_third_frame_removed, 300)
{
	__u64 *pfns = calloc(self->nr, sizeof(*pfns));
	uint32_t i, n = 0, some;

	add_all(_metadata, self);
	for (i = 0; i < self->nr; i++)
		if (self->frames[i].pfn % 3 == 0)
			pfns[n++] = self->frames[i].pfn;
	for (i = 0; i < n; i += some) {
		some = n - i < MAX_BATCH ? n - i : MAX_BATCH;
		ASSERT_EQ(export_remove(self->fd, pfns + i, some), (int)some);
	}
	check(_metadata, self, 10000, 3);
	for (i = 0; i < self->nr; i++)
		if (self->frames[i].pfn % 3 == 0)
			ASSERT_EQ(export_add(self->fd, &self->frames[i], 1, NULL), 1);
	check(_metadata, self, 10000, 0);
	free(pfns);
}

/* Killed while it pins: it dies at once, and nothing stays. */
TEST_F_TIMEOUT(live, killed_while_pinning, 300)
{
	const struct timespec some = { .tv_nsec = 20 * 1000 * 1000 };
	int before = export_list(self->dev, NULL, 0), i;
	pid_t pid;

	for (i = 0; i < 5; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			for (;;) {
				int fd = export_create(self->dev, self->domid, NULL);

				export_add(fd, self->frames, self->nr < MAX_BATCH ? self->nr : MAX_BATCH, NULL);
				close(fd);
			}
		}
		nanosleep(&some, NULL);
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		EXPECT_EQ(export_list(self->dev, NULL, 0), before);
	}
}

/* Another domain's frames are not this one's: offered to a bare domain's export, all are refused. */
TEST_F_TIMEOUT(live, another_domains_frames, 300)
{
	uint32_t nr = self->nr < 4096 ? self->nr : 4096, i, wrong = 0;
	uint8_t *status = malloc(nr);
	struct bare d = {};
	int fd;

	ASSERT_EQ(bare_create(&d), 0);
	fd = export_create(self->dev, d.domid, NULL);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(export_add(fd, self->frames, nr, status), 0);
	for (i = 0; i < nr; i++)
		wrong += status[i] != VMBEAM_FRAME_FOREIGN;
	EXPECT_EQ(wrong, 0);
	close(fd);
	bare_destroy(&d);
	free(status);
}

TEST_HARNESS_MAIN
