/* SPDX-License-Identifier: GPL-2.0 */
/* A machine with two domains, for the files of p2m-swap/ to work on. */
#ifndef _TEST_MACHINE_H
#define _TEST_MACHINE_H

#include "xen.h"

/* Of the entries' other bits, those that belong to the gfn and are to stay. */
#define ENTRY_FRAME	0x000ffffffffff000UL

struct machine {
	unsigned long nr_frames;	/* numbered from 0; the first is nobody's */
	unsigned long next, last;	/* those that are free: frames from below, tables from above */
	struct domain *d[2], *dom0;
	int no_memory_at;		/* allocations until one fails; -1: never */
	bool preempt;			/* the hypercall is to stop when it can */
	unsigned int nr_allocated;	/* by xmalloc(), and not freed */
	const char *wrong;		/* the first rule that was broken */
	bool continued;			/* the hypercall asked to be called again */
	void (*at_flush)(void);		/* what else is looked at when the TLBs are flushed */
	void (*unpaused)(void);		/* what happens when domains run */

	/* Work besides the pairs: in this pause, and the most in one. */
	struct machine_work {
		unsigned int splits, recalcs;
	} now, most;
	unsigned int pauses, flushes, continuations;
};

extern struct machine machine;

/* Maps what a machine of this size needs, empty. */
void machine_create(unsigned long nr_frames, bool ept);
void machine_destroy(void);

/* A frame, aligned, or 0. */
unsigned long machine_alloc(unsigned int order);

/* Gives frames to a domain, by one entry. */
void machine_populate(struct domain *d, unsigned long gfn, unsigned long mfn, unsigned int order, p2m_type_t type);

/* The entry that the processor would come to, or NULL; @order: its own. No lock, no stale type. */
uint64_t *machine_entry(struct domain *d, unsigned long gfn, unsigned int *order);

/* The entry as it is to be read, if it is stale. */
uint64_t machine_fresh(uint64_t e);

/* As a change of types does: the entry of a table or superpage of this order, or of a page, is to be read anew. */
void machine_make_stale(struct domain *d, unsigned long gfn, unsigned int order);

/* The hypercall, until it is done. */
long machine_swap(struct xen_p2m_swap *op);

#define BAD(what)	do { if (!machine.wrong) machine.wrong = (what); } while (0)

static inline unsigned long entry_frame(uint64_t e)
{
	return (e & ENTRY_FRAME) >> PAGE_SHIFT;
}

#endif /* _TEST_MACHINE_H */
