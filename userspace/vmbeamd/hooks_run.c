// SPDX-License-Identifier: GPL-2.0
#include <poll.h>
#include <sys/wait.h>

#include "clock.h"
#include "hooks_run.h"
#include "limit.h"

#define LOOK_MS	100

static void wait_for(struct hooks *h)
{
	int64_t until = clock_ms() + limit_ms(LIMIT_HOOK);
	int status;

	for (;;) {
		struct pollfd p = { .fd = h->output, .events = POLLIN };

		poll(&p, 1, LOOK_MS);
		hooks_read(h);
		if (waitpid(h->pid, &status, WNOHANG) == h->pid)
			break;
		if (!h->late && clock_ms() > until)
			hooks_late(h, limit_s(LIMIT_HOOK));
	}
	hooks_ended(h, status);
}

int hooks_run(const char *dir, const struct hook_facts *facts, struct error *err)
{
	struct hooks h;
	int rc = hooks_init(&h, dir, facts);

	while (!rc && (rc = hooks_next(&h)) > 0) {
		wait_for(&h);
		rc = 0;
	}
	if (rc)
		error_set(err, "%s", h.error.text);
	hooks_clear(&h);
	return rc;
}
