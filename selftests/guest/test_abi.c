// SPDX-License-Identifier: GPL-2.0
/* What holds for every ioctl: sizes, flags, reserved fields, pointers, counts. And the layout of the structs. */
#include "guest.h"
#include <assert.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"

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

/* Every fixture has an armed export to open, and a filling one with frame 0, to which frame 1 can be added. */
FIXTURE(abi) {
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

FIXTURE_VARIANT(abi) {
	unsigned long cmd;
	uint32_t size;		/* also the smallest, as long as no struct has grown */
	bool on_export;
	uint32_t reserved;	/* offset of a field that must be 0 */
};

#define VARIANT(_name, _cmd, _struct, _on_export, _reserved)				\
	FIXTURE_VARIANT_ADD(abi, _name) {						\
		.cmd = _cmd, .size = sizeof(struct _struct), .on_export = _on_export,	\
		.reserved = _reserved,							\
	}

VARIANT(query, VMBEAM_QUERY, vmbeam_query, false, offsetof(struct vmbeam_query, __reserved));
VARIANT(create, VMBEAM_EXPORT_CREATE, vmbeam_export_create, false, 0);
VARIANT(list, VMBEAM_EXPORT_LIST, vmbeam_export_list, false, offsetof(struct vmbeam_export_list, __reserved));
VARIANT(open, VMBEAM_EXPORT_OPEN, vmbeam_export_open, false, offsetof(struct vmbeam_export_open, __reserved));
VARIANT(add, VMBEAM_EXPORT_ADD, vmbeam_export_add, true, 0);
VARIANT(remove, VMBEAM_EXPORT_REMOVE, vmbeam_export_remove, true, 0);
VARIANT(arm, VMBEAM_EXPORT_ARM, vmbeam_export_end, true, 0);
VARIANT(release, VMBEAM_EXPORT_RELEASE, vmbeam_export_end, true, 0);
VARIANT(info, VMBEAM_EXPORT_INFO, vmbeam_export_info, true, 0);

FIXTURE_SETUP(abi)
{
	uint64_t id;

	self->dev = dev_open();
	ASSERT_GE(self->dev, 0);
	ASSERT_EQ(bare_create(&self->d), 0);
	self->armed = export_of(self->dev, &self->d, 2, &id);
	ASSERT_GE(self->armed, 0);
	ASSERT_EQ(export_end(self->armed, VMBEAM_EXPORT_ARM), 0);
	self->fd = export_of(self->dev, &self->d, 1, NULL);
	ASSERT_GE(self->fd, 0);
	self->exports = export_list(self->dev, NULL, 0);
	ASSERT_GE(self->exports, 2);

	/* A call that works. */
	self->frame = (struct vmbeam_frame){ .pfn = BARE_FIRST_PFN + 1, .gfn = self->d.mfn[1] };
	self->pfn = BARE_FIRST_PFN;
	memset(&self->arg, 0, sizeof(self->arg));
	self->arg.head[0] = variant->size;
	switch (variant->cmd) {
	case VMBEAM_EXPORT_CREATE:
		self->arg.create.domid = self->d.domid;
		break;
	case VMBEAM_EXPORT_LIST:
		self->arg.list.exports = (uintptr_t)self->infos;
		self->arg.list.nr = 4;
		break;
	case VMBEAM_EXPORT_OPEN:
		self->arg.open.id = id;
		break;
	case VMBEAM_EXPORT_ADD:
		self->arg.add.frames = (uintptr_t)&self->frame;
		self->arg.add.nr = 1;
		break;
	case VMBEAM_EXPORT_REMOVE:
		self->arg.remove.pfns = (uintptr_t)&self->pfn;
		self->arg.remove.nr = 1;
		break;
	}
}

FIXTURE_TEARDOWN(abi)
{
	close(self->fd);
	close(self->armed);
	bare_destroy(&self->d);
	close(self->dev);
}

static int call(FIXTURE_DATA(abi) *self, const FIXTURE_VARIANT(abi) *variant, void *arg)
{
	return ioctl(variant->on_export ? self->fd : self->dev, variant->cmd, arg) ? errno : 0;
}

/* What a refused call must not have done, whichever it was. */
static void nothing_done(struct __test_metadata *_metadata, FIXTURE_DATA(abi) *self)
{
	struct vmbeam_export_info info;

	EXPECT_EQ(export_list(self->dev, NULL, 0), self->exports);
	ASSERT_EQ(export_info(self->fd, &info), 0);
	EXPECT_EQ(info.nr_frames, 1ULL);
	EXPECT_EQ(info.state, VMBEAM_EXPORT_FILLING);
}

TEST_F(abi, exact)
{
	EXPECT_EQ(call(self, variant, &self->arg), 0);
	EXPECT_EQ(self->arg.head[0], variant->size);
	if (variant->cmd == VMBEAM_EXPORT_ADD)
		EXPECT_EQ(self->arg.add.nr_pinned, 1);
	if (variant->cmd == VMBEAM_EXPORT_REMOVE)
		EXPECT_EQ(self->arg.remove.nr_removed, 1);
	if (variant->cmd == VMBEAM_EXPORT_LIST)
		EXPECT_EQ(self->arg.list.nr, self->exports);
}

TEST_F(abi, short)
{
	uint32_t size;

	for (size = 0; size < variant->size; size++) {
		self->arg.head[0] = size;
		EXPECT_EQ(call(self, variant, &self->arg), EINVAL) TH_LOG("size %u", size);
	}
	nothing_done(_metadata, self);
}

TEST_F(abi, long_zero)
{
	self->arg.head[0] = variant->size + 8;
	memset(&self->arg.bytes[variant->size + 8], 0xff, 8);
	EXPECT_EQ(call(self, variant, &self->arg), 0);
}

TEST_F(abi, page_zero)
{
	self->arg.head[0] = PAGE;
	EXPECT_EQ(call(self, variant, &self->arg), 0);
}

TEST_F(abi, long_nonzero)
{
	self->arg.head[0] = variant->size + 8;
	self->arg.bytes[variant->size + 7] = 1;
	EXPECT_EQ(call(self, variant, &self->arg), E2BIG);
	nothing_done(_metadata, self);
}

TEST_F(abi, beyond_a_page)
{
	self->arg.head[0] = PAGE + 1;
	EXPECT_EQ(call(self, variant, &self->arg), E2BIG);
	self->arg.head[0] = ~0U;
	EXPECT_EQ(call(self, variant, &self->arg), E2BIG);
	nothing_done(_metadata, self);
}

TEST_F(abi, unknown_flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		self->arg.head[1] = 1U << bit;
		EXPECT_EQ(call(self, variant, &self->arg), EINVAL) TH_LOG("flag %d", bit);
	}
	nothing_done(_metadata, self);
}

TEST_F(abi, reserved)
{
	if (!variant->reserved)
		SKIP(return, "nothing reserved");
	self->arg.bytes[variant->reserved + 3] = 0x80;
	EXPECT_EQ(call(self, variant, &self->arg), EINVAL);
	nothing_done(_metadata, self);
}

TEST_F(abi, bad_pointer)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *split = page + PAGE - 8;

	ASSERT_NE(page, MAP_FAILED);
	ASSERT_EQ(munmap(page + PAGE, PAGE), 0);
	EXPECT_EQ(call(self, variant, NULL), EFAULT);
	EXPECT_EQ(call(self, variant, (void *)-4096L), EFAULT);
	/* Only its head is there. */
	memcpy(split, &self->arg, 8);
	if (variant->size > 8)
		EXPECT_EQ(call(self, variant, split), EFAULT);
	nothing_done(_metadata, self);
}

/* Nothing that was made is left when the answer cannot be given. */
TEST_F(abi, answer_to_read_only_memory)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(page, MAP_FAILED);
	memcpy(page, &self->arg, variant->size);
	ASSERT_EQ(mprotect(page, PAGE, PROT_READ), 0);
	EXPECT_EQ(call(self, variant, page), EFAULT);
	if (variant->cmd == VMBEAM_EXPORT_CREATE || variant->cmd == VMBEAM_EXPORT_OPEN) {
		int fd = dup(self->dev);

		/* The fd was given back: two in a row are neighbours. */
		EXPECT_EQ(call(self, variant, page), EFAULT);
		EXPECT_EQ(dup(self->dev), fd + 1);
		close(fd + 1);
		close(fd);
		nothing_done(_metadata, self);
	}
}

/* The wrong kind of fd, and a number that is no ioctl. */
TEST_F(abi, enotty)
{
	EXPECT_EQ(ioctl(variant->on_export ? self->dev : self->fd, variant->cmd, &self->arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT_EQ(ioctl(variant->on_export ? self->fd : self->dev, _IO(VMBEAM_IOC_TYPE, 0xff), &self->arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT_EQ(ioctl(self->dev, VMBEAM_TXN_BEGIN, &self->arg), -1);
	EXPECT_EQ(errno, ENOTTY);
	nothing_done(_metadata, self);
}

/* Where a struct points to a list. */
TEST_F(abi, lists)
{
	uint64_t *list = NULL;
	uint32_t *nr = NULL, huge = 65537;

	switch (variant->cmd) {
	case VMBEAM_EXPORT_LIST:
		list = (uint64_t *)&self->arg.list.exports;
		nr = &self->arg.list.nr;
		huge = 4097;
		break;
	case VMBEAM_EXPORT_ADD:
		list = (uint64_t *)&self->arg.add.frames;
		nr = &self->arg.add.nr;
		break;
	case VMBEAM_EXPORT_REMOVE:
		list = (uint64_t *)&self->arg.remove.pfns;
		nr = &self->arg.remove.nr;
		break;
	default:
		SKIP(return, "no list");
	}

	*nr = huge;
	EXPECT_EQ(call(self, variant, &self->arg), E2BIG);
	*nr = ~0U;
	EXPECT_EQ(call(self, variant, &self->arg), E2BIG);
	*nr = 0;
	EXPECT_EQ(call(self, variant, &self->arg), variant->cmd == VMBEAM_EXPORT_LIST ? 0 : EINVAL);
	*nr = 1;
	*list = 0;
	EXPECT_EQ(call(self, variant, &self->arg), EFAULT);
	*nr = 1;
	*list = 1ULL << 63 | 0xfff;
	EXPECT_EQ(call(self, variant, &self->arg), EFAULT);
	nothing_done(_metadata, self);
}

/* The longest list that is taken is taken. */
TEST_F_TIMEOUT(abi, longest_list, 120)
{
	struct vmbeam_frame *f = calloc(65536, sizeof(*f));
	__u64 *pfns = calloc(65536, sizeof(*pfns));
	uint8_t *status = malloc(65536);
	uint32_t i, wrong = 0;

	ASSERT_TRUE(f && pfns && status);
	if (variant->cmd == VMBEAM_EXPORT_ADD) {
		for (i = 0; i < 65536; i++)
			f[i] = self->frame;
		memset(status, 0xee, 65536);
		EXPECT_EQ(export_add(self->fd, f, 65536, status), 1);
		EXPECT_EQ(status[0], VMBEAM_FRAME_PINNED);
		for (i = 1; i < 65536; i++)
			wrong += status[i] != VMBEAM_FRAME_DUPLICATE;
		EXPECT_EQ(wrong, 0);
	} else if (variant->cmd == VMBEAM_EXPORT_REMOVE) {
		pfns[65535] = BARE_FIRST_PFN;
		EXPECT_EQ(export_remove(self->fd, pfns, 65536), 1);
	} else {
		SKIP(return, "no list");
	}
	free(f);
	free(pfns);
	free(status);
}

/* The frames stay pinned when the status cannot be written: the export says how many there are. */
TEST_F(abi, bad_status_pointer)
{
	struct vmbeam_export_info info;

	if (variant->cmd != VMBEAM_EXPORT_ADD)
		SKIP(return, "no status");
	self->arg.add.status = 8;
	EXPECT_EQ(call(self, variant, &self->arg), EFAULT);
	EXPECT_EQ(self->arg.add.nr_pinned, 1);
	ASSERT_EQ(export_info(self->fd, &info), 0);
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
TEST_F(abi, others)
{
	int (*const who[])(void) = { without_cap_sys_admin, without_root };
	int status, i;
	pid_t pid;

	if (variant->cmd != VMBEAM_QUERY)
		SKIP(return, "not per ioctl");
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
