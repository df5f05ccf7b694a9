// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl ABI itself, for every ioctl of the module: sizes, flags, reserved fields, pointers, counts.
 *
 * No domain is needed: what is refused here is refused before the hypervisor is asked.
 */
#include <assert.h>
#include <stdalign.h>
#include <sys/mman.h>

#include "host.h"

#define PAGE 4096
/* Domids that can be, of domains that are not. */
#define DOMID_A 31998
#define DOMID_B 31999

#define BAD_POINTER ((void *)0xdead000000000000)

/* Layout is ABI. */
static_assert(sizeof(struct vmbeam_query) == 40, "vmbeam_query");
static_assert(sizeof(struct vmbeam_extent_pair) == 24, "vmbeam_extent_pair");
static_assert(sizeof(struct vmbeam_txn_begin) == 32, "vmbeam_txn_begin");
static_assert(sizeof(struct vmbeam_txn_swap) == 96, "vmbeam_txn_swap");
static_assert(sizeof(struct vmbeam_txn_end) == 8, "vmbeam_txn_end");
static_assert(sizeof(struct vmbeam_txn_outcome) == 280, "vmbeam_txn_outcome");
static_assert(sizeof(struct vmbeam_txn_list) == 24, "vmbeam_txn_list");
static_assert(sizeof(struct vmbeam_txn_reopen) == 24, "vmbeam_txn_reopen");

/* An ioctl, and what a well-formed call of it answers here, where the domains do not exist. */
struct ioctl_desc {
	unsigned long cmd;
	uint32_t size;
	uint32_t first_size;	/* when it was first published; 0: it has not grown since */
	bool on_txn;
	bool in_only;		/* nothing is written back */
	int rc;
	uint32_t flags;
};

static const struct ioctl_desc desc_query = {
	.cmd = VMBEAM_QUERY,
	.size = sizeof(struct vmbeam_query),
};

static const struct ioctl_desc desc_begin = {
	.cmd = VMBEAM_TXN_BEGIN,
	.size = sizeof(struct vmbeam_txn_begin),
};

static const struct ioctl_desc desc_outcome = {
	.cmd = VMBEAM_TXN_OUTCOME,
	.size = sizeof(struct vmbeam_txn_outcome),
	.first_size = 96,
};

static const struct ioctl_desc desc_swap = {
	.cmd = VMBEAM_TXN_SWAP,
	.size = sizeof(struct vmbeam_txn_swap),
	.first_size = 80,
	.on_txn = true,
	.rc = -ESRCH,
	.flags = VMBEAM_SWAP_EXCHANGE | VMBEAM_SWAP_INVALIDATE,
};

static const struct ioctl_desc desc_commit = {
	.cmd = VMBEAM_TXN_COMMIT,
	.size = sizeof(struct vmbeam_txn_end),
	.on_txn = true,
	.in_only = true,
};

static const struct ioctl_desc desc_rollback = {
	.cmd = VMBEAM_TXN_ROLLBACK,
	.size = sizeof(struct vmbeam_txn_end),
	.on_txn = true,
	.in_only = true,
};

/* The rig's transaction is open: neither of these two is for it. */
static const struct ioctl_desc desc_forget = {
	.cmd = VMBEAM_TXN_FORGET,
	.size = sizeof(struct vmbeam_txn_end),
	.on_txn = true,
	.in_only = true,
	.rc = -EBADFD,
};

static const struct ioctl_desc desc_reopen = {
	.cmd = VMBEAM_TXN_REOPEN,
	.size = sizeof(struct vmbeam_txn_reopen),
	.rc = -EBADFD,
};

static const struct ioctl_desc desc_list = {
	.cmd = VMBEAM_TXN_LIST,
	.size = sizeof(struct vmbeam_txn_list),
};

/* What the fixtures with a variant for each ioctl have in common. */
struct rig {
	uint32_t alignas(8) buf[2 * PAGE / sizeof(uint32_t)];
	const struct ioctl_desc *desc;
	int dev;
	int txn;
	uint64_t id;
	/* The last page before one that cannot be read: a struct at its end shows who reads too far. */
	uint8_t *page;
};

static void rig_setup(struct __test_metadata *_metadata, struct rig *r, const struct ioctl_desc *desc)
{
	r->desc = desc;
	r->dev = dev_open();
	ASSERT_LE(0, r->dev);
	r->txn = txn_begin(r->dev, DOMID_A, DOMID_B, &r->id);
	ASSERT_LE(0, r->txn);
	r->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, r->page);
	ASSERT_EQ(0, mprotect(r->page + PAGE, PAGE, PROT_NONE));
}

static void rig_teardown(struct rig *r)
{
	close(r->txn);
	close(r->dev);
}

static const struct vmbeam_extent_pair one_pair = { .nr = 1 };

/* A well-formed struct of the rig's ioctl. */
static void fill(const struct rig *r, void *arg)
{
	struct vmbeam_txn_begin *begin = arg;
	struct vmbeam_txn_swap *swap = arg;
	struct vmbeam_txn_outcome *outcome = arg;
	struct vmbeam_txn_reopen *reopen = arg;
	struct vmbeam_txn_list *list = arg;

	memset(arg, 0, r->desc->size);
	switch (r->desc->cmd) {
	case VMBEAM_TXN_BEGIN:
		/* The rig's transaction has the other two. */
		begin->domid_a = DOMID_A - 2;
		begin->domid_b = DOMID_B - 2;
		break;
	case VMBEAM_TXN_SWAP:
		swap->pairs = (uintptr_t)&one_pair;
		swap->nr_pairs = 1;
		break;
	case VMBEAM_TXN_OUTCOME:
		outcome->id = r->id;
		break;
	case VMBEAM_TXN_REOPEN:
		reopen->id = r->id;
		break;
	case VMBEAM_TXN_LIST:
		list->entry_size = sizeof(*outcome);
		break;
	}
	*(uint32_t *)arg = r->desc->size;
}

static int issue(const struct rig *r, void *arg)
{
	const struct vmbeam_txn_begin *begin = arg;
	int rc = call(r->desc->on_txn ? r->txn : r->dev, r->desc->cmd, arg);

	if (!rc && r->desc->cmd == VMBEAM_TXN_BEGIN)
		close(begin->out_fd);
	return rc;
}

/* What holds for every ioctl. */
FIXTURE(ioctl)
{
	struct rig r;
};

FIXTURE_VARIANT(ioctl)
{
	const struct ioctl_desc *desc;
};

FIXTURE_VARIANT_ADD(ioctl, query) { .desc = &desc_query };
FIXTURE_VARIANT_ADD(ioctl, begin) { .desc = &desc_begin };
FIXTURE_VARIANT_ADD(ioctl, outcome) { .desc = &desc_outcome };
FIXTURE_VARIANT_ADD(ioctl, swap) { .desc = &desc_swap };
FIXTURE_VARIANT_ADD(ioctl, commit) { .desc = &desc_commit };
FIXTURE_VARIANT_ADD(ioctl, rollback) { .desc = &desc_rollback };
FIXTURE_VARIANT_ADD(ioctl, forget) { .desc = &desc_forget };
FIXTURE_VARIANT_ADD(ioctl, reopen) { .desc = &desc_reopen };
FIXTURE_VARIANT_ADD(ioctl, list) { .desc = &desc_list };

FIXTURE_SETUP(ioctl)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(ioctl)
{
	rig_teardown(&self->r);
}

TEST_F(ioctl, exact)
{
	fill(&self->r, self->r.buf);
	EXPECT_EQ(variant->desc->rc, issue(&self->r, self->r.buf));
	/* The size is the caller's and stays. */
	EXPECT_EQ(variant->desc->size, self->r.buf[0]);
}

TEST_F(ioctl, reads_no_further)
{
	void *arg = self->r.page + PAGE - variant->desc->size;

	fill(&self->r, arg);
	EXPECT_EQ(variant->desc->rc, issue(&self->r, arg));
}

TEST_F(ioctl, short_size)
{
	uint32_t size;

	for (size = 0; size < (variant->desc->first_size ?: variant->desc->size); size++) {
		fill(&self->r, self->r.buf);
		self->r.buf[0] = size;
		EXPECT_EQ(-EINVAL, issue(&self->r, self->r.buf));
	}
}

TEST_F(ioctl, long_zero)
{
	memset(self->r.buf, 0, sizeof(self->r.buf));
	fill(&self->r, self->r.buf);
	self->r.buf[0] = PAGE;
	EXPECT_EQ(variant->desc->rc, issue(&self->r, self->r.buf));
}

TEST_F(ioctl, long_nonzero)
{
	memset(self->r.buf, 0, sizeof(self->r.buf));
	fill(&self->r, self->r.buf);
	self->r.buf[0] = variant->desc->size + 16;
	((uint8_t *)self->r.buf)[variant->desc->size + 15] = 1;
	EXPECT_EQ(-E2BIG, issue(&self->r, self->r.buf));
	/* Beyond what the size says: not looked at. */
	self->r.buf[0] = variant->desc->size + 15;
	EXPECT_EQ(variant->desc->rc, issue(&self->r, self->r.buf));
}

TEST_F(ioctl, beyond_a_page)
{
	memset(self->r.buf, 0, sizeof(self->r.buf));
	fill(&self->r, self->r.buf);
	self->r.buf[0] = PAGE + 1;
	EXPECT_EQ(-E2BIG, issue(&self->r, self->r.buf));
	self->r.buf[0] = ~0U;
	EXPECT_EQ(-E2BIG, issue(&self->r, self->r.buf));
}

TEST_F(ioctl, unknown_flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (variant->desc->flags & (1U << bit))
			continue;
		fill(&self->r, self->r.buf);
		self->r.buf[1] = 1U << bit;
		EXPECT_EQ(-EINVAL, issue(&self->r, self->r.buf));
	}
}

TEST_F(ioctl, bad_pointers)
{
	int fd = variant->desc->on_txn ? self->r.txn : self->r.dev;
	void *end = self->r.page + PAGE - 4;

	EXPECT_EQ(-EFAULT, call(fd, variant->desc->cmd, NULL));
	EXPECT_EQ(-EFAULT, call(fd, variant->desc->cmd, BAD_POINTER));
	EXPECT_EQ(-EFAULT, call(fd, variant->desc->cmd, self->r.page + PAGE));
	/* The size can be read, the rest cannot. */
	*(uint32_t *)end = variant->desc->size;
	EXPECT_EQ(-EFAULT, call(fd, variant->desc->cmd, end));
}

/* What cannot be written back is an error, and leaves nothing behind; where nothing is, it is none. */
TEST_F(ioctl, read_only_struct)
{
	struct vmbeam_txn_outcome outcome;
	int txn, next = dup(self->r.dev);
	uint64_t id = 0;

	/* The fd that a new one gets. */
	close(next);
	fill(&self->r, self->r.page);
	ASSERT_EQ(0, mprotect(self->r.page, PAGE, PROT_READ));
	EXPECT_EQ(variant->desc->rc || variant->desc->in_only ? variant->desc->rc : -EFAULT,
		  call(variant->desc->on_txn ? self->r.txn : self->r.dev, variant->desc->cmd, self->r.page));
	if (variant->desc->cmd != VMBEAM_TXN_BEGIN)
		return;
	/* The domains are free, the id is nobody's, and no fd was left. */
	EXPECT_EQ(-ENOENT, txn_outcome(self->r.dev, self->r.id + 1, &outcome));
	txn = txn_begin(self->r.dev, DOMID_A - 2, DOMID_B - 2, &id);
	ASSERT_LE(0, txn);
	EXPECT_EQ(next, txn);
	EXPECT_EQ(self->r.id + 2, id);
	close(txn);
}

TEST_F(ioctl, on_the_wrong_fd)
{
	fill(&self->r, self->r.buf);
	EXPECT_EQ(-ENOTTY, call(variant->desc->on_txn ? self->r.dev : self->r.txn, variant->desc->cmd, self->r.buf));
}

/* Those whose struct is larger than when it was first published. */
FIXTURE(has_grown)
{
	struct rig r;
};

FIXTURE_VARIANT(has_grown)
{
	const struct ioctl_desc *desc;
};

FIXTURE_VARIANT_ADD(has_grown, outcome) { .desc = &desc_outcome };
FIXTURE_VARIANT_ADD(has_grown, swap) { .desc = &desc_swap };

FIXTURE_SETUP(has_grown)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(has_grown)
{
	rig_teardown(&self->r);
}

/* Who knows the first shape only is served, and nothing is written beyond it. */
TEST_F(has_grown, first_size)
{
	void *arg = self->r.page + PAGE - variant->desc->first_size;
	uint64_t buf[PAGE / 8];

	fill(&self->r, buf);
	memcpy(arg, buf, variant->desc->first_size);
	*(uint32_t *)arg = variant->desc->first_size;
	EXPECT_EQ(variant->desc->rc, issue(&self->r, arg));
}

/* Those whose struct has a field that must be 0. */
FIXTURE(has_reserved)
{
	struct rig r;
};

FIXTURE_VARIANT(has_reserved)
{
	const struct ioctl_desc *desc;
	uint32_t offset;
};

FIXTURE_VARIANT_ADD(has_reserved, query)
{
	.desc = &desc_query,
	.offset = offsetof(struct vmbeam_query, __reserved),
};

FIXTURE_VARIANT_ADD(has_reserved, begin)
{
	.desc = &desc_begin,
	.offset = offsetof(struct vmbeam_txn_begin, __reserved),
};

FIXTURE_VARIANT_ADD(has_reserved, outcome)
{
	.desc = &desc_outcome,
	.offset = offsetof(struct vmbeam_txn_outcome, __reserved),
};

FIXTURE_VARIANT_ADD(has_reserved, reopen)
{
	.desc = &desc_reopen,
	.offset = offsetof(struct vmbeam_txn_reopen, __reserved),
};

FIXTURE_SETUP(has_reserved)
{
	rig_setup(_metadata, &self->r, variant->desc);
}

FIXTURE_TEARDOWN(has_reserved)
{
	rig_teardown(&self->r);
}

TEST_F(has_reserved, reserved_field)
{
	fill(&self->r, self->r.buf);
	*(uint32_t *)((uint8_t *)self->r.buf + variant->offset) = 1;
	EXPECT_EQ(-EINVAL, issue(&self->r, self->r.buf));
}

/* Once is enough for these: no variant. */

FIXTURE(single)
{
	int dev;
	int txn;
	uint64_t id;
	struct vmbeam_query query;
	struct vmbeam_txn_swap res;
};

FIXTURE_SETUP(single)
{
	self->query.size = sizeof(self->query);
	self->dev = dev_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, call(self->dev, VMBEAM_QUERY, &self->query));
	self->txn = txn_begin(self->dev, DOMID_A, DOMID_B, &self->id);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(single)
{
	close(self->txn);
	close(self->dev);
}

TEST_F(single, query)
{
	EXPECT_EQ(VMBEAM_ROLE_HOST, self->query.role);
	EXPECT_EQ(VMBEAM_FEATURE_SWAP | VMBEAM_FEATURE_EXCHANGE | VMBEAM_FEATURE_SUPERPAGES |
		  VMBEAM_FEATURE_INVALIDATE | VMBEAM_FEATURE_REOPEN | VMBEAM_FEATURE_SWAP_EMPTY, self->query.features);
	EXPECT_LE(4096, self->query.max_extents);
	EXPECT_LE(65536, self->query.max_frames);
}

TEST_F(single, unknown_ioctls)
{
	uint64_t buf[16] = { sizeof(buf) };
	int nr;

	for (nr = 0; nr < 256; nr++) {
		if (nr && (nr < 0x10 || nr > 0x13))
			EXPECT_EQ(-ENOTTY, call(self->dev, _IO(VMBEAM_IOC_TYPE, nr), buf));
		if (nr < 0x18 || nr > 0x1b)
			EXPECT_EQ(-ENOTTY, call(self->txn, _IO(VMBEAM_IOC_TYPE, nr), buf));
	}
	/* Another type, a size in the number. */
	EXPECT_EQ(-ENOTTY, call(self->dev, _IO('x', 0), buf));
	EXPECT_EQ(-ENOTTY, call(self->dev, _IOWR(VMBEAM_IOC_TYPE, 0, struct vmbeam_query), buf));
}

TEST_F(single, bad_domids)
{
	const uint32_t bad[] = { 0, 0x7ff0, 0x7ff1, 0x7ff2, 0x7ff4, 0x7fff, 0x8000, 0x10000 + DOMID_A, ~0U };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, txn_begin(self->dev, bad[i], DOMID_A - 2, NULL));
		EXPECT_EQ(-EINVAL, txn_begin(self->dev, DOMID_A - 2, bad[i], NULL));
	}
	EXPECT_EQ(-EINVAL, txn_begin(self->dev, DOMID_A - 2, DOMID_A - 2, NULL));
}

TEST_F(single, swap_counts)
{
	uint32_t most = self->query.max_extents;
	struct vmbeam_extent_pair *pairs = calloc(most, sizeof(*pairs));
	uint32_t i;

	ASSERT_NE(NULL, pairs);
	EXPECT_EQ(-ESRCH, txn_swap_list(self->txn, NULL, 0, 0, NULL, &self->res));
	EXPECT_EQ(-ESRCH, txn_swap_list(self->txn, pairs, 0, VMBEAM_SWAP_EXCHANGE, NULL, &self->res));
	EXPECT_EQ(-ESRCH, txn_swap_list(self->txn, NULL, 0, VMBEAM_SWAP_INVALIDATE, NULL, &self->res));
	EXPECT_EQ(-E2BIG, txn_swap_list(self->txn, pairs, most + 1, 0, NULL, &self->res));
	EXPECT_EQ(-E2BIG, txn_swap_list(self->txn, pairs, ~0U, 0, NULL, &self->res));
	/* As many as are allowed get as far as the hypervisor. */
	for (i = 0; i < most; i++)
		pairs[i] = (struct vmbeam_extent_pair) { .gfn_a = i, .gfn_b = i, .nr = 1 };
	EXPECT_EQ(-ESRCH, txn_swap_list(self->txn, pairs, most, 0, NULL, &self->res));
	EXPECT_EQ(-ESRCH, txn_swap(self->txn, 0, 0, self->query.max_frames, 0, NULL, &self->res));
	EXPECT_EQ(-E2BIG, txn_swap(self->txn, 0, 0, self->query.max_frames + 1, 0, NULL, &self->res));
	EXPECT_EQ(-E2BIG, txn_swap(self->txn, 0, 0, ~0U, 0, NULL, &self->res));
	/* Sums do not wrap. */
	for (i = 0; i < most; i++)
		pairs[i].nr = 1U << 16;
	EXPECT_EQ(-E2BIG, txn_swap_list(self->txn, pairs, most, 0, NULL, &self->res));
	free(pairs);
}

TEST_F(single, swap_pairs)
{
	struct vmbeam_extent_pair pair = { .nr = 1, .__reserved = 1 };

	EXPECT_EQ(-EINVAL, txn_swap_list(self->txn, &pair, 1, 0, NULL, &self->res));
	EXPECT_EQ(-EINVAL, txn_swap(self->txn, 0, 0, 0, 0, NULL, &self->res));
	EXPECT_EQ(-EINVAL, txn_swap(self->txn, ~0ULL, 0, 1, 0, NULL, &self->res));
	EXPECT_EQ(-EINVAL, txn_swap(self->txn, 0, ~0ULL - 5, 10, 0, NULL, &self->res));
	EXPECT_EQ(-EFAULT, txn_swap_list(self->txn, NULL, 1, 0, NULL, &self->res));
	EXPECT_EQ(-EFAULT, txn_swap_list(self->txn, BAD_POINTER, 1, 0, NULL, &self->res));
}

/* Every excluded extent must be part of one of the others, and in the same order. */
TEST_F(single, swap_excluded)
{
	const struct vmbeam_extent_pair pairs[] = {
		{ .gfn_a = 10, .gfn_b = 20, .nr = 10 }, { .gfn_a = 40, .gfn_b = 50, .nr = 10 },
	};
	const struct {
		int rc;
		unsigned int nr;
		struct vmbeam_extent_pair x[2];
	} lists[] = {
		{ -ESRCH, 1, { { .gfn_a = 10, .gfn_b = 20, .nr = 10 } } },
		{ -ESRCH, 2, { { .gfn_a = 12, .gfn_b = 22, .nr = 1 }, { .gfn_a = 49, .gfn_b = 59, .nr = 1 } } },
		{ -ESRCH, 2, { { .gfn_a = 12, .gfn_b = 22, .nr = 2 }, { .gfn_a = 14, .gfn_b = 24, .nr = 1 } } },
		{ -EINVAL, 1, { { .gfn_a = 10, .gfn_b = 20, .nr = 0 } } },
		{ -EINVAL, 1, { { .gfn_a = 10, .gfn_b = 20, .nr = 11 } } },
		{ -EINVAL, 1, { { .gfn_a = 9, .gfn_b = 19, .nr = 2 } } },
		{ -EINVAL, 1, { { .gfn_a = 10, .gfn_b = 21, .nr = 1 } } },
		{ -EINVAL, 1, { { .gfn_a = 30, .gfn_b = 40, .nr = 1 } } },
		{ -EINVAL, 1, { { .gfn_a = 10, .gfn_b = 20, .nr = 1, .__reserved = 1 } } },
		{ -EINVAL, 1, { { .gfn_a = 12, .gfn_b = 22, .nr = ~0U } } },
		{ -EINVAL, 2, { { .gfn_a = 12, .gfn_b = 22, .nr = 2 }, { .gfn_a = 13, .gfn_b = 23, .nr = 1 } } },
		{ -EINVAL, 2, { { .gfn_a = 14, .gfn_b = 24, .nr = 1 }, { .gfn_a = 12, .gfn_b = 22, .nr = 1 } } },
		{ -EINVAL, 2, { { .gfn_a = 40, .gfn_b = 50, .nr = 1 }, { .gfn_a = 12, .gfn_b = 22, .nr = 1 } } },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++)
		EXPECT_EQ(lists[i].rc, txn_swap_but(self->txn, pairs, 2, lists[i].x, lists[i].nr, 0, NULL, &self->res))
			TH_LOG("list %zu", i);
	EXPECT_EQ(-EINVAL, txn_swap_but(self->txn, pairs, 2, lists[0].x, 0, 0, NULL, &self->res));
	EXPECT_EQ(-EFAULT, txn_swap_but(self->txn, pairs, 2, BAD_POINTER, 1, 0, NULL, &self->res));
	EXPECT_EQ(-E2BIG, txn_swap_but(self->txn, pairs, 2, lists[0].x, ~0U, 0, NULL, &self->res));
}

TEST_F(single, swap_status)
{
	uint8_t status = 0xff;

	EXPECT_EQ(-EFAULT, txn_swap(self->txn, 0, 0, 1, 0, BAD_POINTER, &self->res));
	EXPECT_EQ(-ESRCH, txn_swap(self->txn, 0, 0, 1, 0, &status, &self->res));
	EXPECT_EQ(VMBEAM_PAIR_SKIPPED, status);
}

/* Out of fds: nothing is left behind. */
TEST_F(single, no_fd_left)
{
	struct vmbeam_txn_outcome outcome;
	int txn, last, fds[4096], nr = 0;

	while (nr < 4096 && (last = dup(self->dev)) >= 0)
		fds[nr++] = last;
	if (nr == 4096)
		SKIP(return, "more fds than this test can take");
	EXPECT_EQ(-EMFILE, txn_begin(self->dev, DOMID_A - 2, DOMID_B - 2, NULL));
	while (nr)
		close(fds[--nr]);
	EXPECT_EQ(-ENOENT, txn_outcome(self->dev, self->id + 1, &outcome));
	txn = txn_begin(self->dev, DOMID_A - 2, DOMID_B - 2, NULL);
	EXPECT_LE(0, txn);
	close(txn);
}

TEST_F(single, needs_privilege)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(setuid(65534) ? 2 : dev_open() == -EACCES ? 0 : 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

HOST_MAIN(0)
