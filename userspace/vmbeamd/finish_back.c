// SPDX-License-Identifier: GPL-2.0
/* The way back: on A the guest VM runs on as if nothing had been, and on B nothing of it is left. */
#include <inttypes.h>
#include <unistd.h>

#include "clock.h"
#include "finish.h"
#include "js.h"
#include "limit.h"
#include "log.h"

#define REBIND_TRIES	3

/*
 * Did it reboot instead of suspending? Then it has another domain, none of its frames was swapped, and no frame of the old
 * one was armed for a swap. From the last hello.
 */
static bool rebooted(struct migration *m)
{
	struct json_object *d = m->went && !m->txn_id ? finish_domain(&m->a, m, 0) : NULL;

	return d && !js_bool(d, "suspended") && !js_bool(d, "paused") && !finish_armed_export(&m->a, m->dom_a);
}

/*
 * The guest VM's backends, as they were. A guest with a dead disk is better than none: it can still be logged in to, and
 * shut down. So after a few tries, or a time, it runs without. Whether the agent answered does not matter: a hotplug script
 * that hangs, or whatever keeps it, would keep the guest VM for ever. -1: to be tried again.
 */
static int rebind(struct migration *m)
{
	int64_t left;

	if (!m->rebind_until_ms)
		m->rebind_until_ms = clock_ms() + limit_ms(LIMIT_REBIND);
	left = m->rebind_until_ms - clock_ms();
	if (left > 0 && m->rebind_tries < REBIND_TRIES) {
		m->rebind_tries++;
		if (!agent_call(&m->a, "rebind", migration_domain(m, m->dom_a), (left + 999) / 1000, NULL, &m->finishing))
			return 0;
		log_err("%s", m->finishing.text);
		if (m->rebind_tries < REBIND_TRIES && clock_ms() < m->rebind_until_ms)
			return -1;
	}
	log_err("%s: the backends of %s cannot be put back: it runs on without those that fail", m->from, m->guest);
	/* The line may have been given up. */
	return agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing);
}

/* Lets the guest VM run on as if nothing had been. */
static int resume_a(struct migration *m)
{
	/* A guest that was told to suspend when its save was killed may do so a little later. */
	int64_t limit = clock_ms() + limit_ms(LIMIT_LATE_SUSPEND);
	struct json_object *d;

	if (finish_ask(m, &m->a, "save-abort", migration_domain(m, m->dom_a), limit_s(LIMIT_SHORT)))
		return -1;
	for (;;) {
		if (agent_hello(&m->a, &m->finishing))
			return -1;
		/* While it runs it may reboot by itself, which gives it another domain. A suspended one cannot. */
		d = finish_domain(&m->a, m, m->went ? m->dom_a : 0);
		if (!d && rebooted(m)) {
			log_warn("%s rebooted on %s instead of suspending: it runs there as domain %" PRIu64, m->guest, m->from,
				 js_u64(finish_domain(&m->a, m, 0), "domid", 0));
			finish_resumed(m);
			return 0;
		}
		/* One that has just ended may be on its way to another domain. What its export pins is not. */
		if ((d ? js_bool(d, "suspended") || !m->went : !!finish_armed_export(&m->a, m->dom_a)) || clock_ms() > limit)
			break;
		usleep(300000);
	}
	if (!d) {
		finish_lose(m, &m->a, m->dom_a, "before the migration was rolled back");
		return 0;
	}
	if (m->went) {
		if (rebind(m))
			return -1;
		/* Also when it runs: an agent that died in between may not have woken it for the events it missed. */
		if ((js_bool(d, "suspended") || !js_bool(d, "shutdown")) &&
		    agent_call(&m->a, "resume", migration_domain(m, m->dom_a), limit_s(LIMIT_LONG), NULL, &m->finishing))
			return -1;
	}
	finish_resumed(m);
	return 0;
}

int finish_back_a(struct migration *m)
{
	if (agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing) || (!m->resumed && resume_a(m)))
		return -1;
	return finish_release_exports(m, &m->a, m->dom_a, m->resumed) ? -1 : guard_put_back(m, &m->a);
}

int finish_back_b(struct migration *m)
{
	struct json_object *d;
	uint32_t domid;

	if (agent_connect(&m->b, limit_s(LIMIT_CONNECT), &m->finishing) ||
	    finish_ask(m, &m->b, "restore-abort", NULL, limit_s(LIMIT_LONG)) || agent_hello(&m->b, &m->finishing))
		return -1;
	d = finish_domain(&m->b, m, 0);
	domid = d ? js_u64(d, "domid", 0) : m->dom_b;
	/* Whatever the journal knows: what this migration made there is paused, and a running guest is not destroyed. */
	if (d && !js_bool(d, "paused"))
		return error_set(&m->finishing, "%s: domain %u of %s runs, though it was never let go: look at it, and destroy it by hand",
				 m->to, domid, m->guest);
	if (d && finish_ask(m, &m->b, "destroy", migration_domain(m, domid), limit_s(LIMIT_LONG)))
		return -1;
	if (finish_release_exports(m, &m->b, domid, true) ||
	    (m->dom_b && domid != m->dom_b && finish_release_exports(m, &m->b, m->dom_b, true)))
		return -1;
	return finish_still_there(m, &m->b, 0);
}
