// SPDX-License-Identifier: GPL-2.0
/*
 * In place of the host's toolstack and of vmbeam_host.ko, for the daemon's own tests. Transactions are files in
 * $FAKE_DIR, "domid_a domid_b pid state"; one whose owner is dead counts as rolled back, as the module would do it.
 * $FAKE_BUSY: every that many'th pair is busy for as long as the exchange is not asked for. $FAKE_REFUSE: a gfn that is
 * refused. $FAKE_KEPT: a gfn that is kept, though nobody excluded it. $FAKE_DIE=commit: dies between the commit and its
 * announcement. $FAKE_DEAD: the domid of a host VM that has died.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	*domid = strcmp(name, "hv1") ? 2 : 1;
	return 0;
}

int hostvm_check(const char *name, uint32_t domid, struct error *err)
{
	(void)domid;
	return env("FAKE_NOT_PRESERVED") ? error_set(err, "%s has on_crash=\"destroy\"", name) : 0;
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
						VMBEAM_FEATURE_SUPERPAGES | VMBEAM_FEATURE_INVALIDATE };
	return 0;
}

int vmbeam_txn_begin(int dev, uint32_t domid_a, uint32_t domid_b, uint64_t *id)
{
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
	memset(result, 0, sizeof(*result));
	if ((!nr_pairs && !(flags & VMBEAM_SWAP_INVALIDATE)) || nr_pairs > 7 || nr_excluded > 7)
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
		     !strcmp(state, "stuck") ? VMBEAM_TXN_STUCK :
		     !strcmp(state, "open") && !kill(pid, 0) ? VMBEAM_TXN_OPEN : VMBEAM_TXN_ROLLED_BACK;
	out->nr_stuck = out->state == VMBEAM_TXN_STUCK;
	return 0;
}
