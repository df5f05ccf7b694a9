// SPDX-License-Identifier: GPL-2.0
/*
 * kmod/guest as it is, in userspace, over a made-up guest hypervisor: what is in an export is pinned exactly once, and
 * whatever went wrong, nothing else is. Random, with fixed seeds.
 */
#include "mmu.h"
#include "tap.h"

#define ROUNDS	8

/* What holds after each test. */
static bool nothing_left(void)
{
	CHECK(mmu_pinned() == 0 && test_modules == 0);
	unload();
	CHECK(test_allocated == 0 && test_open_fds() == 0);
	load();
	return true;
}

static bool pins_until_it_is_closed(void)
{
	struct vmbeam_export_info told;
	struct vmbeam_extent e[4];
	long fd = create(1);

	CHECK(fd >= 0 && add_run(fd, 500, 700) == 700);
	CHECK(mmu_pinned() == 700 && refs[1000] == 1 && refs[1699] == 1);
	CHECK(info(fd, &told) == 0 && told.id == id && told.domid == 1 && told.state == VMBEAM_EXPORT_FILLING);
	CHECK(told.nr_frames == 700 && told.nr_extents == 1);
	CHECK(test_pread(fd, e, sizeof(e), 0) == sizeof(e[0]));
	CHECK(e[0].pfn == 500 && e[0].gfn == 1000 && e[0].nr == 700);
	CHECK(test_pread(fd, e, sizeof(e), sizeof(e[0])) == 0 && test_pread(fd, e, sizeof(e), 1) == -EINVAL);
	CHECK(reopen(id) == -EBADFD && reopen(id + 1) == -ENOENT);
	CHECK(list_all(NULL, 0) == 1);
	CHECK(test_close(fd) == 0 && mmu_pinned() == 0 && list_all(NULL, 0) == 0);
	/* Its page tables are the next one's. */
	fd = create(1);
	CHECK(fd >= 0 && add_run(fd, 600, 800) == 800 && mmu_pinned() == 800 && refs[1100] == 1 && refs[1099] == 0);
	CHECK(test_pread(fd, e, sizeof(e), 0) == sizeof(e[0]) && e[0].gfn == 1100 && e[0].nr == 800);
	test_close(fd);
	return true;
}

static bool armed_outlives_its_fd(void)
{
	struct vmbeam_export_info told;
	struct vmbeam_extent e[2];
	const u64 pfn = 501;
	long fd = create(1), other;

	CHECK(fd >= 0 && end(fd, VMBEAM_EXPORT_ARM) == -EINVAL && add_run(fd, 500, 3) == 3);
	CHECK(end(fd, VMBEAM_EXPORT_ARM) == 0 && test_modules == 1);
	CHECK(end(fd, VMBEAM_EXPORT_ARM) == -EBADFD && add_run(fd, 600, 1) == -EBADFD);
	CHECK(remove_pfns(fd, &pfn, 1) == -EBADFD);
	CHECK(test_close(fd) == 0 && mmu_pinned() == 3);
	CHECK(list_all(&told, 1) == 1 && told.id == id && told.state == VMBEAM_EXPORT_ARMED && told.nr_frames == 3);
	fd = reopen(id);
	other = reopen(id);
	CHECK(fd >= 0 && other >= 0 && test_pread(fd, e, sizeof(e), 0) == sizeof(e[0]) && e[0].nr == 3);
	CHECK(end(other, VMBEAM_EXPORT_RELEASE) == 0 && test_modules == 0 && mmu_pinned() == 0);
	CHECK(end(fd, VMBEAM_EXPORT_RELEASE) == -EBADFD && info(fd, &told) == -EBADFD);
	CHECK(test_pread(fd, e, sizeof(e), 0) == -EBADFD && reopen(id) == -ENOENT);
	test_close(fd);
	test_close(other);
	return true;
}

/* What LIST says while an export is on its way out: 1 << state. */
static u32 states_listed;
static int looks_listed;

static void list_meanwhile(void)
{
	struct vmbeam_export_info told;

	looks_listed++;
	if (list_all(&told, 1) == 1)
		states_listed |= 1U << told.state;
}

static void release_while_it_is_listed(long fd)
{
	states_listed = 0;
	looks_listed = 0;
	test_before_lock = list_meanwhile;
	end(fd, VMBEAM_EXPORT_RELEASE);
	test_before_lock = NULL;
}

/* K10: the last one that it had, or it is not there any more. */
static bool states_that_are_listed(void)
{
	long fd = create(1);

	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3);
	release_while_it_is_listed(fd);
	CHECK(looks_listed >= 2 && states_listed == 1U << VMBEAM_EXPORT_FILLING && list_all(NULL, 0) == 0);
	test_close(fd);
	fd = create(1);
	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3 && end(fd, VMBEAM_EXPORT_ARM) == 0);
	release_while_it_is_listed(fd);
	CHECK(looks_listed >= 2 && states_listed == 1U << VMBEAM_EXPORT_ARMED && list_all(NULL, 0) == 0);
	test_close(fd);
	return true;
}

/* K12. The first of them is over when its id is known. */
static bool told_to_a_tracer(void)
{
	const u64 pfn = 501;
	long fd;

	test_trace = (struct test_trace){};
	fd = create(1);
	test_close(fd);
	test_trace.id = id + 1;
	fd = create(1);
	CHECK(fd >= 0 && id == test_trace.id && add_run(fd, 500, 3) == 3 && end(fd, VMBEAM_EXPORT_ARM) == 0);
	CHECK(end(fd, VMBEAM_EXPORT_RELEASE) == 0);
	CHECK(!strcmp(test_trace.names,
		      "vmbeam_export_create vmbeam_export_pin vmbeam_export_arm vmbeam_export_release "));
	test_close(fd);
	fd = create(1);
	test_trace = (struct test_trace){ .id = id };
	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3);
	*test_trace.names = 0;
	CHECK(remove_pfns(fd, &pfn, 1) == 1 && !strcmp(test_trace.names, "vmbeam_export_pin "));
	*test_trace.names = 0;
	test_close(fd);
	CHECK(!strcmp(test_trace.names, "vmbeam_export_release "));
	test_trace = (struct test_trace){};
	return true;
}

/* Each frame is told what it is. */
static bool what_does_not_fit_is_not_in_it(void)
{
	static const struct vmbeam_frame frames[] = {
		{ 500, 1000 }, { 1500, 2000 }, { 501, 1002 }, { 500, 1001 }, { 501, 1000 }, { 501, 1001 },
		{ DUMMY - 500, DUMMY }, { 1ULL << 40, 1003 }, { 502, MFNS }, { 503, 1003 }, { 502, ~0ULL },
	};
	static const u8 want[] = {
		VMBEAM_FRAME_PINNED, VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_M2P, VMBEAM_FRAME_DUPLICATE,
		VMBEAM_FRAME_DUPLICATE, VMBEAM_FRAME_PINNED, VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_M2P,
		VMBEAM_FRAME_FOREIGN, VMBEAM_FRAME_PINNED, VMBEAM_FRAME_FOREIGN,
	};
	u8 status[ARRAY_SIZE(want)];
	long fd = create(1);

	CHECK(fd >= 0 && add(fd, frames, ARRAY_SIZE(want), status) == 3);
	CHECK(!memcmp(status, want, sizeof(want)));
	CHECK(mmu_pinned() == 3 && refs[1000] == 1 && refs[1001] == 1 && refs[1003] == 1);
	test_close(fd);
	/* A domain whose frames are translated: what is mapped is not what was named. */
	fd = create(3);
	CHECK(fd >= 0 && add(fd, &(struct vmbeam_frame){ 2600, 3100 }, 1, status) == 0);
	CHECK(status[0] == VMBEAM_FRAME_FOREIGN && mmu_pinned() == 0);
	test_close(fd);
	CHECK(create(0) == -EINVAL && create(DOMID_FIRST_RESERVED) == -EINVAL && create(77) == -ESRCH);
	return true;
}

/* ADD and REMOVE at random, against a model; pfns in the order of the seed, so that extents come and go. */
static bool as_a_model(void)
{
	static bool in[1000];
	struct vmbeam_export_info told;
	struct vmbeam_extent e[1000];
	u64 pfns[64], frames = 0, extents = 0;
	long fd = create(1), nr;

	srand(seed);
	memset(in, 0, sizeof(in));
	CHECK(fd >= 0);
	for (int i = 0; i < 60; i++) {
		u32 n = 1 + rand() % 64, fresh = 0, from = rand() % (1000 - n);
		bool out = rand() % 3 == 0;

		for (u32 k = 0; k < n; k++) {
			fresh += in[from + k] == out;
			in[from + k] = !out;
			pfns[k] = 500 + from + k;
		}
		CHECK((out ? remove_pfns(fd, pfns, n) : add_run(fd, pfns[0], n)) == fresh);
	}
	for (int i = 0; i < 1000; i++) {
		CHECK(refs[1000 + i] == in[i]);
		frames += in[i];
		extents += in[i] && (!i || !in[i - 1]);
	}
	CHECK(info(fd, &told) == 0 && told.nr_frames == frames && told.nr_extents == extents);
	nr = test_pread(fd, e, sizeof(e), 0) / (long)sizeof(e[0]);
	CHECK(nr == (long)extents);
	for (long i = 0; i < nr; i++) {
		CHECK(e[i].gfn == e[i].pfn + 500 && (!i || e[i].pfn > e[i - 1].pfn + e[i - 1].nr));
		for (u64 k = 0; k < e[i].nr; k++)
			CHECK(in[e[i].pfn - 500 + k]);
	}
	test_close(fd);
	return true;
}

static bool the_domain_dies(void)
{
	struct vmbeam_export_info told;
	long fd = create(1);

	CHECK(fd >= 0);
	updates_left = 100 + 37 * seed;
	CHECK(add_run(fd, 500, 700) == -ESRCH);
	CHECK(info(fd, &told) == 0 && (int)told.nr_frames == mmu_pinned() && told.nr_frames == 100 + 37 * seed);
	test_close(fd);
	return true;
}

/* A policy's denial is of the whole call: it says nothing of whose the frames are. */
static bool the_policy_denies(void)
{
	long fd = create(1);

	CHECK(fd >= 0);
	updates_left = 0;
	updates_end = -EACCES;
	CHECK(add_run(fd, 500, 700) == -EACCES && mmu_pinned() == 0);
	updates_end = -ESRCH;
	test_close(fd);
	return true;
}

/* Entries are as large as the caller says. */
static bool list_in_the_callers_size(void)
{
	alignas(8) u8 bytes[2 * 64];
	struct vmbeam_export_list arg = { .size = sizeof(arg), .exports = (uintptr_t)bytes, .nr = 1, .entry_size = 64 };
	struct vmbeam_export_info *second = (void *)&bytes[64];
	long one = create(1), two = create(2);

	memset(bytes, 0xee, sizeof(bytes));
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == 0 && arg.nr == 2);
	CHECK(*(u32 *)bytes == 48 && !memchr_inv(bytes + 48, 0, 16) && bytes[64] == 0xee);
	arg.nr = 2;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == 0);
	CHECK(second->id == id && second->domid == 2);
	memset(bytes, 0xee, sizeof(bytes));
	arg.entry_size = 48;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == 0 && *(u32 *)&bytes[48] == 48 && bytes[96] == 0xee);
	arg.entry_size = 47;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == -EINVAL);
	arg.entry_size = PAGE_SIZE + 1;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == -E2BIG);
	arg.entry_size = 48;
	arg.nr = VMBEAM_MAX_EXPORTS + 1;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_LIST, &arg) == -E2BIG);
	test_close(one);
	test_close(two);
	return true;
}

static bool ids_from_before_a_reload(void)
{
	u64 before;
	long fd = create(1);

	before = id;
	test_close(fd);
	unload();
	load();
	for (int i = 0; i < 3; i++) {
		u64 last = id;

		fd = create(1);
		CHECK(fd >= 0 && (i == 0 || id == last + 1) && id != before && id < 1ULL << 53);
		test_close(fd);
	}
	return true;
}

static bool requests_that_make_no_sense(void)
{
	struct vmbeam_query query = { .size = sizeof(query), .__reserved = 1 };
	struct vmbeam_export_open open = { .size = sizeof(open), .__reserved = 1 };
	const struct vmbeam_frame frame = { 500, 1000 };
	struct vmbeam_extent e;
	const u64 pfn = 500;
	long fd = create(1);

	CHECK(fd >= 0);
	CHECK(add(fd, &frame, 0, NULL) == -EINVAL && remove_pfns(fd, &pfn, 0) == -EINVAL);
	CHECK(add(fd, &frame, VMBEAM_MAX_BATCH + 1, NULL) == -E2BIG);
	CHECK(remove_pfns(fd, &pfn, VMBEAM_MAX_BATCH + 1) == -E2BIG);
	CHECK(test_pread(fd, &e, sizeof(e) - 1, 0) == -EINVAL && test_pread(fd, &e, sizeof(e), -16) == -EINVAL);
	CHECK(add_run(fd, 500, 3) == 3 && end(fd, VMBEAM_EXPORT_ARM) == 0);
	open.id = id;
	CHECK(test_ioctl(dev, VMBEAM_EXPORT_OPEN, &open) == -EINVAL && open.out_fd == -1);
	CHECK(end(fd, VMBEAM_EXPORT_RELEASE) == 0);
	test_close(fd);
	CHECK(test_ioctl(dev, VMBEAM_QUERY, &query) == -EINVAL);
	query.__reserved = 0;
	CHECK(test_ioctl(dev, VMBEAM_QUERY, &query) == 0 && query.role == VMBEAM_ROLE_GUEST);
	return true;
}

/* A reader that goes on sees what there was when it began; one that begins anew sees what there is. */
static bool read_while_it_changes(void)
{
	const u64 pfn = 501;
	struct vmbeam_extent e[4];
	long fd = create(1);

	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3);
	CHECK(test_pread(fd, e, sizeof(e), 0) == sizeof(e[0]) && e[0].nr == 3);
	CHECK(add_run(fd, 600, 2) == 2 && remove_pfns(fd, &pfn, 1) == 1);
	CHECK(test_pread(fd, e, sizeof(e), sizeof(e[0])) == 0);
	CHECK(test_pread(fd, e, sizeof(e), 0) == 3 * sizeof(e[0]) && e[0].nr == 1 && e[1].pfn == 502 && e[2].nr == 2);
	CHECK(test_pread(fd, e, sizeof(e), sizeof(e[0])) == 2 * sizeof(e[0]) && e[0].pfn == 502);
	CHECK(remove_pfns(fd, &e[1].pfn, 1) == 1);
	CHECK(test_pread(fd, e, sizeof(e), 2 * sizeof(e[0])) == sizeof(e[0]) && e[0].pfn == 600 && e[0].nr == 2);
	CHECK(test_pread(fd, e, sizeof(e), 0) == 3 * sizeof(e[0]) && e[2].pfn == 601 && e[2].nr == 1);
	test_close(fd);
	return true;
}

static bool too_many_exports(void)
{
	static struct vmbeam_export *all[VMBEAM_MAX_EXPORTS];
	long fd;

	if (seed)
		return true;
	for (u32 i = 0; i < VMBEAM_MAX_EXPORTS; i++) {
		all[i] = vmbeam_export_new(1);
		CHECK(!IS_ERR(all[i]));
	}
	CHECK(create(1) == -ENOSPC);
	for (u32 i = 0; i < VMBEAM_MAX_EXPORTS; i++) {
		vmbeam_export_end(all[i]);
		vmbeam_export_put(all[i]);
	}
	fd = create(1);
	CHECK(fd >= 0 && test_close(fd) == 0);
	return true;
}

/* Pfns that follow each other, of frames that do not; and the M2P's own word for a frame that has no pfn. */
static bool frames_from_elsewhere(void)
{
	const struct vmbeam_frame frames[] = { { 500, 1000 }, { 501, 1500 }, { ~0ULL, 1003 } };
	struct vmbeam_extent e[4];
	u8 status[3];
	long fd = create(1);

	m2p[1500] = 501;
	m2p[1003] = ~0ULL;
	CHECK(fd >= 0 && add(fd, frames, 3, status) == 2 && status[2] == VMBEAM_FRAME_M2P);
	CHECK(test_pread(fd, e, sizeof(e), 0) == 2 * sizeof(e[0]) && e[0].nr == 1 && e[1].gfn == 1500);
	test_close(fd);
	mmu_fill();
	return true;
}

/* Whatever ends it, what is pinned by then is counted. */
static bool ended_in_the_middle(void)
{
	const struct vmbeam_frame frames[] = { { 500, 1000 }, { 501, 1001 }, { 502, 1002 } };
	const u64 pfns[] = { 500, 501 };
	struct vmbeam_export *e = vmbeam_export_new(1);
	u32 nr = 0, removed = 0;
	u8 status[3] = {};
	int rc;

	CHECK(!IS_ERR(e));
	e->nr_frames = VMBEAM_EXPORT_MAX_FRAMES - 2;
	rc = vmbeam_frames_add(e, frames, status, 3, &nr);
	CHECK(rc == -ENOSPC && nr == 2 && mmu_pinned() == 2);
	test_killed = true;
	rc = vmbeam_frames_remove(e, pfns, 2, &removed);
	test_killed = false;
	CHECK(rc == -EINTR && removed == 1 && mmu_pinned() == 1);
	nr = 0;
	e->nr_frames = 1;
	test_killed = true;
	rc = vmbeam_frames_add(e, frames, status, 3, &nr);
	test_killed = false;
	CHECK(rc == -EINTR && nr == 1 && mmu_pinned() == 2);
	vmbeam_export_end(e);
	vmbeam_export_put(e);
	return true;
}

/* What cannot be unpinned is not kept for the next export: the kernel takes it out, with the page table. */
static bool hypervisor_that_does_not_let_go(void)
{
	long fd = create(1);

	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3);
	mmu_keeps = true;
	test_warnings = 0;
	test_close(fd);
	CHECK(test_warnings == 1 && mmu_pinned() == 0);
	test_warnings = -1;
	mmu_keeps = false;
	return true;
}

static bool page_tables_that_are_kept(void)
{
	static struct vmbeam_chunk *chunks[4096 + 2];
	long before;

	if (seed)
		return true;
	unload();
	load();
	before = test_allocated;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
		chunks[i] = vmbeam_chunk_get();
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
		vmbeam_chunk_put(chunks[i]);
	/* Each is a page and what describes it. */
	CHECK(test_allocated - before == 2 * 4096);
	return true;
}

static bool only_where_and_for_whom_it_is(void)
{
	unload();
	test_no_dom0 = true;
	CHECK(test_insmod() == -ENODEV);
	test_no_dom0 = false;
	load();
	test_no_capability = true;
	CHECK(test_open_dev() == -EPERM);
	test_no_capability = false;
	return true;
}

/* What was done must not look as if it had failed; and what nobody was told of is not there. */
static bool without_reply(void)
{
	long fd = create(1), rc;

	CHECK(fd >= 0 && add_run(fd, 500, 3) == 3);
	test_no_reply = true;
	rc = end(fd, VMBEAM_EXPORT_ARM);
	CHECK(rc == 0 && create(2) == -EFAULT && reopen(id) < 0);
	rc = end(fd, VMBEAM_EXPORT_RELEASE);
	test_no_reply = false;
	CHECK(rc == 0 && mmu_pinned() == 0 && list_all(NULL, 0) == 0);
	test_close(fd);
	return true;
}

/* What somebody may do with exports; where it fails, it goes on. */
static void use(void)
{
	const u64 pfns[] = { 501, 600, 1100 };
	struct vmbeam_export_info infos[4];
	struct vmbeam_extent e[4];
	long fd = create(1), other;
	u64 armed = id;

	if (fd < 0)
		return;
	add_run(fd, 500, 600);
	remove_pfns(fd, pfns, 3);
	add_run(fd, 480, 100);
	test_pread(fd, e, sizeof(e), 0);
	list_all(infos, 4);
	if (!end(fd, VMBEAM_EXPORT_ARM)) {
		test_close(fd);
		fd = reopen(armed);
	}
	other = create(2);
	if (other >= 0)
		test_close(other);
	/* An operator, later. */
	if (fd < 0)
		fd = reopen(armed);
	end(fd, VMBEAM_EXPORT_RELEASE);
	test_close(fd);
}

/* The first, the second, ... of what may fail, until nothing did. */
static bool each_allocation_fails_once(void)
{
	long n;

	if (seed)
		return true;
	for (n = 0, test_failed = true; test_failed; n++) {
		test_failed = false;
		test_fail_at = n;
		use();
		test_fail_at = -1;
		if (!nothing_left())
			return false;
	}
	/* It must have come to some. */
	CHECK(n > 1000);
	return true;
}

static const struct test tests[] = {
	TEST(pins_until_it_is_closed), TEST(armed_outlives_its_fd), TEST(what_does_not_fit_is_not_in_it),
	TEST(as_a_model), TEST(the_domain_dies), TEST(the_policy_denies),
	TEST(list_in_the_callers_size), TEST(ids_from_before_a_reload),
	TEST(without_reply), TEST(each_allocation_fails_once), TEST(requests_that_make_no_sense),
	TEST(read_while_it_changes), TEST(too_many_exports), TEST(only_where_and_for_whom_it_is),
	TEST(frames_from_elsewhere), TEST(ended_in_the_middle), TEST(hypervisor_that_does_not_let_go),
	TEST(page_tables_that_are_kept), TEST(states_that_are_listed), TEST(told_to_a_tracer),
};

int main(int argc, char **argv)
{
	load();
	return tap_run(tests, ARRAY_SIZE(tests), ROUNDS, nothing_left, argc, argv);
}
