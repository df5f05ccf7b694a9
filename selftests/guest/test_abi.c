// SPDX-License-Identifier: GPL-2.0
/* What holds for every ioctl: sizes, flags, reserved fields, pointers, counts. And the layout of the structs. */
#include "guest.h"
#include <assert.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "timeout.h"

#define PAGE 4096

static_assert(sizeof(struct vmbeam_query) == 40, "layout");
static_assert(sizeof(struct vmbeam_export_create) == 24, "layout");
static_assert(offsetof(struct vmbeam_export_create, id) == 16, "layout");
static_assert(sizeof(struct vmbeam_frame) == 16, "layout");
static_assert(sizeof(struct vmbeam_export_add) == 32, "layout");
static_assert(offsetof(struct vmbeam_export_add, status) == 24, "layout");
static_assert(sizeof(struct vmbeam_export_remove) == 24, "layout");
static_assert(sizeof(struct vmbeam_export_end) == 8, "layout");
static_assert(sizeof(struct vmbeam_export_info) == 48, "layout");
static_assert(sizeof(struct vmbeam_export_list) == 24, "layout");
static_assert(sizeof(struct vmbeam_export_open) == 24, "layout");
static_assert(sizeof(struct vmbeam_extent) == 24, "layout");

struct ioctl_desc {
	unsigned long cmd;
	uint32_t size;		/* also the smallest, as long as no struct has grown */
	bool on_export;
};

static const struct ioctl_desc desc_query = { VMBEAM_QUERY, sizeof(struct vmbeam_query), false };
static const struct ioctl_desc desc_create = { VMBEAM_EXPORT_CREATE, sizeof(struct vmbeam_export_create), false };
static const struct ioctl_desc desc_list = { VMBEAM_EXPORT_LIST, sizeof(struct vmbeam_export_list), false };
static const struct ioctl_desc desc_open = { VMBEAM_EXPORT_OPEN, sizeof(struct vmbeam_export_open), false };
static const struct ioctl_desc desc_add = { VMBEAM_EXPORT_ADD, sizeof(struct vmbeam_export_add), true };
static const struct ioctl_desc desc_remove = { VMBEAM_EXPORT_REMOVE, sizeof(struct vmbeam_export_remove), true };
static const struct ioctl_desc desc_arm = { VMBEAM_EXPORT_ARM, sizeof(struct vmbeam_export_end), true };
static const struct ioctl_desc desc_release = { VMBEAM_EXPORT_RELEASE, sizeof(struct vmbeam_export_end), true };
static const struct ioctl_desc desc_info = { VMBEAM_EXPORT_INFO, sizeof(struct vmbeam_export_info), true };

/* What all fixtures have: an armed export to open, and a filling one with frame 0, to which frame 1 can be added. */
struct rig {
	const struct ioctl_desc *desc;
	struct bare d;
	int dev;
	int armed;
	int fd;
	int exports;		/* on the list, others' too */
	struct vmbeam_frame frame;
	uint64_t pfn;
	struct vmbeam_export_info infos[4];
	union {
		uint32_t head[2];	/* size, flags */
		uint8_t bytes[2 * PAGE];
		struct vmbeam_export_create create;
		struct vmbeam_export_list list;
		struct vmbeam_export_open open;
		struct vmbeam_export_add add;
		struct vmbeam_export_remove remove;
	} arg;
};

static void rig_setup(struct __test_metadata *_metadata, struct rig *r, const struct ioctl_desc *desc)
{
	uint64_t id;

	r->desc = desc;
	r->dev = dev_open();
	ASSERT_GE(r->dev, 0);
	ASSERT_EQ(bare_create(&r->d), 0);
	r->armed = export_of(r->dev, &r->d, 2, &id);
	ASSERT_GE(r->armed, 0);
	ASSERT_EQ(export_end(r->armed, VMBEAM_EXPORT_ARM), 0);
	r->fd = export_of(r->dev, &r->d, 1, NULL);
	ASSERT_GE(r->fd, 0);
	r->exports = export_list(r->dev, NULL, 0);
	ASSERT_GE(r->exports, 2);

	/* A call that works. */
	r->frame = (struct vmbeam_frame){ .pfn = BARE_FIRST_PFN + 1, .gfn = r->d.mfn[1] };
	r->pfn = BARE_FIRST_PFN;
	memset(&r->arg, 0, sizeof(r->arg));
	r->arg.head[0] = desc->size;
	switch (desc->cmd) {
	case VMBEAM_EXPORT_CREATE:
		r->arg.create.domid = r->d.domid;
		break;
	case VMBEAM_EXPORT_LIST:
		r->arg.list.exports = (uintptr_t)r->infos;
		r->arg.list.nr = 4;
		r->arg.list.entry_size = sizeof(r->infos[0]);
		break;
	case VMBEAM_EXPORT_OPEN:
		r->arg.open.id = id;
		break;
	case VMBEAM_EXPORT_ADD:
		r->arg.add.frames = (uintptr_t)&r->frame;
		r->arg.add.nr = 1;
		break;
	case VMBEAM_EXPORT_REMOVE:
		r->arg.remove.pfns = (uintptr_t)&r->pfn;
		r->arg.remove.nr = 1;
		break;
	}
}

static void rig_teardown(struct rig *r)
{
	export_end(r->fd, VMBEAM_EXPORT_RELEASE);
	close(r->fd);
	close(r->armed);
	bare_destroy(&r->d);
	close(r->dev);
}

static int call(const struct rig *r, void *arg)
{
	return ioctl(r->desc->on_export ? r->fd : r->dev, r->desc->cmd, arg) ? errno : 0;
}

/* What a refused call must not have done, whichever it was. */
static void nothing_done(struct __test_metadata *_metadata, const struct rig *r)
{
	struct vmbeam_export_info info;

	EXPECT_EQ(export_list(r->dev, NULL, 0), r->exports);
	ASSERT_EQ(export_info(r->fd, &info), 0);
	EXPECT_EQ(info.nr_frames, 1ULL);
	EXPECT_EQ(info.state, VMBEAM_EXPORT_FILLING);
}

/* What holds for every ioctl. */
FIXTURE(abi) {
	struct rig r;
};

FIXTURE_VARIANT(abi) {
	const struct ioctl_desc *desc;
};

FIXTURE_VARIANT_ADD(abi, query) { .desc = &desc_query };
FIXTURE_VARIANT_ADD(abi, create) { .desc = &desc_create };
FIXTURE_VARIANT_ADD(abi, list) { .desc = &desc_list };
FIXTURE_VARIANT_ADD(abi, open) { .desc = &desc_open };
FIXTURE_VARIANT_ADD(abi, add) { .desc = &desc_add };
FIXTURE_VARIANT_ADD(abi, remove) { .desc = &desc_remove };
FIXTURE_VARIANT_ADD(abi, arm) { .desc = &desc_arm };
FIXTURE_VARIANT_ADD(abi, release) { .desc = &desc_release };
FIXTURE_VARIANT_ADD(abi, info) { .desc = &desc_info };

FIXTURE_SETUP(abi)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(abi)
{
	rig_teardown(&self->r);
}

TEST_F(abi, exact)
{
	EXPECT_EQ(call(&self->r, &self->r.arg), 0);
	EXPECT_EQ(self->r.arg.head[0], variant->desc->size);
	if (variant->desc->cmd == VMBEAM_EXPORT_ADD)
		EXPECT_EQ(self->r.arg.add.nr_pinned, 1);
	if (variant->desc->cmd == VMBEAM_EXPORT_REMOVE)
		EXPECT_EQ(self->r.arg.remove.nr_removed, 1);
	if (variant->desc->cmd == VMBEAM_EXPORT_LIST)
		EXPECT_EQ(self->r.arg.list.nr, self->r.exports);
}

TEST_F(abi, short)
{
	uint32_t size;

	for (size = 0; size < variant->desc->size; size++) {
		self->r.arg.head[0] = size;
		EXPECT_EQ(call(&self->r, &self->r.arg), EINVAL) TH_LOG("size %u", size);
	}
	nothing_done(_metadata, &self->r);
}

TEST_F(abi, long_zero)
{
	self->r.arg.head[0] = variant->desc->size + 8;
	memset(&self->r.arg.bytes[variant->desc->size + 8], 0xff, 8);
	EXPECT_EQ(call(&self->r, &self->r.arg), 0);
}

TEST_F(abi, page_zero)
{
	self->r.arg.head[0] = PAGE;
	EXPECT_EQ(call(&self->r, &self->r.arg), 0);
}

TEST_F(abi, long_nonzero)
{
	self->r.arg.head[0] = variant->desc->size + 8;
	self->r.arg.bytes[variant->desc->size + 7] = 1;
	EXPECT_EQ(call(&self->r, &self->r.arg), E2BIG);
	nothing_done(_metadata, &self->r);
}

TEST_F(abi, beyond_a_page)
{
	self->r.arg.head[0] = PAGE + 1;
	EXPECT_EQ(call(&self->r, &self->r.arg), E2BIG);
	self->r.arg.head[0] = ~0U;
	EXPECT_EQ(call(&self->r, &self->r.arg), E2BIG);
	nothing_done(_metadata, &self->r);
}

TEST_F(abi, unknown_flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		self->r.arg.head[1] = 1U << bit;
		EXPECT_EQ(call(&self->r, &self->r.arg), EINVAL) TH_LOG("flag %d", bit);
	}
	nothing_done(_metadata, &self->r);
}

TEST_F(abi, bad_pointer)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *split = page + PAGE - 8;

	ASSERT_NE(page, MAP_FAILED);
	ASSERT_EQ(munmap(page + PAGE, PAGE), 0);
	EXPECT_EQ(call(&self->r, NULL), EFAULT);
	EXPECT_EQ(call(&self->r, (void *)-4096L), EFAULT);
	/* Only its head is there. */
	memcpy(split, &self->r.arg, 8);
	if (variant->desc->size > 8)
		EXPECT_EQ(call(&self->r, split), EFAULT);
	nothing_done(_metadata, &self->r);
}

/* Nothing that was made is left when the answer cannot be given. */
TEST_F(abi, answer_to_read_only_memory)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(page, MAP_FAILED);
	memcpy(page, &self->r.arg, variant->desc->size);
	ASSERT_EQ(mprotect(page, PAGE, PROT_READ), 0);
	/* Nothing is written back by these: they cannot be done and fail. */
	if (variant->desc->cmd == VMBEAM_EXPORT_ARM || variant->desc->cmd == VMBEAM_EXPORT_RELEASE) {
		EXPECT_EQ(call(&self->r, page), 0);
		return;
	}
	EXPECT_EQ(call(&self->r, page), EFAULT);
	if (variant->desc->cmd == VMBEAM_EXPORT_CREATE || variant->desc->cmd == VMBEAM_EXPORT_OPEN) {
		int fd = dup(self->r.dev);

		/* The fd was given back: two in a row are neighbours. */
		EXPECT_EQ(call(&self->r, page), EFAULT);
		EXPECT_EQ(dup(self->r.dev), fd + 1);
		close(fd + 1);
		close(fd);
		nothing_done(_metadata, &self->r);
	}
}

/* The wrong kind of fd, and a number that is no ioctl. */
TEST_F(abi, enotty)
{
	int fd = variant->desc->on_export ? self->r.fd : self->r.dev;
	int other = variant->desc->on_export ? self->r.dev : self->r.fd;

	EXPECT_EQ(ioctl(other, variant->desc->cmd, &self->r.arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT_EQ(ioctl(fd, _IO(VMBEAM_IOC_TYPE, 0xff), &self->r.arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT_EQ(ioctl(self->r.dev, VMBEAM_TXN_BEGIN, &self->r.arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	nothing_done(_metadata, &self->r);
}

/* Those whose struct has a field that must be 0. */
FIXTURE(has_reserved) {
	struct rig r;
};

FIXTURE_VARIANT(has_reserved) {
	const struct ioctl_desc *desc;
	uint32_t offset;
};

FIXTURE_VARIANT_ADD(has_reserved, query)
{
	.desc = &desc_query,
	.offset = offsetof(struct vmbeam_query, __reserved),
};

FIXTURE_VARIANT_ADD(has_reserved, open)
{
	.desc = &desc_open,
	.offset = offsetof(struct vmbeam_export_open, __reserved),
};

FIXTURE_SETUP(has_reserved)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(has_reserved)
{
	rig_teardown(&self->r);
}

TEST_F(has_reserved, reserved)
{
	self->r.arg.bytes[variant->offset + 3] = 0x80;
	EXPECT_EQ(call(&self->r, &self->r.arg), EINVAL);
	nothing_done(_metadata, &self->r);
}

/* Those whose struct points to a list. */
FIXTURE(has_list) {
	struct rig r;
};

FIXTURE_VARIANT(has_list) {
	const struct ioctl_desc *desc;
	uint32_t list, nr;	/* offsets of the pointer and of the number */
	uint32_t most;
	int empty;		/* what a list of none answers */
};

FIXTURE_VARIANT_ADD(has_list, list)
{
	.desc = &desc_list,
	.list = offsetof(struct vmbeam_export_list, exports),
	.nr = offsetof(struct vmbeam_export_list, nr),
	.most = 4096,
};

FIXTURE_VARIANT_ADD(has_list, add)
{
	.desc = &desc_add,
	.list = offsetof(struct vmbeam_export_add, frames),
	.nr = offsetof(struct vmbeam_export_add, nr),
	.most = 65536,
	.empty = EINVAL,
};

FIXTURE_VARIANT_ADD(has_list, remove)
{
	.desc = &desc_remove,
	.list = offsetof(struct vmbeam_export_remove, pfns),
	.nr = offsetof(struct vmbeam_export_remove, nr),
	.most = 65536,
	.empty = EINVAL,
};

FIXTURE_SETUP(has_list)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(has_list)
{
	rig_teardown(&self->r);
}

TEST_F(has_list, lists)
{
	__u64 *list = (__u64 *)&self->r.arg.bytes[variant->list];
	__u32 *nr = (__u32 *)&self->r.arg.bytes[variant->nr];

	*nr = variant->most + 1;
	EXPECT_EQ(call(&self->r, &self->r.arg), E2BIG);
	*nr = ~0U;
	EXPECT_EQ(call(&self->r, &self->r.arg), E2BIG);
	*nr = 0;
	EXPECT_EQ(call(&self->r, &self->r.arg), variant->empty);
	*nr = 1;
	*list = 0;
	EXPECT_EQ(call(&self->r, &self->r.arg), EFAULT);
	*nr = 1;
	*list = 1ULL << 63 | 0xfff;
	EXPECT_EQ(call(&self->r, &self->r.arg), EFAULT);
	nothing_done(_metadata, &self->r);
}

/* Once is enough for these: no variant. What is ready to be called is VMBEAM_EXPORT_ADD. */
FIXTURE(single) {
	struct rig r;
};

FIXTURE_SETUP(single)
{
	rig_setup(_metadata, &self->r, &desc_add);
}

FIXTURE_TEARDOWN(single)
{
	rig_teardown(&self->r);
}

/* The longest list that is taken is taken. */
TEST_F_TIMEOUT(single, longest_add, 120)
{
	struct vmbeam_frame *f = calloc(65536, sizeof(*f));
	uint8_t *status = malloc(65536);
	uint32_t i, wrong = 0;

	ASSERT_TRUE(f && status);
	for (i = 0; i < 65536; i++)
		f[i] = self->r.frame;
	memset(status, 0xee, 65536);
	EXPECT_EQ(export_add(self->r.fd, f, 65536, status), 1);
	EXPECT_EQ(status[0], VMBEAM_FRAME_PINNED);
	for (i = 1; i < 65536; i++)
		wrong += status[i] != VMBEAM_FRAME_DUPLICATE;
	EXPECT_EQ(wrong, 0);
	free(f);
	free(status);
}

TEST_F_TIMEOUT(single, longest_remove, 120)
{
	__u64 *pfns = calloc(65536, sizeof(*pfns));

	ASSERT_NE(pfns, NULL);
	pfns[65535] = BARE_FIRST_PFN;
	EXPECT_EQ(export_remove(self->r.fd, pfns, 65536), 1);
	free(pfns);
}

/* The frames stay pinned when the status cannot be written: the export says how many there are. */
TEST_F(single, bad_status_pointer)
{
	struct vmbeam_export_info info;

	self->r.arg.add.status = 8;
	EXPECT_EQ(call(&self->r, &self->r.arg), EFAULT);
	EXPECT_EQ(self->r.arg.add.nr_pinned, 1);
	ASSERT_EQ(export_info(self->r.fd, &info), 0);
	EXPECT_EQ(info.nr_frames, 2ULL);
}

static int without_cap_sys_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return 2;
	caps[0].effective &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &head, caps))
		return 2;
	return dev_open() < 0 && errno == EPERM ? 0 : 1;
}

static int without_root(void)
{
	if (setgid(65534) || setuid(65534))
		return 2;
	return dev_open() < 0 && errno == EACCES ? 0 : 1;
}

/* A root without CAP_SYS_ADMIN, and anybody else, cannot even open the device. */
TEST(others)
{
	int (*const who[])(void) = { without_cap_sys_admin, without_root };
	int status, i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(who[i]());
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(status, 0) TH_LOG("case %d", i);
	}
}

TEST_HARNESS_MAIN
