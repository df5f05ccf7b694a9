// SPDX-License-Identifier: GPL-2.0
/* How the frames of a guest VM lie: only those in aligned pieces of 2 MiB can go as superpages. */
#include <errno.h>
#include <stdio.h>

#include "frames.h"
#include "ops.h"
#include "work.h"

#define SUPERPAGE_FRAMES	512

/* What the child that counts has to say; in memory that it shares with the agent. */
struct shape {
	uint32_t domid;
	uint64_t frames, large;
};

struct shape_job {
	struct request *r;
	struct shape *shape;
	uint32_t domid;
};

/* Are the first of these, at least a superpage's, one that is aligned on both sides? Only such go in one piece. */
static bool is_superpage(const struct vmbeam_frame *f)
{
	if (f->pfn % SUPERPAGE_FRAMES || f->gfn % SUPERPAGE_FRAMES)
		return false;
	for (unsigned int i = 1; i < SUPERPAGE_FRAMES; i++)
		if (f[i].pfn != f->pfn + i || f[i].gfn != f->gfn + i)
			return false;
	return true;
}

static int shape_work(const void *arg)
{
	const struct shape_job *job = arg;
	struct shape *s = job->shape;
	struct frames f = {};
	int rc = frames_read(job->r, job->domid, false, &f);

	if (rc) {
		fprintf(stderr, "%s\n", job->r->error);
		return rc;
	}
	*s = (struct shape){ .domid = job->domid, .frames = f.nr };
	for (size_t i = 0; i + SUPERPAGE_FRAMES <= f.nr; i++)
		if (is_superpage(f.v + i)) {
			s->large += SUPERPAGE_FRAMES;
			i += SUPERPAGE_FRAMES - 1;
		}
	frames_free(&f);
	return 0;
}

int op_guest_frames(struct request *r)
{
	static struct shape *shape;
	struct shape_job job = { .r = r };
	char key[40];
	int rc = get_domid(r, &job.domid);

	if (rc)
		return rc;
	if (!shape)
		shape = work_share(r, sizeof(*shape));
	if (!shape)
		return -ENOMEM;
	job.shape = shape;
	snprintf(key, sizeof(key), "guest-frames %u", job.domid);
	rc = work_run(r, key, shape_work, &job, -1);
	if (rc || r->again)
		return rc;
	if (shape->domid != job.domid)
		return fail(r, -EAGAIN, "the frames of another domain were counted meanwhile: ask again");
	put_number(r, "frames", shape->frames);
	put_number(r, "large", shape->large);
	return 0;
}
