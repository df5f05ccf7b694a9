// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "child.h"
#include "clock.h"
#include "hooks_run.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "worker.h"

static void hear(void *arg)
{
	hooks_read(arg);
}

static void late(void *arg)
{
	hooks_late(arg, limit_s(LIMIT_HOOK));
}

/* An event: the hook begins; or, with @ended, has ended with @status. */
static void tell(const struct hook_facts *f, const char *name, const struct hooks *ended, int status)
{
	struct json_object *o = json_object_new_object();
	const char *const about[][2] = {
		{ "guest", f->guest }, { "uuid", f->uuid }, { "from", f->from }, { "to", f->to },
		{ "maintenance", f->maintenance }, { "step", f->step },
	};

	js_add_str(o, "event", "hook");
	js_add_str(o, "hook", name);
	js_add_str(o, "when", hook_events[f->event]);
	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (about[i][1])
			js_add_str(o, about[i][0], about[i][1]);
	if (ended && WIFEXITED(status))
		js_add_u64(o, "status", WEXITSTATUS(status));
	if (ended && ended->failed.text[0])
		js_add_str(o, "error", ended->failed.text);
	worker_event(o);
}

static void run_one(struct hooks *h, const struct hook_facts *f)
{
	char name[256];
	int status = SIGKILL;	/* of one that does not even end then */

	snprintf(name, sizeof(name), "%s", hooks_name(h));
	tell(f, name, NULL, 0);
	if (child_wait(h->pid, &h->output, clock_ms() + limit_ms(LIMIT_HOOK), hear, late, h, &status) == CHILD_LEFT)
		log_warn("the hook %s was killed and hangs in the kernel: process %d is still there", name, h->pid);
	hooks_ended(h, status);
	tell(f, name, h, status);
}

int hooks_run(const char *dir, const struct hook_facts *facts, struct error *err)
{
	struct hooks h;
	int rc = hooks_init(&h, dir, facts);

	while (!rc && (rc = hooks_next(&h)) > 0) {
		run_one(&h, facts);
		rc = 0;
	}
	if (rc)
		error_set(err, "%s", h.error.text);
	hooks_clear(&h);
	return rc;
}
