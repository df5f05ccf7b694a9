// SPDX-License-Identifier: GPL-2.0
/*
 * The table of what became of each transaction, by id.
 *
 * It settles a crash of the caller between commit and its own journal, so an entry stays after the transaction's fd
 * is closed. When the table is full, the one that ended first makes room; none that is open or stuck ever does.
 */
#include <linux/errno.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "host.h"

/* The size of an entry of VMBEAM_TXN_LIST when it was first published, and the most that one call has room for. */
#define VMBEAM_OUTCOME_ENTRY	offsetofend(struct vmbeam_txn_outcome, stuck_status)
#define VMBEAM_MAX_LIST		4096U

static DEFINE_MUTEX(table_lock);
static DEFINE_XARRAY(table);
static LIST_HEAD(unfinished);	/* open or stuck, by id */
static LIST_HEAD(finished);	/* in the order in which they ended */
static unsigned int nr_outcomes;
/* An id is never given twice, not even that of a transaction that was forgotten. */
static u64 last_id;

/*
 * Somebody may have kept an id from before the module was reloaded: it must not be that of another transaction now. So
 * they begin anywhere, though below 2^52: what reads JSON may keep a number as a double.
 */
void __init vmbeam_outcome_init(void)
{
	last_id = get_random_u64() >> 12;
}

static bool domain_in_use(u32 domid)
{
	struct vmbeam_outcome *outcome;

	list_for_each_entry(outcome, &unfinished, node)
		if (outcome->told.domid_a == domid || outcome->told.domid_b == domid)
			return true;
	return false;
}

/* The table's mutex is held. */
static void drop(struct vmbeam_outcome *outcome)
{
	list_del(&outcome->node);
	xa_erase(&table, outcome->told.id);
	nr_outcomes--;
	kfree(outcome);
}

/**
 * vmbeam_outcome_begin - a new open transaction
 * @domid_a: domain A
 * @domid_b: domain B
 *
 * Return: its outcome, or an ERR_PTR: -EBUSY when one of the domains is in one that is open or stuck, -ENOSPC when the
 * table is full of such, -ENOMEM
 */
struct vmbeam_outcome *vmbeam_outcome_begin(u32 domid_a, u32 domid_b)
{
	struct vmbeam_outcome *outcome;
	int rc;

	outcome = kzalloc(sizeof(*outcome), GFP_KERNEL_ACCOUNT);
	if (!outcome)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&outcome->lock);
	outcome->told.state = VMBEAM_TXN_OPEN;
	outcome->told.domid_a = domid_a;
	outcome->told.domid_b = domid_b;

	mutex_lock(&table_lock);
	rc = -EBUSY;
	if (domain_in_use(domid_a) || domain_in_use(domid_b))
		goto fail;
	rc = -ENOSPC;
	if (nr_outcomes == VMBEAM_MAX_OUTCOMES && list_empty(&finished))
		goto fail;
	outcome->told.id = last_id + 1;
	rc = xa_err(xa_store(&table, outcome->told.id, outcome, GFP_KERNEL_ACCOUNT));
	if (rc)
		goto fail;
	if (nr_outcomes == VMBEAM_MAX_OUTCOMES)
		drop(list_first_entry(&finished, struct vmbeam_outcome, node));
	last_id++;
	nr_outcomes++;
	list_add_tail(&outcome->node, &unfinished);
	mutex_unlock(&table_lock);
	return outcome;

fail:
	mutex_unlock(&table_lock);
	kfree(outcome);
	return ERR_PTR(rc);
}

/* What a hypercall took, added to what is told of its transaction; its lock is held. */
void vmbeam_outcome_pauses(struct vmbeam_txn_outcome *told, const struct vmbeam_batch *batch)
{
	u32 i;

	told->max_pause_ns = max(told->max_pause_ns, batch->op.max_pause_ns);
	told->nr_flushes += batch->op.nr_flushes;
	for (i = 0; i < VMBEAM_PAUSES; i++)
		told->pauses[i] += batch->op.pauses[i];
}

/**
 * vmbeam_outcome_stuck - the transaction is stuck, and can be opened by its id
 * @outcome: its outcome
 * @txn: the transaction, to which the module has a reference
 */
void vmbeam_outcome_stuck(struct vmbeam_outcome *outcome, struct vmbeam_txn *txn)
{
	mutex_lock(&table_lock);
	spin_lock(&outcome->lock);
	outcome->told.state = VMBEAM_TXN_STUCK;
	spin_unlock(&outcome->lock);
	outcome->stuck = txn;
	mutex_unlock(&table_lock);
}

/**
 * vmbeam_outcome_get_stuck - find a stuck transaction
 * @id: its id
 *
 * Return: the transaction, with a reference for the caller; or an ERR_PTR: -ENOENT, or -EBADFD when it is not stuck
 */
struct vmbeam_txn *vmbeam_outcome_get_stuck(u64 id)
{
	struct vmbeam_outcome *outcome;
	struct vmbeam_txn *txn;

	mutex_lock(&table_lock);
	outcome = xa_load(&table, id);
	if (!outcome) {
		txn = ERR_PTR(-ENOENT);
	} else if (!outcome->stuck) {
		txn = ERR_PTR(-EBADFD);
	} else {
		txn = outcome->stuck;
		kref_get(&txn->refs);
	}
	mutex_unlock(&table_lock);
	return txn;
}

/**
 * vmbeam_outcome_end - the transaction is over; its domains may be in another one
 * @outcome: its outcome, which may be gone from now on: it is the table's
 * @state: VMBEAM_TXN_*
 */
void vmbeam_outcome_end(struct vmbeam_outcome *outcome, u32 state)
{
	mutex_lock(&table_lock);
	spin_lock(&outcome->lock);
	outcome->told.state = state;
	spin_unlock(&outcome->lock);
	list_move_tail(&outcome->node, &finished);
	outcome->stuck = NULL;
	mutex_unlock(&table_lock);
}

/* The transaction never came to be: nobody was told its id. */
void vmbeam_outcome_forget(struct vmbeam_outcome *outcome)
{
	mutex_lock(&table_lock);
	drop(outcome);
	mutex_unlock(&table_lock);
}

/* The table's mutex, which is held, keeps it from being dropped. */
static void read_outcome(struct vmbeam_outcome *outcome, struct vmbeam_txn_outcome *told)
{
	spin_lock(&outcome->lock);
	*told = outcome->told;
	spin_unlock(&outcome->lock);
}

/* VMBEAM_TXN_OUTCOME */
long vmbeam_txn_outcome(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn_outcome *arg = _arg;
	struct vmbeam_outcome *outcome;
	u32 size = arg->size;

	if (arg->__reserved)
		return -EINVAL;
	mutex_lock(&table_lock);
	outcome = xa_load(&table, arg->id);
	if (outcome)
		read_outcome(outcome, arg);
	mutex_unlock(&table_lock);
	arg->size = size;
	return outcome ? 0 : -ENOENT;
}

/* VMBEAM_TXN_LIST */
long vmbeam_txn_list(struct vmbeam_call *call, void *_arg)
{
	struct vmbeam_txn_outcome *entries = NULL;
	struct vmbeam_txn_list *arg = _arg;
	struct vmbeam_outcome *outcome;
	u32 room = arg->nr, nr = 0, i;
	long rc = 0;

	if (arg->entry_size < VMBEAM_OUTCOME_ENTRY)
		return -EINVAL;
	if (room > VMBEAM_MAX_LIST || arg->entry_size > PAGE_SIZE)
		return -E2BIG;
	if (room) {
		entries = kvcalloc(room, sizeof(*entries), GFP_KERNEL_ACCOUNT);
		if (!entries)
			return -ENOMEM;
	}

	mutex_lock(&table_lock);
	list_for_each_entry(outcome, &unfinished, node) {
		if (nr < room)
			read_outcome(outcome, &entries[nr]);
		nr++;
	}
	mutex_unlock(&table_lock);

	arg->nr = nr;
	for (i = 0; i < min(nr, room) && !rc; i++)
		rc = vmbeam_ioctl_entry(arg->txns, i, arg->entry_size, &entries[i], sizeof(*entries));
	kvfree(entries);
	return rc;
}

/* At module exit: no transaction is open or stuck, each would hold a reference to the module. */
void vmbeam_outcome_free_all(void)
{
	while (!list_empty(&finished))
		drop(list_first_entry(&finished, struct vmbeam_outcome, node));
}
