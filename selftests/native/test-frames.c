// SPDX-License-Identifier: GPL-2.0
/*
 * The agent's exports over a made-up module and a made-up domain: what takes long says "again" and is asked once more,
 * and what it comes to is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "guard.h"
#include "ops.h"
#include "js.h"
#include "saved_frames.h"
#include "vmbeam.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

#define PFNS	10000
#define GFNS	65536
#define DOMID	5
#define ID	77
#define SLOW_US	1000000	/* far beyond AGAIN_MS as it is here */

/* What the children see, too. */
static struct module {
	uint64_t gfn[PFNS];	/* pinned; 0: not */
	bool pinned[GFNS];	/* by gfn */
	uint64_t p2m[PFNS];	/* of the domain */
	uint32_t flags;		/* XEN_DOMINF_* */
	bool armed, released;
	int slow_add, slow_read, slow_release;	/* how many of the next are */
	int walks;		/* how often the domain's P2M was read */
} *m;

static void slow(int *left)
{
	if (*left && (*left)--)
		usleep(SLOW_US);
}

int vmbeam_open(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int vmbeam_query(int dev, struct vmbeam_query *query)
{
	(void)dev;
	(void)query;
	return 0;
}

int vmbeam_export_create(int dev, uint32_t domid, uint64_t *id)
{
	(void)dev;
	*id = ID;
	return domid == DOMID ? vmbeam_open() : -ESRCH;
}

int vmbeam_export_open(int dev, uint64_t id)
{
	(void)dev;
	return id != ID || m->released ? -ENOENT : m->armed ? vmbeam_open() : -EBADFD;
}

static uint8_t refusal(const struct vmbeam_frame *frame)
{
	if (frame->pfn == 50)
		return VMBEAM_FRAME_M2P;
	if (frame->pfn == 7000)
		return VMBEAM_FRAME_FOREIGN;
	return m->pinned[frame->gfn] ? VMBEAM_FRAME_DUPLICATE : VMBEAM_FRAME_PINNED;
}

static void pin(uint64_t pfn, uint64_t gfn)
{
	if (m->gfn[pfn])
		m->pinned[m->gfn[pfn]] = false;
	m->gfn[pfn] = gfn;
	if (gfn)
		m->pinned[gfn] = true;
}

/* Two of them do not fit: one pfn's M2P entry names another, one frame is another domain's. */
int vmbeam_export_add(int fd, const struct vmbeam_frame *frames, uint32_t nr, uint8_t *status, uint32_t *nr_pinned)
{
	*nr_pinned = 0;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (m->armed)
		return -EBADFD;
	slow(&m->slow_add);
	for (uint32_t i = 0; i < nr; i++) {
		status[i] = refusal(&frames[i]);
		if (status[i] != VMBEAM_FRAME_PINNED)
			continue;
		pin(frames[i].pfn, frames[i].gfn);
		++*nr_pinned;
	}
	return 0;
}

int vmbeam_export_remove(int fd, const uint64_t *pfns, uint32_t nr, uint32_t *nr_removed)
{
	*nr_removed = nr;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	for (uint32_t i = 0; i < nr; i++)
		pin(pfns[i], 0);
	return 0;
}

int vmbeam_export_arm(int fd)
{
	(void)fd;
	m->armed = true;
	return 0;
}

/* The guard: whom it was told of, and whether the export was armed by then. */
struct guard guard_here;
static char left[100];
static bool unguarded, unreadable;

int domain_config(uint32_t domid, struct json_object **config, char *why, size_t size)
{
	*config = NULL;
	snprintf(why, size, "it is a made-up reason");
	if (unreadable || domid != DOMID)
		return -EIO;
	*config = json_tokener_parse("{\"disks\":[{\"pdev_path\":\"/dev/vdb\",\"readwrite\":1},"
				     "{\"pdev_path\":\"/cd.iso\"},{\"readwrite\":1}]}");
	return 0;
}

int guard_leave(const struct guard *g, const struct xl_guest *guest, int64_t now, struct error *err)
{
	(void)now;
	if (unguarded) {
		snprintf(err->text, sizeof(err->text), "the disk is full");
		return -1;
	}
	snprintf(left, sizeof(left), "%s %s %s %s", g == &guard_here && !m->armed ? "first" : "late", guest->uuid,
		 guest->name,
		 json_object_to_json_string_ext(guest->disks, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

int vmbeam_export_release(int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	slow(&m->slow_release);
	if (m->released)
		return -EBADFD;
	m->released = true;
	return 0;
}

int vmbeam_export_info(int fd, struct vmbeam_export_info *info)
{
	(void)fd;
	*info = (struct vmbeam_export_info){ .state = m->armed ? VMBEAM_EXPORT_ARMED : VMBEAM_EXPORT_FILLING };
	for (int i = 0; i < PFNS; i++)
		info->nr_frames += m->gfn[i] != 0;
	return 0;
}

int vmbeam_export_read(int fd, uint64_t first, struct vmbeam_extent *extents, size_t room)
{
	uint64_t at = 0;
	size_t n = 0;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (!first)
		slow(&m->slow_read);
	for (uint64_t i = 0; i < PFNS && n < room; i++)
		if (m->gfn[i] && at++ >= first)
			extents[n++] = (struct vmbeam_extent){ .pfn = i, .gfn = m->gfn[i], .nr = 1 };
	return n;
}

/* --- the domain ------------------------------------------------------------------------------------------------- */

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned int flags)
{
	(void)logger;
	(void)dombuild_logger;
	(void)flags;
	return (xc_interface *)m;
}

int xc_interface_close(xc_interface *xch)
{
	(void)xch;
	return 0;
}

int xc_domain_getinfo_single(xc_interface *xch, uint32_t domid, xc_domaininfo_t *info)
{
	(void)xch;
	memset(info, 0, sizeof(*info));
	info->flags = m->flags;
	return domid == DOMID ? 0 : -1;
}

static xen_pfn_t types[PFNS];

int xc_map_domain_meminfo(xc_interface *xch, uint32_t domid, struct xc_domain_meminfo *info)
{
	(void)xch;
	(void)domid;
	m->walks++;
	info->guest_width = 8;
	info->p2m_size = PFNS;
	info->p2m_table = (xen_pfn_t *)m->p2m;
	info->pfn_type = types;
	for (int i = 0; i < PFNS; i++)
		types[i] = m->p2m[i] ? XEN_DOMCTL_PFINFO_NOTAB : XEN_DOMCTL_PFINFO_XTAB;
	return 0;
}

int xc_unmap_domain_meminfo(xc_interface *xch, struct xc_domain_meminfo *info)
{
	(void)xch;
	(void)info;
	return 0;
}

/* By the M2P it is not asked here. */
int xc_get_pfn_type_batch(xc_interface *xch, uint32_t domid, unsigned int num, xen_pfn_t *arr)
{
	(void)xch;
	(void)domid;
	(void)num;
	(void)arr;
	return -1;
}

int xc_maximum_ram_page(xc_interface *xch, unsigned long *max_mfn)
{
	(void)xch;
	(void)max_mfn;
	return -1;
}

int xc_domain_nr_gpfns(xc_interface *xch, uint32_t domid, xen_pfn_t *gpfns)
{
	(void)xch;
	(void)domid;
	(void)gpfns;
	return -1;
}

xen_pfn_t *xc_map_m2p(xc_interface *xch, unsigned long max_mfn, int prot, unsigned long *mfn0)
{
	(void)xch;
	(void)max_mfn;
	(void)prot;
	(void)mfn0;
	return NULL;
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

FIXTURE(frames) {
	struct request r;
	int repeats;
};

FIXTURE_SETUP(frames)
{
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, m);
	for (int i = 0; i < PFNS; i++)
		m->p2m[i] = i % 9 ? 20000 + i : 0;
	memset(&self->r, 0, sizeof(self->r));
}

FIXTURE_TEARDOWN(frames)
{
	saved_frames_drop();
	request_forget(&self->r);
}

static const char *migration = "m1";

/* The UUID of a guest VM that leaves, if one does. */
static const char *leaves;

/* One request; its answer is in self->r. */
static int ask_once(FIXTURE_DATA(frames) *self, int (*op)(struct request *r), uint32_t domid, uint64_t offset,
		    bool again)
{
	request_begin(&self->r, again);
	js_add_str(self->r.in, "migration", migration);
	js_add_str(self->r.in, "how", "p2m");
	js_add_u64(self->r.in, "domid", domid);
	js_add_u64(self->r.in, "export", ID);
	js_add_u64(self->r.in, "offset", offset);
	if (leaves)
		js_add_str(self->r.in, "uuid", leaves);
	if (leaves)
		js_add_str(self->r.in, "name", "u1");
	return op(&self->r);
}

/* Asks as the daemon does, until the work is done. */
static int ask(FIXTURE_DATA(frames) *self, int (*op)(struct request *r), uint64_t offset)
{
	int rc;

	self->repeats = 0;
	for (bool again = false;; again = true) {
		rc = ask_once(self, op, DOMID, offset, again);
		if (rc || !self->r.again)
			return rc;
		self->repeats++;
	}
}

static uint64_t told(FIXTURE_DATA(frames) *self, const char *key)
{
	return js_u64(self->r.out, key, -1);
}

TEST_F(frames, begin)
{
	m->slow_add = 1;
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_LT(0, self->repeats);
	EXPECT_EQ(8888 - 2, told(self, "frames"));
	EXPECT_EQ(2, told(self, "refused"));
	EXPECT_EQ(ID, told(self, "export"));
	/* Asked for once more, since the answer was lost. */
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(8888 - 2, told(self, "frames"));
	EXPECT_EQ(2, told(self, "refused"));
}

/* U13: of a migration that was given up. What is armed is the module's. */
TEST_F(frames, begin_after_another_was_given_up)
{
	migration = "m0";
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	migration = "m1";
	m->slow_release = 1;
	ASSERT_EQ(0, ask(self, op_export_begin, 0)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(m->released);
}

TEST_F(frames, begin_after_an_armed_one_was_given_up)
{
	migration = "m0";
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	m->armed = true;
	migration = "m1";
	ask(self, op_export_begin, 0);
	EXPECT_FALSE(m->released);
}

TEST_F(frames, begin_of_what_is_gone)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	memset(m->p2m, 0, sizeof(m->p2m));
	EXPECT_EQ(-EIO, ask(self, op_export_sync, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "domain 5 has no frames"));
	EXPECT_EQ(0, ask(self, op_export_release, 0));
	EXPECT_TRUE(m->released);
}

TEST_F(frames, sync)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	m->p2m[0] = 40000;
	m->p2m[1] = 0;
	m->p2m[2] = 40002;
	m->p2m[PFNS - 2] = 0;
	m->slow_add = 1;
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_LT(0, self->repeats);
	EXPECT_EQ(2, told(self, "added"));
	EXPECT_EQ(3, told(self, "removed"));
	EXPECT_EQ(2, told(self, "refused"));
	EXPECT_EQ(8885, told(self, "frames"));
	EXPECT_EQ(40002, m->gfn[2]);
	EXPECT_EQ(0, m->gfn[PFNS - 2]);
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(0, told(self, "added"));
	EXPECT_EQ(0, told(self, "removed"));
}

/* What the save helper writes down of a domain with this P2M. */
static void save(struct __test_metadata *_metadata, uint32_t domid, size_t pfns)
{
	int fd = saved_frames_begin();

	ASSERT_LE(0, fd);
	for (size_t pfn = 0; pfn < pfns; pfn++) {
		uint64_t frame = m->p2m[pfn] ?: NO_FRAME;

		ASSERT_EQ(sizeof(frame), (size_t)write(fd, &frame, sizeof(frame)));
	}
	saved_frames_take(domid);
}

TEST_F(frames, sync_by_the_list_of_the_save)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(1, m->walks);
	m->p2m[0] = 40000;
	m->p2m[1] = 0;
	m->p2m[2] = 40002;
	m->p2m[PFNS - 2] = 0;
	save(_metadata, DOMID, PFNS);
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(1, m->walks);
	EXPECT_EQ(2, told(self, "added"));
	EXPECT_EQ(3, told(self, "removed"));
	EXPECT_EQ(8885, told(self, "frames"));
	EXPECT_EQ(40002, m->gfn[2]);
	/* A P2M that ends earlier. */
	save(_metadata, DOMID, PFNS - 9);
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(1, m->walks);
	EXPECT_EQ(7, told(self, "removed"));
}

/* It runs again, the list is another domain's, the helper makes none, or has not ended. */
TEST_F(frames, sync_without_such_a_list)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	save(_metadata, DOMID, PFNS);
	saved_frames_drop();
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(2, m->walks);
	save(_metadata, DOMID + 1, PFNS);
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(3, m->walks);
	save(_metadata, DOMID, 0);
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(4, m->walks);
	ASSERT_LE(0, saved_frames_begin());
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(5, m->walks);
	EXPECT_EQ(0, told(self, "removed"));
}

/* The module does not pin a frame twice: it is let go of where it was before it is taken where it is. */
TEST_F(frames, sync_of_what_has_changed_places)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	m->p2m[1] = 20002;
	m->p2m[2] = 20001;
	ASSERT_EQ(0, ask(self, op_export_sync, 0));
	EXPECT_EQ(2, told(self, "added"));
	EXPECT_EQ(2, told(self, "removed"));
	EXPECT_EQ(2, told(self, "refused"));
	EXPECT_EQ(20002, m->gfn[1]);
	EXPECT_EQ(20001, m->gfn[2]);
}

TEST_F(frames, sync_of_another_domain)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(-EINVAL, ask_once(self, op_export_sync, DOMID + 1, 0, false));
	EXPECT_NE(NULL, strstr(self->r.error, "of domain 5, not 6"));
}

/* A daemon that died was waiting for it: the next one is told what is true now. */
TEST_F(frames, what_was_done_for_another_request_is_done_again)
{
	m->slow_add = 1;
	ASSERT_EQ(0, ask_once(self, op_export_begin, DOMID, 0, false));
	ASSERT_TRUE(self->r.again);
	usleep(SLOW_US + SLOW_US / 2);
	m->p2m[0] = 40000;
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(8888 + 1 - 2, told(self, "frames"));
}

TEST_F(frames, domains_that_have_none_to_give)
{
	m->flags = XEN_DOMINF_dying;
	EXPECT_EQ(-EIO, ask(self, op_guest_frames, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "domain 5 is gone"));
	m->flags = XEN_DOMINF_hvm_guest;
	EXPECT_EQ(-EIO, ask(self, op_guest_frames, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "domain 5 is not PV"));
	EXPECT_EQ(-EINVAL, ask_once(self, op_guest_frames, 0, 0, false));
	EXPECT_EQ(-EINVAL, ask_once(self, op_guest_frames, MAX_DOMID, 0, false));
}

TEST_F(frames, read)
{
	const struct vmbeam_extent *e;

	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	ASSERT_EQ(0, ask(self, op_export_arm, 0));
	m->slow_read = 1;
	ASSERT_EQ(0, ask(self, op_export_read, 0));
	EXPECT_LT(0, self->repeats);
	ASSERT_EQ(8886 * sizeof(*e), self->r.out_len);
	e = (const void *)self->r.out_blob;
	EXPECT_EQ(1, e[0].pfn);
	EXPECT_EQ(20001, e[0].gfn);
	m->slow_read = 1;
	ASSERT_EQ(0, ask(self, op_export_read, 8886 * sizeof(*e)));
	EXPECT_EQ(0, self->repeats);
	EXPECT_TRUE(js_bool(self->r.out, "eof"));
	EXPECT_EQ(0, self->r.out_len);
}

/* Before the export is armed, and so before the first frame moves. */
TEST_F(frames, armed_once_it_is_guarded)
{
	leaves = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	ASSERT_EQ(0, ask(self, op_export_arm, 0));
	/* With the disks that it can write to. */
	EXPECT_STREQ("first 6ba7b810-9dad-11d1-80b4-00c04fd430c8 u1 [\"/dev/vdb\"]", left);
	EXPECT_TRUE(m->armed);
	/* The answer was lost. */
	EXPECT_EQ(0, ask(self, op_export_arm, 0));
}

TEST_F(frames, not_armed_unless_it_is_guarded)
{
	leaves = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	unguarded = true;
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(-EIO, ask(self, op_export_arm, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "u1 would be started here by itself while it is away"));
	EXPECT_NE(NULL, strstr(self->r.error, "cannot be prevented: the disk is full"));
	EXPECT_FALSE(m->armed);
}

/* Nobody knows which disks it has, and so not which files are its own. */
TEST_F(frames, not_armed_unless_its_disks_are_known)
{
	leaves = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	unreadable = true;
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	EXPECT_EQ(-EIO, ask(self, op_export_arm, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "to see which disks it has: it is a made-up reason"));
	EXPECT_FALSE(m->armed);
}

/* The destination's. */
TEST_F(frames, nobody_leaves)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	ASSERT_EQ(0, ask(self, op_export_arm, 0));
	EXPECT_STREQ("", left);
}

TEST_F(frames, release)
{
	ASSERT_EQ(0, ask(self, op_export_begin, 0));
	ASSERT_EQ(0, ask(self, op_export_arm, 0));
	m->slow_release = 1;
	ASSERT_EQ(0, ask(self, op_export_release, 0));
	EXPECT_LT(0, self->repeats);
	EXPECT_TRUE(m->released);
	EXPECT_EQ(0, ask(self, op_export_release, 0));
}

/* Pieces of 2 MiB: whole, aligned on both sides, in order. */
TEST_F(frames, shape)
{
	ASSERT_EQ(0, ask(self, op_guest_frames, 0));
	EXPECT_EQ(8888, told(self, "frames"));
	EXPECT_EQ(0, told(self, "large"));

	for (int i = 0; i < 6 * 512; i++)
		m->p2m[i] = 512 * 50 + i;
	m->p2m[512] = 0;			/* a hole at its beginning */
	m->p2m[3 * 512 - 1] = 7;		/* the last one is elsewhere */
	for (int i = 3 * 512; i < 4 * 512; i++)
		m->p2m[i]++;			/* in order, but not aligned */
	ASSERT_EQ(0, ask(self, op_guest_frames, 0));
	EXPECT_EQ(3 * 512, told(self, "large"));

	memset(m->p2m, 0, sizeof(m->p2m));
	EXPECT_EQ(-EIO, ask(self, op_guest_frames, 0));
	EXPECT_NE(NULL, strstr(self->r.error, "domain 5 has no frames"));
}

TEST_HARNESS_MAIN
