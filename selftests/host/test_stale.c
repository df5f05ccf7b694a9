// SPDX-License-Identifier: GPL-2.0
/*
 * Stale translations: a vCPU of either domain reads a frame as fast as it can while the frame is swapped, again and
 * again. Once the call has returned, it never sees what was there before.
 *
 * Under QEMU's TCG this proves that the domains are paused: it drops nested translations at every exit from a guest.
 * That TLBs are flushed besides can only be argued (docs/hypercall.md), and counted: one flush for each call.
 */
#include <sched.h>
#include <stdlib.h>

#include "host.h"
#include "vcpu.h"

#define NR 1024		/* two superpages: the first swap of a single frame tears one */
#define CODE 1
#define CONTROL 2
#define SMALL 77	/* the frame that is read: alone, */
#define LARGE (512 + 77) /* or in its superpage */
#define PATIENCE 2000000	/* looks at a vCPU that does not move */

/*
 * STALE_ROUNDS in the environment asks for another number of swaps. Where there is one CPU for the three of the lab, a
 * round takes a seventh of a second. A hypervisor that does not pause the domains is found out in the first.
 */
#define DEFAULT_ROUNDS 200
static unsigned int nr_rounds = DEFAULT_ROUNDS;

/* A frame that the reader and this test share. It stays mapped, and is never swapped. */
struct control {
	uint32_t state;		/* 0: may change at any time; 1, 2: word[state - 1] has to be there */
	uint32_t word[2];
	uint32_t target;	/* address of what is read */
	uint32_t rounds;
	uint32_t wrong;
	uint32_t seen;		/* what was wrong, for the message */
};

/*
 * The reader. What it read counts only if the state was the same before and after: processors of x86 keep the order of
 * reads.
 */
extern const uint8_t reader[], reader_end[];
__asm__(".pushsection .rodata\n"
	".code32\n"
	"reader:\n"
	"	mov	12(%esi), %edi\n"
	"1:	mov	(%esi), %eax\n"
	"	mov	(%edi), %ebx\n"
	"	cmp	(%esi), %eax\n"
	"	jne	1b\n"
	"	test	%eax, %eax\n"
	"	jz	2f\n"
	"	cmp	(%esi, %eax, 4), %ebx\n"
	"	je	2f\n"
	"	mov	%ebx, 24(%esi)\n"
	"	incl	20(%esi)\n"
	"2:	incl	16(%esi)\n"
	"	jmp	1b\n"
	"reader_end:\n"
	".code64\n"
	".popsection\n");

FIXTURE(stale)
{
	struct pair p;
	uint64_t id;
	int txn;
	volatile struct control *control[2];
};

static uint32_t first_word(uint32_t domid, uint64_t gfn)
{
	const volatile uint32_t *page = domain_map(domid, gfn, 1, PROT_READ);
	uint32_t word = page ? page[0] : 0;

	if (page)
		domain_unmap((void *)page, 1);
	return word;
}

FIXTURE_SETUP(stale)
{
	ASSERT_EQ(0, pair_setup(&self->p, NR, ORDER_2M));
	self->txn = txn_begin(self->p.dev, self->p.a, self->p.b, &self->id);
	ASSERT_LE(0, self->txn);
}

FIXTURE_TEARDOWN(stale)
{
	close(self->txn);
	for (int i = 0; i < 2; i++)
		if (self->control[i])
			domain_unmap((void *)self->control[i], 1);
	pair_teardown(&self->p);
}

static void start_reader(struct __test_metadata *_metadata, FIXTURE_DATA(stale) *self, int side, uint64_t gfn,
			 const uint32_t *words)
{
	uint32_t domid = side ? self->p.b : self->p.a;
	volatile struct control *control = domain_map(domid, CONTROL, 1, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, control);
	self->control[side] = control;
	memset((void *)control, 0, XC_PAGE_SIZE);
	/* Its own word first. */
	control->word[0] = words[side];
	control->word[1] = words[!side];
	control->target = gfn * XC_PAGE_SIZE;
	ASSERT_EQ(0, vcpu_start(domid, CODE, reader, reader_end - reader, CONTROL * XC_PAGE_SIZE));
}

/* Wait until the reader went round twice: then it has looked at the state as it is now. */
static bool went_round(volatile struct control *control)
{
	uint32_t from = control->rounds, i;

	for (i = 0; i < PATIENCE && control->rounds - from < 2; i++)
		sched_yield();
	return i < PATIENCE;
}

/* @pair is swapped; @excluded of it, if any, is what is read: then nothing may ever change. */
static void never_old(struct __test_metadata *_metadata, FIXTURE_DATA(stale) *self, uint64_t read,
		      const struct vmbeam_extent_pair *pair, const struct vmbeam_extent_pair *excluded)
{
	const uint32_t words[2] = { first_word(self->p.a, read), first_word(self->p.b, read) };
	const uint32_t nr_excluded = excluded ? excluded->nr : 0;
	struct vmbeam_txn_outcome outcome;
	struct vmbeam_txn_swap res;
	unsigned int round;
	int side;

	ASSERT_NE(words[0], words[1]);
	for (side = 0; side < 2; side++)
		start_reader(_metadata, self, side, read, words);
	for (round = 1; round <= nr_rounds; round++) {
		for (side = 0; side < 2; side++)
			self->control[side]->state = excluded ? 1 : 0;
		ASSERT_EQ(0, txn_swap_but(self->txn, pair, 1, excluded, nr_excluded, 0, NULL, &res));
		ASSERT_EQ(pair->nr - nr_excluded, res.nr_swapped);
		ASSERT_EQ(pair->nr == 1 ? 0 : pair->nr, res.nr_large);
		for (side = 0; side < 2; side++)
			self->control[side]->state = excluded ? 1 : 1 + round % 2;
		for (side = 0; side < 2; side++)
			ASSERT_TRUE(went_round(self->control[side])) {
				TH_LOG("the reader in domain %c stands still in round %u", 'A' + side, round);
			}
	}
	for (side = 0; side < 2; side++) {
		EXPECT_EQ(0, self->control[side]->wrong) {
			TH_LOG("domain %c's reader saw %#x", 'A' + side, self->control[side]->seen);
		}
		EXPECT_LT(2 * nr_rounds, self->control[side]->rounds);
	}
	ASSERT_EQ(0, txn_outcome(self->p.dev, self->id, &outcome));
	EXPECT_LE(nr_rounds, outcome.nr_flushes);
}

static const struct vmbeam_extent_pair superpage = { .gfn_a = 512, .gfn_b = 512, .nr = 512 };

TEST_F_TIMEOUT(stale, a_frame, 2 * TIMEOUT)
{
	const struct vmbeam_extent_pair small = { .gfn_a = SMALL, .gfn_b = SMALL, .nr = 1 };

	never_old(_metadata, self, SMALL, &small, NULL);
}

TEST_F_TIMEOUT(stale, a_superpage, 2 * TIMEOUT)
{
	never_old(_metadata, self, LARGE, &superpage, NULL);
}

TEST_F_TIMEOUT(stale, an_excluded_frame, 2 * TIMEOUT)
{
	const struct vmbeam_extent_pair excluded = { .gfn_a = LARGE, .gfn_b = LARGE, .nr = 1 };

	never_old(_metadata, self, LARGE, &superpage, &excluded);
}

int main(int argc, char **argv)
{
	const char *rounds = getenv("STALE_ROUNDS");

	host_require(0);
	if (rounds)
		nr_rounds = strtoul(rounds, NULL, 0);
	if (!nr_rounds)
		ksft_exit_fail_msg("STALE_ROUNDS=%s: at least 1\n", rounds);
	return test_harness_run(argc, argv);
}
