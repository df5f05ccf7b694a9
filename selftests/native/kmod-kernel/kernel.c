// SPDX-License-Identifier: GPL-2.0
/* The made-up kernel of kernel.h: memory, faults, fds, XArray. */
#include "kernel.h"

#define FDS 64

__thread bool test_no_reply, test_killed;
__thread int test_replies_left;
long test_fail_at = -1, test_allocated, test_modules;
bool test_failed, test_threads, test_no_capability, test_no_dom0;
_Atomic unsigned int test_rescheds;
int test_warnings = -1;
void (*test_on_sleep)(void);
__thread void (*test_before_lock)(void);

/* Is this the one that fails? Of what may fail, once and no more. */
bool test_fault(void)
{
	if (test_fail_at < 0 || test_fail_at-- > 0)
		return false;
	test_failed = true;
	return true;
}

void *test_alloc(size_t size, gfp_t gfp)
{
	void *ptr;

	if (!(gfp & __GFP_NOFAIL) && test_fault())
		return NULL;
	ptr = calloc(1, size);
	if (!ptr)
		abort();
	__atomic_fetch_add(&test_allocated, 1, __ATOMIC_RELAXED);
	return ptr;
}

void test_free(const void *ptr)
{
	if (!ptr)
		return;
	__atomic_fetch_sub(&test_allocated, 1, __ATOMIC_RELAXED);
	free((void *)ptr);
}

__thread struct test_trace test_trace;

void test_traced(const char *name, u64 id)
{
	struct test_trace *t = &test_trace;
	size_t len = strlen(t->names), n = strlen(name);

	if (!t->id || t->id != id || (len > n && !strncmp(t->names + len - n - 1, name, n)))
		return;
	snprintf(t->names + len, sizeof(t->names) - len, "%s ", name);
}

void test_warned(const char *file, int line)
{
	if (test_warnings >= 0) {
		test_warnings++;
		return;
	}
	printf("# WARN at %s:%d\n", file, line);
	fflush(stdout);
	abort();
}

u64 get_random_u64(void)
{
	static u64 last = 1;

	last = last * 6364136223846793005ULL + 1442695040888963407ULL;
	return last;
}

/* XArray */

/* Where @index is, or would be. */
static size_t xa_at(const struct xarray *xa, unsigned long index)
{
	size_t lo = 0, hi = xa->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (xa->v[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct test_xa *xa_slot(const struct xarray *xa, unsigned long index)
{
	size_t at = xa_at(xa, index);

	return at < xa->nr && xa->v[at].index == index ? &xa->v[at] : NULL;
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	struct test_xa *slot = xa_slot(xa, index);

	return slot ? slot->entry : NULL;
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	size_t at = xa_at(xa, index);

	if (xa_slot(xa, index))
		return -EBUSY;
	if (!(gfp & __GFP_NOFAIL) && test_fault())
		return -ENOMEM;
	if (xa->nr == xa->room) {
		xa->room = xa->room ? 2 * xa->room : 64;
		xa->v = realloc(xa->v, xa->room * sizeof(*xa->v));
	}
	memmove(&xa->v[at + 1], &xa->v[at], (xa->nr++ - at) * sizeof(*xa->v));
	xa->v[at] = (struct test_xa){ .index = index, .entry = entry };
	return 0;
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	struct test_xa *slot = xa_slot(xa, index);
	void *old;
	int rc;

	if (!slot) {
		rc = xa_insert(xa, index, entry, gfp);
		return rc ? ERR_PTR(rc) : NULL;
	}
	old = slot->entry;
	slot->entry = entry;
	return old;
}

int xa_alloc(struct xarray *xa, u32 *id, void *entry, u32 limit, gfp_t gfp)
{
	(void)limit;
	for (*id = 0; xa_slot(xa, *id); ++*id)
		;
	return xa_insert(xa, *id, entry, gfp);
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	struct test_xa *slot = xa_slot(xa, index);
	void *old;

	if (!slot)
		return NULL;
	old = slot->entry;
	memmove(slot, slot + 1, (--xa->nr - (slot - xa->v)) * sizeof(*slot));
	if (!xa->nr)
		xa_destroy(xa);
	return old;
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, int mark)
{
	for (size_t at = xa_at(xa, *index); at < xa->nr && xa->v[at].index <= max; at++)
		if (xa->v[at].entry && (mark == XA_PRESENT || xa->v[at].mark)) {
			*index = xa->v[at].index;
			return xa->v[at].entry;
		}
	return NULL;
}

void xa_set_mark(struct xarray *xa, unsigned long index, int mark)
{
	(void)mark;
	xa_slot(xa, index)->mark = true;
}

void xa_clear_mark(struct xarray *xa, unsigned long index, int mark)
{
	(void)mark;
	xa_slot(xa, index)->mark = false;
}

/* The kernel's keeps interrupts off for as long as there are entries: many are to be erased one by one before. */
void xa_destroy(struct xarray *xa)
{
	if (xa->nr)
		abort();
	free(xa->v);
	xa->v = NULL;
	xa->nr = 0;
	xa->room = 0;
}

/* Files */

static pthread_mutex_t fds_lock = PTHREAD_MUTEX_INITIALIZER;
static struct { bool used; struct file *file; } fds[FDS];

int get_unused_fd_flags(unsigned int flags)
{
	int fd;

	(void)flags;
	if (test_fault())
		return -EMFILE;
	pthread_mutex_lock(&fds_lock);
	for (fd = 0; fds[fd].used; fd++)
		if (fd == FDS - 1)
			abort();
	fds[fd].used = true;
	pthread_mutex_unlock(&fds_lock);
	return fd;
}

void put_unused_fd(unsigned int fd)
{
	pthread_mutex_lock(&fds_lock);
	if (!fds[fd].used || fds[fd].file)
		abort();
	fds[fd].used = false;
	pthread_mutex_unlock(&fds_lock);
}

struct file *anon_inode_getfile(const char *name, const struct file_operations *fops, void *priv, int flags)
{
	struct file *file = test_alloc(sizeof(*file), 0);

	(void)name;
	(void)flags;
	if (!file)
		return ERR_PTR(-ENFILE);
	refcount_set(&file->refs, 1);
	file->fops = fops;
	file->private_data = priv;
	return file;
}

void fd_install(unsigned int fd, struct file *file)
{
	pthread_mutex_lock(&fds_lock);
	if (!fds[fd].used || fds[fd].file)
		abort();
	fds[fd].file = file;
	pthread_mutex_unlock(&fds_lock);
}

void fput(struct file *file)
{
	if (!refcount_dec_and_test(&file->refs))
		return;
	if (file->fops->release)
		file->fops->release(NULL, file);
	test_free(file);
}

static const struct miscdevice *device;

int misc_register(struct miscdevice *dev)
{
	device = dev;
	return 0;
}

void misc_deregister(struct miscdevice *dev)
{
	(void)dev;
	device = NULL;
}

/* The device's file has no release(), and its memory none of the module's faults. */
int test_open_dev(void)
{
	long fail_at = test_fail_at;
	struct file *file;
	int fd, rc;

	test_fail_at = -1;
	file = anon_inode_getfile("dev", device->fops, NULL, 0);
	test_fail_at = fail_at;
	rc = device->fops->open(NULL, file);
	if (rc) {
		test_free(file);
		return rc;
	}
	test_fail_at = -1;
	fd = get_unused_fd_flags(0);
	fd_install(fd, file);
	test_fail_at = fail_at;
	return fd;
}

static struct file *fget(int fd)
{
	struct file *file;

	pthread_mutex_lock(&fds_lock);
	file = fds[fd].file;
	if (file)
		refcount_inc(&file->refs);
	pthread_mutex_unlock(&fds_lock);
	return file;
}

long test_ioctl(int fd, unsigned int cmd, void *arg)
{
	struct file *file = fget(fd);
	long rc;

	if (!file)
		return -EBADF;
	rc = file->fops->unlocked_ioctl(file, cmd, (unsigned long)arg);
	fput(file);
	return rc;
}

ssize_t test_pread(int fd, void *buf, size_t len, loff_t at)
{
	struct file *file = fget(fd);
	ssize_t rc;

	if (!file)
		return -EBADF;
	rc = file->fops->read(file, buf, len, &at);
	fput(file);
	return rc;
}

int test_close(int fd)
{
	struct file *file;

	pthread_mutex_lock(&fds_lock);
	file = fds[fd].file;
	fds[fd].file = NULL;
	if (file)
		fds[fd].used = false;
	pthread_mutex_unlock(&fds_lock);
	if (!file)
		return -EBADF;
	fput(file);
	return 0;
}

int test_open_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < FDS; fd++)
		nr += fds[fd].used;
	return nr;
}
