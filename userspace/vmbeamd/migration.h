/* SPDX-License-Identifier: GPL-2.0 */
/* A migration: the state that its steps, its end and its report share. There is one at a time. */
#ifndef VMBEAM_MIGRATION_H
#define VMBEAM_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent.h"
#include "config.h"
#include "error.h"
#include "journal.h"
#include "record.h"
#include "savestream.h"
#include "text.h"

enum step { STEP_CHECK, STEP_PREPARE, STEP_SUSPEND, STEP_STATE, STEP_QUIESCE, STEP_SWAP, STEP_COMMIT, STEP_RESUME, STEPS };

enum fate {
	FATE_OPEN,		/* under way, or its end is still being worked on */
	FATE_REFUSED,		/* before anything was touched */
	FATE_ROLLED_BACK,
	FATE_DONE,
	FATE_LOST,		/* all is put in order, but the guest VM is gone: m->lost */
	FATE_STUCK,		/* nothing can be done without an operator */
	FATE_FORGOTTEN,		/* an operator has taken it out of the daemon's hands */
};

/* What only the daemon that runs it has: gone when it dies. */
struct migration_live {
	struct journal *journal;
	struct agent a, b;
	struct patience patience;
	int dev, txn;			/* -1: not open */
	char guest[TEXT_SHORT];		/* the guest VM's name for messages */
	uint64_t export_a, export_b;
	struct vmbeam_extents frames_a, frames_b;	/* what these hold; empty: to be read (again) */
	uint64_t announced;		/* frames that B had populated when its export was made */
	bool a_done, b_done;		/* finish() has put this side in order */
	bool unpause_tried;
	int rebind_tries;
	int64_t rebind_until_ms;	/* 0: not tried yet */
	const struct config *config;	/* NULL: no hooks are run */
	bool left;			/* by a daemon that died: this one only brings it to its end */
	char next[40];			/* the UUID of the one that goes the same way after it, if all is well; "": none */
	bool allow_missing_files;	/* as the destination's configuration has it */
	bool check_only;
	bool uncounted;			/* of a check: nobody wants to know how many frames are in superpages */
	struct json_object *needs;	/* of the guest VM, as its agent listed them in the check */
	struct savestream stream;
	struct vmbeam_pairs pairs;		/* all frames that both sides have */
	struct vmbeam_pairs kept_pairs;		/* of these, the keep set: excluded from the swap */
	uint64_t max_frames, max_extents;	/* of one call to the module */
};

/* What is only told. */
struct migration_report {
	enum step step;
	uint64_t done, total;		/* frames of the step; total 0: it does not count them */
	int64_t told_ms;		/* when that was last told */
	enum fate fate;
	struct json_object *problems;	/* what the check found, an array of strings */
	struct json_object *warnings;	/* what it found besides, that stands not in the way */
	struct json_object *disks;	/* how it is known that they are the same on both sides */
	struct json_object *items;	/* each need, what is offered for it, and what the check says of it */
	struct error finishing;		/* what the end is waiting for */
	uint64_t tries, next_try_ms;	/* of the end so far; and how long it waits for the next one */
	size_t common;			/* how many of the problems are of the host VMs and the module, not of the guest VM */
	uint64_t max_kib, guest_frames;
	uint64_t populated, kept, swapped, exchanged, large, busy_retries;
	uint64_t stream_bytes;		/* of the save's stream, as they crossed the line from A */
	struct vmbeam_pairs exchanged_pairs;	/* those whose contents were exchanged */
	struct vmbeam_txn_outcome outcome;	/* after the commit: flushes and pauses */
	int64_t begun_ns, ended_ns, suspended_ns, unpaused_ns;
	double ms[STEPS];
};

/* The members of all three are its own (-fms-extensions). */
struct migration {
	union {				/* what the journal tells a later daemon */
		struct record;
		struct record record;
	};
	struct migration_live;
	struct migration_report;
};

extern const char *const step_names[STEPS];

/* migration.c */
void migration_init(struct migration *m, struct journal *journal);
void migration_clear(struct migration *m);
/* Between which host VMs. */
void migration_between(struct migration *m, const struct config_hostvm *from, const struct config_hostvm *to);
/* A name that no other migration or maintenance has: the time, and a random number. 33 bytes do. */
void migration_new_id(char *id, size_t size);
/* Which boot of the host this is: domids and transaction ids mean nothing in another. */
void migration_boot_id(char *buf, size_t size);
/* What the guest VM is called. 0, or -1 with m->error set. */
int migration_name(struct migration *m, const char *name);
/* The arguments of an agent's op on @domid; with the UUID, so that a domid given anew is not mistaken. */
struct json_object *migration_domain(const struct migration *m, uint32_t domid);
/* Writes the journal's next record: m->state is @state once it is on the disk. 0 or -1 with m->error set. */
int migration_record(struct migration *m, enum state state);

/* migration_hooks.c: before it, -1 with m->error if it must not be; and after its end. */
int migration_hooks_before(struct migration *m);
void migration_hooks_after(const struct migration *m, const char *outcome);

/* migrate.c: runs all steps. Afterwards m->fate says how it went; FATE_OPEN: finish() is to be called until it is final. */
void migrate(struct migration *m);

/*
 * stream.c: moves the stream from A's save to B's restore, until the save is in @state; "stream": until a piece of it is on
 * its way. 0, or -1 with m->error set.
 */
int stream_pump(struct migration *m, const char *state);

/* swap.c: moves m->pairs through m->txn, but for the contents of m->kept_pairs. */
int swap_all(struct migration *m);

/*
 * finish.c: what is left to do once no step runs any more. Decides by the journal's state and the module's word
 * which side the guest belongs to, and puts that into effect. Everything in it can be repeated. 0: m->fate is final;
 * -1: try again later, m->finishing says what it is waiting for.
 */
int finish(struct migration *m);
/*
 * finish_side.c: the domain of the agent's last hello with the guest's UUID and @domid, which may be 0: any. NULL: it is
 * gone.
 */
struct json_object *finish_domain(struct agent *a, const struct migration *m, uint32_t domid);

/*
 * Of the phase under way, @done of @total frames are through. Told to whoever wants to hear of it, but not more often than
 * they can read.
 */
void migration_progress(struct migration *m, uint64_t done, uint64_t total);

/*
 * guard.c: the guest VM is on this side when the migration ends, so its system may start it by itself again. 0, whatever comes
 * of it: that the system does not, after a restart, is no reason to keep the migration from its end. The report has a warning.
 */
int guard_put_back(struct migration *m, struct agent *a);
/* The guest VM has come home: no host VM that sent it on while it was away is to take itself for its home any more. */
void guard_forget_refuges(struct migration *m);

/* report.c */
struct json_object *report(const struct migration *m);
/* An event: the phase begins, goes on, or has taken @ms; < 0: it is not over. */
struct json_object *report_phase(const struct migration *m, double ms);
/* An event: how it has ended, or that its end takes longer. */
struct json_object *report_outcome(const struct migration *m);

#endif
