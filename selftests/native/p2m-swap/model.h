/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a swap must leave behind, computed from the statuses alone: for each gfn the frame, the contents and the other
 * bits of its entry, for each frame its count and type.
 */
#ifndef _TEST_MODEL_H
#define _TEST_MODEL_H

#include "machine.h"

struct model_gfn {
	unsigned long mfn;	/* 0: none that a domain owns */
	uint64_t entry;		/* all bits but the frame and the order */
	uint32_t content;	/* what model_fill() wrote; 0: nothing */
	uint8_t order;
};

struct model {
	unsigned long nr_gfns, nr_frames;
	struct model_gfn *gfn[2];
	struct model_frame {
		unsigned long count, type, m2p;
		const struct domain *owner;
	} *frame;		/* by its number */
};

/* Writes contents of its own to each frame of both domains. */
void model_fill(unsigned long nr_gfns);

/* Takes down what the machine is now. @filled: by model_fill() */
void model_take(struct model *m, unsigned long nr_gfns, bool filled);
void model_free(struct model *m);

/* Do to the model what the call says that it has done. */
void model_apply(struct model *m, const struct xen_p2m_swap *op);

/* Is the machine what the model is? NULL, or what is not. */
const char *model_check(const struct model *m);

/*
 * Without regard to what was done: does each entry name a frame of its domain whose M2P entry names the gfn, is none
 * frozen, are the lists whole? Frames that were otherwise from the beginning may stay so.
 */
const char *model_check_books(const struct model *m);

#endif /* _TEST_MODEL_H */
