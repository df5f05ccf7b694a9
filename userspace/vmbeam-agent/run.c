// SPDX-License-Identifier: GPL-2.0
/* Letting a guest VM run, or go. */
#include <errno.h>
#include <stdio.h>

#include "destroy.h"
#include "get_domain.h"
#include "log.h"
#include "ops.h"
#include "quiesced.h"
#include "restore.h"
#include "saved_frames.h"
#include "store.h"
#include "suspend.h"
#include "work.h"

static int resume_work(const void *arg)
{
	return domain_resume(*(const uint32_t *)arg);
}

static int unpause_work(const void *arg)
{
	return domain_unpause(*(const uint32_t *)arg);
}

static int destroy_work(const void *arg)
{
	return destroy(*(const uint32_t *)arg);
}

int op_resume(struct request *r)
{
	struct domain d;
	char key[32];
	int rc = get_domain(r, &d);

	if (rc)
		return rc;
	if (d.shutdown && !d.suspended)
		return fail(r, -EINVAL, "guest VM %s (domain %u) has not suspended but shut down or crashed",
			    d.called, d.domid);
	saved_frames_drop();
	/* It would go on to take disks from a guest VM that runs. */
	quiesced_stop(d.domid);
	/* Not refused: the daemon has tried to rebind, and a guest VM without its disk may be better than none. */
	if (quiesced_disk(d.domid))
		log_err("guest VM %s (domain %u) is resumed although a disk of it is not bound to its driver", d.called,
			d.domid);
	if (d.suspended) {
		snprintf(key, sizeof(key), "resume %u", d.domid);
		rc = work_run(r, key, resume_work, &d.domid, -1);
	}
	/*
	 * Also when it runs already: the agent before this one may have died between the two. Events that came while
	 * the frames were away are lost; this makes the guest VM look at its xenstore ring again, where the answers
	 * and the events themselves still are.
	 */
	if (!rc && !r->again)
		store_touch(d.domid);
	return rc;
}

int op_unpause(struct request *r)
{
	struct domain d;
	char key[32];
	int rc = get_domain(r, &d);

	if (rc || !d.paused)
		return rc;
	restore_forget(d.domid);
	suspend_proved(d.domid);
	snprintf(key, sizeof(key), "unpause %u", d.domid);
	return work_run(r, key, unpause_work, &d.domid, -1);
}

int op_destroy(struct request *r)
{
	struct domain d;
	uint32_t domid;
	char key[32];
	int rc;

	rc = get_domid(r, &domid);
	if (rc)
		return rc;
	saved_frames_drop();
	snprintf(key, sizeof(key), "destroy %u", domid);
	/* A child that is at work is waited for, whatever has become of the domain by now. */
	if (!work_pending(key)) {
		rc = get_domain(r, &d);
		if (rc == -ESRCH) {
			*r->error = 0;	/* gone before: as it was wanted */
			return 0;
		}
		if (rc)
			return rc;
	}
	return work_run(r, key, destroy_work, &domid, -1);
}
