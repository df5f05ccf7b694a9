// SPDX-License-Identifier: GPL-2.0
/* The way forward: on B the guest VM runs, and on A nothing of it is left. */
#include "ahead.h"
#include "clock.h"
#include "finish.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"

/* Lets the guest VM run. */
static int let_go(struct migration *m)
{
	/* What it said just before the commit will do the first time: the guest is waiting, and unpause looks, too. */
	struct json_object *d = m->unpause_tried ? NULL : finish_domain(&m->b, m, m->dom_b);

	m->unpause_tried = true;
	ahead_begin(m);
	if (!d) {
		if (agent_hello(&m->b, &m->finishing))
			return -1;
		d = finish_domain(&m->b, m, m->dom_b);
	}
	if (!d) {
		finish_lose(m, &m->b, m->dom_b, "after the commit, before it was known to run there");
		return 0;
	}
	if (js_bool(d, "paused") &&
	    agent_call(&m->b, "unpause", migration_domain(m, m->dom_b), limit_s(LIMIT_SHORT), NULL, &m->finishing))
		return -1;
	if (!m->unpaused_ns) {
		m->unpaused_ns = clock_ns();
		log_debug("unpaused");
	}
	/* It runs. */
	finish_resumed(m);
	ahead_hear(m);
	/* A's end takes longest: begun here, waited for in finish_forward_a(), which sees to it if this fails. */
	if (m->a.up && !m->a.asked && finish_domain(&m->a, m, m->dom_a))
		agent_begin(&m->a, "destroy", migration_domain(m, m->dom_a), &m->finishing);
	return 0;
}

int finish_forward_b(struct migration *m)
{
	if (agent_connect(&m->b, limit_s(LIMIT_CONNECT), &m->finishing))
		return -1;
	if (!m->resumed && let_go(m))
		return -1;
	if (finish_release_exports(m, &m->b, m->dom_b, m->resumed))
		return -1;
	/* Before the home forgets that it was away: until then this is repeated by the next daemon. */
	guard_forget_refuges(m);
	return guard_put_back(m, &m->b);
}

/* After the commit what is left of the guest VM there ends with the host VM, also with one that crashed. */
static bool went_with_its_hostvm(const struct migration *m)
{
	if (!m->host_a || !hostvm_is_dead(m->host_a))
		return false;
	log_warn("%s has ended, and what was left of %s there with it", m->from, m->guest);
	return true;
}

int finish_forward_a(struct migration *m)
{
	if (went_with_its_hostvm(m))
		return 0;
	ahead_ask_destination(m);
	if (m->a.asked && agent_end(&m->a, limit_s(LIMIT_LONG), NULL, &m->finishing))
		log_warn("%s", m->finishing.text);
	if (agent_connect(&m->a, limit_s(LIMIT_CONNECT), &m->finishing) || agent_hello(&m->a, &m->finishing))
		return -1;
	/* Its frames are B's, also if it was lost there: what A has in their place is scrap, and must never run. */
	if (finish_domain(&m->a, m, m->dom_a) &&
	    finish_ask(m, &m->a, "destroy", migration_domain(m, m->dom_a), limit_s(LIMIT_LONG)))
		return -1;
	if (finish_release_exports(m, &m->a, m->dom_a, true))
		return -1;
	return finish_still_there(m, &m->a, m->dom_a);
}
