// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "act.h"
#include "child.h"
#include "hold.h"
#include "hooks_run.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "look.h"
#include "system.h"
#include "text.h"
#include "visit.h"

static int ask(struct visit *home, const char *op, struct json_object *args, struct error *err)
{
	return visit_ask(home, limit_s(LIMIT_CONNECT), op, args, limit_s(LIMIT_LONG), NULL, err);
}

static struct json_object *about_guest(const struct act *a, bool with_domid)
{
	struct json_object *args = json_object_new_object();

	if (with_domid)
		js_add_u64(args, "domid", a->domid);
	js_add_str(args, "uuid", a->m->plan.guests[a->action.guest].uuid);
	return args;
}

static int run_command(const struct act *a, struct error *err)
{
	char *const argv[] = { "/bin/sh", "-c", a->m->plan.run, NULL };

	log_info("%s is down: the command of the maintenance runs: %s", maintain_home(a->m), a->m->plan.run);
	return child_run(argv, limit_s(LIMIT_RUN), err);
}

static int start(const struct act *a, struct error *err)
{
	if (!a->system_config)
		return error_set(err, "vmbeamd's configuration does not say from what xl is to create it: add it as \"config\" of the host VM, and restart vmbeamd");
	return system_start(maintain_home(a->m), a->system_config, err);
}

/* Somebody may have started it meanwhile on a host VM that takes no part in the maintenance: two would use its disks. */
static int not_elsewhere(const struct act *a, struct error *err)
{
	const struct plan_guest *g = &a->m->plan.guests[a->action.guest];
	struct look look = { .config = a->config };
	char which[500], called[TEXT_SHORT];
	int has;

	look_run(&look);
	has = look_elsewhere(look.hostvms, maintain_home(a->m), g->uuid, g->name, which, sizeof(which));
	json_object_put(look.hostvms);
	text_short(called, sizeof(called), g->name);
	if (has > 0)
		return error_set(err, "%s is on %s: move it from there (vmbeam migrate), or let it stay (vmbeam adopt %s)", called, which, g->uuid);
	return has ? error_set(err, "it may have been started elsewhere: no agent answers on %s. If it is not there, start it by hand (xl create)",
			       which) : 0;
}

static int shut_down(const struct act *a, struct visit *home, struct error *err)
{
	/* It was found by its name. What its agent keeps for its start goes by the UUID. */
	if (!a->domid)
		return error_set(err, "what is called so there has another UUID, since it was created anew after the plan was made");
	return ask(home, "guest-shutdown", about_guest(a, true), err);
}

static int carry_out(const struct act *a, struct visit *home, struct error *err)
{
	switch (a->action.act) {
	case ACT_STOP_SYSTEM:
		return system_stop(maintain_home(a->m), &home->agent, err);
	case ACT_RUN:
		return run_command(a, err);
	case ACT_START_SYSTEM:
		return start(a, err);
	case ACT_PROBE:
		return ask(home, "probe", NULL, err);
	case ACT_SHUT_DOWN:
		return shut_down(a, home, err);
	case ACT_START_GUEST:
		return not_elsewhere(a, err) ? -1 : ask(home, "guest-start", about_guest(a, false), err);
	default:
		return 0;
	}
}

static struct hook_facts facts(const struct act *a, enum hook_event event)
{
	return (struct hook_facts){
		.event = event,
		.from = a->m->plan.from,
		.to = a->m->plan.to,
		.maintenance = a->m->id,
		.what = plan_whats[a->m->plan.what],
	};
}

static int guest_hooks(const struct act *a, enum hook_event event, const char *error, struct error *err)
{
	struct hook_facts f = facts(a, event);

	f.guest = a->m->plan.guests[a->action.guest].name;
	f.uuid = a->m->plan.guests[a->action.guest].uuid;
	f.step = maintain_acts[a->action.act];
	f.outcome = event == HOOK_GUEST_AFTER ? (error ? "failed" : "done") : NULL;
	f.error = error;
	return hooks_run(a->config->hooks, &f, err);
}

static int hooks_before(const struct act *a, enum maintain_step step, struct error *err)
{
	struct hook_facts f = facts(a, HOOK_STEP_BEFORE);

	f.step = maintain_steps[step];
	return hooks_run(a->config->hooks, &f, err);
}

/* @outcome: of all of it; NULL: it goes on. */
static void hooks_after(const struct act *a, enum maintain_step step, const char *outcome)
{
	struct hook_facts f = facts(a, HOOK_STEP_AFTER);
	struct error ignored;

	f.step = maintain_steps[step];
	f.outcome = outcome;
	hooks_run(a->config->hooks, &f, &ignored);
}

static int step_hooks(const struct act *a, struct error *err)
{
	hooks_after(a, a->m->step, NULL);
	if (a->action.step < MAINTAIN_DONE)
		return hooks_before(a, a->action.step, err);
	/* Nothing can keep the end from coming. */
	hooks_after(a, a->action.step, maintain_steps[a->action.step]);
	return 0;
}

void act_before(void *arg)
{
	struct act *a = arg;

	memset(&a->error, 0, sizeof(a->error));
	a->failed = hooks_before(a, a->m->step, &a->error);
}

void act_run(void *arg)
{
	struct act *a = arg;
	bool guest = a->action.act == ACT_SHUT_DOWN || a->action.act == ACT_START_GUEST;
	struct error ignored;
	const struct config_hostvm *h = config_hostvm(a->config, maintain_home(a->m));
	struct visit home;
	char point[48];

	memset(&a->error, 0, sizeof(a->error));
	snprintf(point, sizeof(point), "vmbeamd:maintain-%s", maintain_steps[a->m->step]);
	hold_point(point);
	if (a->action.act == ACT_STEP) {
		a->failed = step_hooks(a, &a->error);
		return;
	}
	a->failed = !h ? error_set(&a->error, "the configuration has no host VM %s any more", maintain_home(a->m)) :
		    guest && guest_hooks(a, HOOK_GUEST_BEFORE, NULL, &a->error);
	if (a->failed)
		return;
	visit_init(&home, h);
	a->failed = carry_out(a, &home, &a->error);
	agent_close(&home.agent);
	if (guest)
		guest_hooks(a, HOOK_GUEST_AFTER, a->failed ? a->error.text : NULL, &ignored);
}
