// SPDX-License-Identifier: GPL-2.0
/*
 * In place of the host's toolstack and of vmbeam_host.ko, for the daemon's own tests. Transactions are files in
 * $FAKE_DIR, "domid_a domid_b pid state"; one whose owner is dead counts as rolled back, as the module would do it.
 * $FAKE_BUSY: every that many'th pair is busy for as long as the exchange is not asked for. $FAKE_REFUSE: a gfn that is
 * refused. $FAKE_KEPT: a gfn that is kept, though nobody excluded it. $FAKE_DIE=commit: dies between the commit and
 * its announcement. $FAKE_RESTARTED: hv1 was started anew, and has another domid. $FAKE_DEAD: the domid of a host VM
 * that has died. $FAKE_FSYNC: the one of that number fails; so do all while there is a file disk-full in $FAKE_DIR.
 * $FAKE_LACKS: features that the module does not have.
 * $FAKE_NO_SWAP: what the hypervisor's errno is for any frames of the two; $FAKE_IN_TXN: one is in another transaction.
 * What goes to systemd's journal is in the file journald there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostvm.h"
#include "vmbeam.h"

static uint64_t current;
static uint32_t current_a, current_b;

static unsigned long long env(const char *name)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 0) : 0;
}

int fsync(int fd)
{
	static unsigned long long files;
	struct stat st;
	char path[512];
	int full;

	snprintf(path, sizeof(path), "%s/disk-full", getenv("FAKE_DIR"));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (++files != env("FAKE_FSYNC") && access(path, F_OK))
		return 0;
	/* So that a test sees how often it was tried. */
	full = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (full >= 0 && write(full, "x", 1) == 1)
		close(full);
	errno = EIO;
	return -1;
}

/* A line for each, its fields separated by tabs. */
int sd_journal_sendv(const struct iovec *iov, int n)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/journald", getenv("FAKE_DIR"));
	f = fopen(path, "a");
	if (!f)
		return -errno;
	for (int i = 0; i < n; i++)
		fprintf(f, "%.*s%c", (int)iov[i].iov_len, (const char *)iov[i].iov_base, i + 1 < n ? '\t' : '\n');
	fclose(f);
	return 0;
}

static void write_state(const char *state)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/txn-%llu", getenv("FAKE_DIR"), (unsigned long long)current);
	f = fopen(path, "w");
	if (!f)
		abort();
	fprintf(f, "%u %u %d %s\n", current_a, current_b, getpid(), state);
	fclose(f);
}

int hostvm_domid(const char *name, uint32_t *domid, struct error *err)
{
	(void)err;
	*domid = strcmp(name, "hv1") ? 2 : env("FAKE_RESTARTED") ? 11 : 1;
	return 0;
}

int hostvm_check(const char *name, uint32_t domid, struct error *err)
{
	(void)domid;
	return env("FAKE_NOT_PRESERVED") ? error_set(err, "%s has on_crash=\"destroy\"", name) : 0;
}

/*
 * Whoever listens on the agents' sockets has started the daemon. $FAKE_DM_DOMID: another process; with $FAKE_DM_AFTER,
 * only when it was asked for that often.
 */
int hostvm_device_model(const char *name, uint32_t domid, pid_t *pid, struct error *err)
{
	static unsigned long long asked[16];
	char key[32];

	snprintf(key, sizeof(key), "FAKE_DM_%u", domid);
	*pid = getenv(key) && asked[domid]++ >= env("FAKE_DM_AFTER") ? (pid_t)env(key) : getppid();
	return *pid ? 0 : error_set(err, "%s: xenstore has no device model", name);
}

/* The last word that the test, or its xl, has put into the file system-NAME. Without one it runs. */
enum hostvm_state hostvm_state(const char *name, uint32_t *domid)
{
	char path[512], word[16] = "up";
	struct error err;
	FILE *f;

	snprintf(path, sizeof(path), "%s/system-%s", getenv("FAKE_DIR"), name);
	f = fopen(path, "r");
	if (f) {
		while (fscanf(f, "%15s", word) == 1)
			;
		fclose(f);
	}
	*domid = 0;
	if (!strcmp(word, "none"))
		return HOSTVM_NONE;
	if (!strcmp(word, "unknown"))
		return HOSTVM_UNKNOWN;
	hostvm_domid(name, domid, &err);
	return strcmp(word, "up") ? HOSTVM_ENDED : HOSTVM_UP;
}

bool hostvm_is_dead(uint32_t domid)
{
	return env("FAKE_DEAD") == domid;
}

int vmbeam_open(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int vmbeam_query(int dev, struct vmbeam_query *q)
{
	(void)dev;
	*q = (struct vmbeam_query){ .size = sizeof(*q), .role = VMBEAM_ROLE_HOST, .max_extents = 7, .max_frames = 30,
				    .features = VMBEAM_FEATURE_SWAP | VMBEAM_FEATURE_EXCHANGE |
						VMBEAM_FEATURE_SUPERPAGES | VMBEAM_FEATURE_INVALIDATE |
						VMBEAM_FEATURE_SWAP_EMPTY };
	q->features &= ~env("FAKE_LACKS");
	return 0;
}

int vmbeam_txn_begin(int dev, uint32_t domid_a, uint32_t domid_b, uint64_t *id)
{
	if (env("FAKE_IN_TXN"))
		return -EBUSY;
	current = getpid();
	current_a = domid_a;
	current_b = domid_b;
	write_state("open");
	*id = current;
	return vmbeam_open() + (dev & 0);
}

int vmbeam_txn_swap(int txn, uint32_t flags, const struct vmbeam_extent_pair *pairs, uint32_t nr_pairs,
		    const struct vmbeam_extent_pair *excluded, uint32_t nr_excluded, uint8_t *status,
		    struct vmbeam_txn_swap *result)
{
	uint32_t x = 0, in_x = 0;

	(void)txn;
	if (!nr_pairs)
		return flags ? 0 : -(int)env("FAKE_NO_SWAP");
	memset(result, 0, sizeof(*result));
	if (nr_pairs > 7 || nr_excluded > 7)
		return -EINVAL;
	for (uint32_t i = 0; i < nr_pairs; i++, in_x = 0)
		for (uint32_t k = 0; k < pairs[i].nr; k++) {
			uint64_t gfn = pairs[i].gfn_a + k;
			bool busy = env("FAKE_BUSY") && gfn % env("FAKE_BUSY") == 0;
			bool kept = x < nr_excluded && excluded[x].gfn_a + in_x == gfn &&
				    excluded[x].gfn_b + in_x == pairs[i].gfn_b + k;

			if (kept && ++in_x == excluded[x].nr) {
				x++;
				in_x = 0;
			}
			if (++result->nr_done > 30)
				return -E2BIG;
			*status++ = kept || env("FAKE_KEPT") == gfn ? VMBEAM_PAIR_KEPT :
				    env("FAKE_REFUSE") == gfn ? (VMBEAM_PAIR_TYPE | VMBEAM_PAIR_SIDE_A) :
				    !busy ? VMBEAM_PAIR_SWAPPED :
				    flags & VMBEAM_SWAP_EXCHANGE ? VMBEAM_PAIR_EXCHANGED : VMBEAM_PAIR_BUSY;
		}
	/* As the module: each within one of the pairs' extents, in their order. */
	return x == nr_excluded ? 0 : -EINVAL;
}

int vmbeam_txn_commit(int txn)
{
	(void)txn;
	write_state("committed");
	if (!strcmp(getenv("FAKE_DIE") ?: "", "commit"))
		kill(getpid(), SIGKILL);
	return 0;
}

int vmbeam_txn_rollback(int txn)
{
	(void)txn;
	write_state(env("FAKE_STUCK") ? "stuck" : "rolled-back");
	return env("FAKE_STUCK") ? -EBUSY : 0;
}

int vmbeam_txn_outcome(int dev, uint64_t id, struct vmbeam_txn_outcome *out)
{
	char path[512], state[32];
	int pid;
	FILE *f;

	(void)dev;
	*out = (struct vmbeam_txn_outcome){ .size = sizeof(*out), .id = id };
	snprintf(path, sizeof(path), "%s/txn-%llu", getenv("FAKE_DIR"), (unsigned long long)id);
	f = fopen(path, "r");
	if (!f)
		return -ENOENT;
	if (fscanf(f, "%u %u %d %31s", &out->domid_a, &out->domid_b, &pid, state) != 4)
		abort();
	fclose(f);
	out->state = !strcmp(state, "committed") ? VMBEAM_TXN_COMMITTED :
		     !strcmp(state, "stuck") || !strcmp(state, "passing") ? VMBEAM_TXN_STUCK :
		     !strcmp(state, "open") && !kill(pid, 0) ? VMBEAM_TXN_OPEN : VMBEAM_TXN_ROLLED_BACK;
	out->nr_stuck = out->state == VMBEAM_TXN_STUCK;
	return 0;
}

/* A stuck one goes back if the test has written "passing" in its file. */
int vmbeam_txn_retry(int dev, uint64_t id)
{
	char path[512], state[32] = "";
	unsigned int a, b;
	int pid;
	FILE *f;

	(void)dev;
	snprintf(path, sizeof(path), "%s/txn-%llu", getenv("FAKE_DIR"), (unsigned long long)id);
	f = fopen(path, "r+");
	if (!f)
		return -ENOENT;
	if (fscanf(f, "%u %u %d %31s", &a, &b, &pid, state) != 4)
		abort();
	if (!strcmp(state, "passing")) {
		rewind(f);
		fprintf(f, "%u %u %d rolled-back", a, b, pid);
	}
	fclose(f);
	return strcmp(state, "passing") ? -EBUSY : 0;
}
