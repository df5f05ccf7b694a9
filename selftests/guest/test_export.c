// SPDX-License-Identifier: GPL-2.0
/* Filling an export: what is pinned, what is refused, how it is read, and that it goes with its fd. */
#include "guest.h"
#include <xenguest.h>
#include "kselftest_harness.h"
#include "timeout.h"

FIXTURE(export) {
	struct bare d;
	int dev;
	int fd;
	uint64_t id;
};

FIXTURE_SETUP(export)
{
	self->dev = dev_open();
	ASSERT_GE(self->dev, 0);
	ASSERT_EQ(bare_create(&self->d), 0);
	self->fd = export_create(self->dev, self->d.domid, &self->id);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(export)
{
	close(self->fd);
	bare_destroy(&self->d);
	close(self->dev);
}

static struct vmbeam_frame frame(struct bare *d, int i)
{
	return (struct vmbeam_frame){ .pfn = BARE_FIRST_PFN + i, .gfn = d->mfn[i] };
}

/* What read() must give for the frames in @in, by the plainest means. */
static int expected(struct bare *d, const bool *in, struct vmbeam_extent *x)
{
	int nr = 0, i;

	for (i = 0; i < BARE_FRAMES; i++) {
		if (!in[i])
			continue;
		if (i && in[i - 1] && d->mfn[i] == d->mfn[i - 1] + 1)
			x[nr - 1].nr++;
		else
			x[nr++] = (struct vmbeam_extent){ BARE_FIRST_PFN + i, d->mfn[i], 1 };
	}
	return nr;
}

static void check(struct __test_metadata *_metadata, FIXTURE_DATA(export) *self, const bool *in)
{
	struct vmbeam_extent want[BARE_FRAMES], got[BARE_FRAMES + 1];
	int nr = expected(&self->d, in, want), frames = 0, i;
	struct vmbeam_export_info info;

	for (i = 0; i < BARE_FRAMES; i++)
		frames += in[i];
	ASSERT_EQ(export_info(self->fd, &info), 0);
	EXPECT_EQ(info.id, self->id);
	EXPECT_EQ(info.domid, self->d.domid);
	EXPECT_EQ(info.state, VMBEAM_EXPORT_FILLING);
	EXPECT_EQ(info.nr_frames, (uint64_t)frames);
	EXPECT_EQ(info.nr_extents, (uint64_t)nr);
	ASSERT_EQ(pread(self->fd, got, sizeof(got), 0), (ssize_t)(nr * sizeof(*got)));
	EXPECT_EQ(memcmp(got, want, nr * sizeof(*got)), 0);
}

TEST_F(export, query)
{
	struct vmbeam_query q = { .size = sizeof(q) };

	ASSERT_EQ(ioctl(self->dev, VMBEAM_QUERY, &q), 0);
	EXPECT_EQ(q.role, VMBEAM_ROLE_GUEST);
	EXPECT_TRUE(q.features & VMBEAM_FEATURE_EXPORT);
	EXPECT_EQ(q.max_extents, 0ULL);
	EXPECT_GE(q.max_frames, 65536ULL);
}

TEST_F(export, bad_domids)
{
	static const uint32_t bad[] = { 0, 0x7ff0, 0x7ff1, 0x7ff2, 0x7ff3, 0x7ff4, 0x7fff, 0x8001, 0xffff,
					0x10001, 0xffffffff };
	uint32_t none = self->d.domid;
	xc_domaininfo_t info;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(export_create(self->dev, bad[i], NULL), -1);
		EXPECT_EQ(errno, EINVAL);
	}
	do {
		none++;
	} while (!xc_domain_getinfo_single(self->d.xch, none, &info));
	EXPECT_EQ(export_create(self->dev, none, NULL), -1);
	EXPECT_EQ(errno, ESRCH);
}

TEST_F(export, empty)
{
	bool in[BARE_FRAMES] = {};

	check(_metadata, self, in);
	EXPECT_EQ(export_end(self->fd, VMBEAM_EXPORT_ARM), -1);
	EXPECT_EQ(errno, EINVAL);
}

/* In an order that is neither up nor down, in two calls, and read while it grows and shrinks. */
TEST_F(export, add_remove_read)
{
	struct vmbeam_frame f[BARE_FRAMES];
	uint8_t status[BARE_FRAMES];
	bool in[BARE_FRAMES] = {};
	__u64 pfn;
	int i;

	for (i = 0; i < BARE_FRAMES; i++)
		f[i] = frame(&self->d, i * 31 % BARE_FRAMES);

	memset(status, 0xee, sizeof(status));
	ASSERT_EQ(export_add(self->fd, f, 20, status), 20);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(status[i], VMBEAM_FRAME_PINNED);
		in[f[i].pfn - BARE_FIRST_PFN] = true;
	}
	EXPECT_EQ(status[20], 0xee);
	check(_metadata, self, in);

	ASSERT_EQ(export_add(self->fd, f + 20, BARE_FRAMES - 20, NULL), BARE_FRAMES - 20);
	memset(in, true, sizeof(in));
	check(_metadata, self, in);

	for (i = 0; i < BARE_FRAMES; i += 3) {
		pfn = BARE_FIRST_PFN + i;
		ASSERT_EQ(export_remove(self->fd, &pfn, 1), 1);
		in[i] = false;
		check(_metadata, self, in);
	}
	for (i = 0; i < BARE_FRAMES; i += 3) {
		f[0] = frame(&self->d, i);
		ASSERT_EQ(export_add(self->fd, f, 1, status), 1);
		in[i] = true;
		check(_metadata, self, in);
	}
}

TEST_F(export, remove_passes_over_unknown)
{
	__u64 pfns[] = { BARE_FIRST_PFN + 1, BARE_FIRST_PFN + 1, 7, ~0ULL, BARE_FIRST_PFN + 3, 1ULL << 63 };
	bool in[BARE_FRAMES] = { true, true, true, true };
	struct vmbeam_frame f[4];
	int i;

	for (i = 0; i < 4; i++)
		f[i] = frame(&self->d, i);
	ASSERT_EQ(export_add(self->fd, f, 4, NULL), 4);
	EXPECT_EQ(export_remove(self->fd, pfns, 6), 2);
	in[1] = false;
	in[3] = false;
	check(_metadata, self, in);
	EXPECT_EQ(export_remove(self->fd, pfns, 6), 0);
}

TEST_F(export, read_in_pieces)
{
	void *volatile nowhere = (void *)8;	/* or the compiler sees through it */
	struct vmbeam_extent all[BARE_FRAMES], one;
	struct vmbeam_export_info info;
	struct vmbeam_frame f;
	uint64_t i;

	for (i = 0; i < BARE_FRAMES; i += 2) {
		f = frame(&self->d, i);
		ASSERT_EQ(export_add(self->fd, &f, 1, NULL), 1);
	}
	ASSERT_EQ(export_info(self->fd, &info), 0);
	ASSERT_EQ(info.nr_extents, BARE_FRAMES / 2ULL);
	ASSERT_EQ(read(self->fd, all, sizeof(all)), (ssize_t)(info.nr_extents * sizeof(one)));
	EXPECT_EQ(read(self->fd, all, sizeof(all)), 0);
	ASSERT_EQ(lseek(self->fd, 0, SEEK_SET), 0);
	for (i = 0; i < info.nr_extents; i++) {
		/* Room for one and a half gives one. */
		struct vmbeam_extent room[2];

		ASSERT_EQ(read(self->fd, room, sizeof(one) * 3 / 2), (ssize_t)sizeof(one));
		EXPECT_EQ(memcmp(room, &all[i], sizeof(one)), 0);
	}
	EXPECT_EQ(read(self->fd, &one, sizeof(one)), 0);

	/* The list is that of the read at offset 0: one frame less changes nothing for a reader on its way. */
	ASSERT_EQ(pread(self->fd, &one, sizeof(one), 0), (ssize_t)sizeof(one));
	ASSERT_EQ(export_remove(self->fd, (__u64[]){ BARE_FIRST_PFN }, 1), 1);
	ASSERT_EQ(pread(self->fd, &one, sizeof(one), sizeof(one)), (ssize_t)sizeof(one));
	EXPECT_EQ(one.pfn, all[1].pfn);
	ASSERT_EQ(pread(self->fd, &one, sizeof(one), 0), (ssize_t)sizeof(one));
	EXPECT_EQ(one.pfn, all[1].pfn);

	EXPECT_EQ(pread(self->fd, &one, sizeof(one), 1), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(pread(self->fd, &one, sizeof(one) - 1, 0), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(pread(self->fd, nowhere, sizeof(one), 0), -1);
	EXPECT_EQ(errno, EFAULT);
}

TEST_F(export, refused)
{
	struct vmbeam_frame f[] = {
		frame(&self->d, 0),
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = self->d.mfn[2] },	/* another frame of the domain */
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = ~0ULL },
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = 1ULL << 52 },
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = self->d.mfn[1] | 1ULL << 52 },
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = 0 },
		{ .pfn = ~0ULL, .gfn = self->d.mfn[1] },
		{ .pfn = 1ULL << 40, .gfn = self->d.mfn[1] },
		frame(&self->d, 1),
		frame(&self->d, 1),
		{ .pfn = BARE_FIRST_PFN + 2, .gfn = self->d.mfn[1] },
		{ .pfn = BARE_FIRST_PFN + 1, .gfn = self->d.mfn[2] },
		frame(&self->d, 2),
	};
	static const uint8_t want[] = {
		VMBEAM_FRAME_PINNED, VMBEAM_FRAME_M2P, VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_FOREIGN,
		VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_M2P, VMBEAM_FRAME_M2P,
		VMBEAM_FRAME_PINNED, VMBEAM_FRAME_DUPLICATE, VMBEAM_FRAME_DUPLICATE, VMBEAM_FRAME_DUPLICATE,
		VMBEAM_FRAME_PINNED,
	};
	bool in[BARE_FRAMES] = { true, true, true };
	uint8_t status[sizeof(want)];
	size_t i;

	ASSERT_EQ(export_add(self->fd, f, sizeof(want), status), 3);
	for (i = 0; i < sizeof(want); i++)
		EXPECT_EQ(status[i], want[i]) TH_LOG("frame %zu", i);
	check(_metadata, self, in);

	/* And in a later call. */
	ASSERT_EQ(export_add(self->fd, f, sizeof(want), status), 0);
	EXPECT_EQ(status[0], VMBEAM_FRAME_DUPLICATE);
	EXPECT_EQ(status[2], VMBEAM_FRAME_FOREIGN);
	check(_metadata, self, in);
}

/*
 * Every frame of the machine is offered, each with the pfn that the M2P has for it: dom0's own, Xen's, the holes.
 * Exactly the domain's may be taken.
 */
TEST_F_TIMEOUT(export, whole_machine, 600)
{
	unsigned long max_mfn, first, i, taken = 0, nr;
	const uint32_t step = 65536;
	bool in[BARE_FRAMES];
	struct vmbeam_frame *f;
	xen_pfn_t *m2p;
	uint8_t *status;
	int pinned;

	ASSERT_EQ(xc_maximum_ram_page(self->d.xch, &max_mfn), 0);
	m2p = xc_map_m2p(self->d.xch, max_mfn, PROT_READ, NULL);
	ASSERT_NE(m2p, NULL);
	f = calloc(step, sizeof(*f));
	status = calloc(step, 1);
	for (first = 0; first < max_mfn; first += nr) {
		nr = max_mfn - first < step ? max_mfn - first : step;
		for (i = 0; i < nr; i++)
			f[i] = (struct vmbeam_frame){ .pfn = m2p[first + i], .gfn = first + i };
		pinned = export_add(self->fd, f, nr, status);
		ASSERT_GE(pinned, 0);
		taken += pinned;
		for (i = 0; i < nr; i++)
			/* M2P only for what is no pfn; a pfn of another domain may be one of ours too. */
			if (status[i] == VMBEAM_FRAME_M2P)
				EXPECT_GE(f[i].pfn, 1ULL << 40) TH_LOG("gfn %#lx", first + i);
	}
	EXPECT_EQ(taken, (unsigned long)BARE_FRAMES);
	memset(in, true, sizeof(in));
	check(_metadata, self, in);
	free(f);
	free(status);
}

/* The proof that frames are pinned, and that they are not any more: a destroyed domain stays, or goes. */
TEST_F_TIMEOUT(export, pinned_until_closed, 90)
{
	struct vmbeam_frame f = frame(&self->d, 5);

	ASSERT_EQ(export_add(self->fd, &f, 1, NULL), 1);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	sleep(2);
	EXPECT_TRUE(bare_dying(&self->d));
	ASSERT_EQ(close(self->fd), 0);
	EXPECT_TRUE(bare_goes(&self->d));
	EXPECT_EQ(export_listed(self->dev, self->id, NULL), 0);
}

TEST_F_TIMEOUT(export, pinned_until_removed, 90)
{
	struct vmbeam_frame f[] = { frame(&self->d, 5), frame(&self->d, 9) };

	ASSERT_EQ(export_add(self->fd, f, 2, NULL), 2);
	ASSERT_EQ(export_remove(self->fd, &f[0].pfn, 1), 1);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	sleep(2);
	EXPECT_TRUE(bare_dying(&self->d));
	ASSERT_EQ(export_remove(self->fd, &f[1].pfn, 1), 1);
	EXPECT_TRUE(bare_goes(&self->d));
	/* And now there is nobody to pin from. */
	EXPECT_EQ(export_add(self->fd, f, 2, NULL), -1);
	EXPECT_EQ(errno, ESRCH);
}

TEST_F_TIMEOUT(export, pinned_until_released, 90)
{
	struct vmbeam_export_info info;
	struct vmbeam_frame f = frame(&self->d, 5);
	struct vmbeam_extent x;

	ASSERT_EQ(export_add(self->fd, &f, 1, NULL), 1);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	sleep(2);
	EXPECT_TRUE(bare_dying(&self->d));
	ASSERT_EQ(export_end(self->fd, VMBEAM_EXPORT_RELEASE), 0);
	EXPECT_TRUE(bare_goes(&self->d));
	/* The fd is good for nothing any more. */
	EXPECT_EQ(export_listed(self->dev, self->id, NULL), 0);
	EXPECT_EQ(export_add(self->fd, &f, 1, NULL), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_remove(self->fd, &f.pfn, 1), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_info(self->fd, &info), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(read(self->fd, &x, sizeof(x)), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_end(self->fd, VMBEAM_EXPORT_ARM), -1);
	EXPECT_EQ(errno, EBADFD);
	EXPECT_EQ(export_end(self->fd, VMBEAM_EXPORT_RELEASE), -1);
	EXPECT_EQ(errno, EBADFD);
}

/* The owner is killed. A copy of the fd keeps the export: it goes with the last one. */
TEST_F_TIMEOUT(export, pinned_until_killed, 90)
{
	struct vmbeam_export_info info = {};
	uint64_t id = 0;
	int p[2];
	pid_t pid;

	ASSERT_EQ(pipe(p), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (export_of(self->dev, &self->d, BARE_FRAMES, &id) < 0)
			id = 0;
		if (write(p[1], &id, sizeof(id)) != sizeof(id))
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(read(p[0], &id, sizeof(id)), (ssize_t)sizeof(id));
	ASSERT_NE(id, 0ULL);
	EXPECT_EQ(export_listed(self->dev, id, &info), VMBEAM_EXPORT_FILLING);
	EXPECT_EQ(info.nr_frames, (uint64_t)BARE_FRAMES);
	EXPECT_EQ(export_open(self->dev, id), -1);
	EXPECT_EQ(errno, EBADFD);
	ASSERT_EQ(xc_domain_destroy(self->d.xch, self->d.domid), 0);
	sleep(2);
	EXPECT_TRUE(bare_dying(&self->d));
	ASSERT_EQ(kill(pid, SIGKILL), 0);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	EXPECT_TRUE(bare_goes(&self->d));
	EXPECT_EQ(export_listed(self->dev, id, NULL), 0);
}

TEST_HARNESS_MAIN
