// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "maintain.h"
#include "text.h"

/* Of the host VM, until an operator says so again. */
#define MAX_STARTS 3

const char *const maintain_steps[MAINTAIN_STEPS] = {
	[MAINTAIN_EVACUATE] = "evacuate",
	[MAINTAIN_STOP] = "stop",
	[MAINTAIN_RUN] = "run",
	[MAINTAIN_START] = "start",
	[MAINTAIN_AGENT] = "agent",
	[MAINTAIN_PROBE] = "probe",
	[MAINTAIN_RETURN] = "return",
	[MAINTAIN_DONE] = "done",
	[MAINTAIN_ABORTED] = "aborted",
};

const char *const maintain_acts[ACTS] = {
	[ACT_LOOK] = "look again",
	[ACT_STEP] = "step",
	[ACT_MOVE_AWAY] = "move it to the refuge",
	[ACT_SHUT_DOWN] = "shut it down",
	[ACT_STOP_SYSTEM] = "stop the host VM",
	[ACT_RUN] = "run the command",
	[ACT_START_SYSTEM] = "start the host VM",
	[ACT_PROBE] = "probe",
	[ACT_MOVE_HOME] = "move it home",
	[ACT_START_GUEST] = "start it",
	[ACT_ASK] = "ask an operator",
	[ACT_OVER] = "nothing",
};

enum maintain_where maintain_where(int at_home, int at_refuge)
{
	if (at_home > 0)
		return at_refuge > 0 ? WHERE_BOTH : WHERE_HOME;
	if (at_refuge > 0)
		return WHERE_REFUGE;
	return at_home < 0 || at_refuge < 0 ? WHERE_UNKNOWN : WHERE_NONE;
}

/* What the rules look at, and the guest VM that one of them has found. */
struct view {
	const struct maintenance *m;
	const struct maintain_seen *seen;
	size_t guest;
};

/* Does the guest VM take part? What stays by the plan does not, and what an operator has adopted no more. */
static bool takes_part(const struct maintenance *m, size_t i)
{
	return m->plan.guests[i].way < PLAN_LEAVE && !m->guests[i].adopted;
}

static bool moves(const struct maintenance *m, size_t i)
{
	return m->plan.guests[i].way == PLAN_MOVE;
}

/* Is it to come home at the end? */
static bool comes_home(const struct maintenance *m, size_t i)
{
	return !moves(m, i) || !m->plan.no_return || m->aborting;
}

/* The guest VM that takes part and is there, of those the one with the fewest tries; the first, or on a way home the last. */
static bool find(struct view *v, enum maintain_where where, bool (*also)(const struct view *v, size_t i))
{
	/* A plan of a return has the order of the return, and that of a maintenance the order of the evacuation. */
	bool backwards = v->m->step == MAINTAIN_RETURN && v->m->plan.what != PLAN_RETURN, found = false;
	unsigned int tries = 0;

	for (size_t k = 0; k < v->m->plan.nr; k++) {
		size_t i = backwards ? v->m->plan.nr - 1 - k : k;

		if (!takes_part(v->m, i) || v->seen->guests[i] != where || (also && !also(v, i)))
			continue;
		if (found && v->m->guests[i].tries >= tries)
			continue;
		found = true;
		tries = v->m->guests[i].tries;
		v->guest = i;
	}
	return found;
}

static bool may_be_tried(const struct view *v, size_t i)
{
	return v->m->guests[i].tries <= v->m->plan.retries;
}

static bool to_move_away(const struct view *v, size_t i)
{
	return moves(v->m, i) && may_be_tried(v, i);
}

static bool to_shut_down(const struct view *v, size_t i)
{
	return !moves(v->m, i) && may_be_tried(v, i);
}

static bool to_move_home(const struct view *v, size_t i)
{
	return moves(v->m, i) && comes_home(v->m, i) && may_be_tried(v, i);
}

static bool to_come_home(const struct view *v, size_t i)
{
	return comes_home(v->m, i);
}

static bool is_moved(const struct view *v, size_t i)
{
	return moves(v->m, i);
}

/* Whoever leaves one there by the plan, or has left one out, knows that the home is not empty. */
static bool leaves_none(const struct maintenance *m)
{
	for (size_t i = 0; i < m->plan.nr; i++)
		if (!takes_part(m, i))
			return false;
	return true;
}

/* The conditions of the rules. */

static bool over(struct view *v)	{ return maintain_over(v->m); }
static bool asked(struct view *v)	{ return v->m->asked.text[0]; }
static bool on_both(struct view *v)	{ return find(v, WHERE_BOTH, NULL); }
static bool unknown(struct view *v)	{ return find(v, WHERE_UNKNOWN, NULL); }
static bool at_home(struct view *v)	{ return find(v, WHERE_HOME, NULL); }
static bool movable(struct view *v)	{ return find(v, WHERE_HOME, to_move_away); }
static bool stoppable(struct view *v)	{ return find(v, WHERE_HOME, to_shut_down); }
static bool left_behind(struct view *v)	{ return find(v, WHERE_HOME, is_moved); }
static bool vanished(struct view *v)	{ return find(v, WHERE_NONE, is_moved); }
static bool evacuation(struct view *v)	{ return v->m->plan.what == PLAN_EVACUATE; }
static bool silent(struct view *v)	{ return !v->seen->agent || !v->seen->boot[0]; }
static bool others(struct view *v)	{ return v->seen->agent && v->seen->others; }
static bool gone(struct view *v)	{ return v->seen->system == SYSTEM_GONE; }
static bool not_known(struct view *v)	{ return v->seen->system == SYSTEM_UNKNOWN; }
static bool is_up(struct view *v)	{ return v->seen->system == SYSTEM_UP; }
static bool another_boot(struct view *v)	{ return !silent(v) && strcmp(v->seen->boot, v->m->boot_before); }
static bool occupied(struct view *v)	{ return v->seen->agent && (at_home(v) || others(v)); }
static bool not_told(struct view *v)	{ return silent(v) && !v->m->stopping; }
static bool nothing_to_run(struct view *v)	{ return v->m->aborting || !v->m->plan.run || v->m->ran; }
static bool no_more_starts(struct view *v)	{ return v->m->starts >= MAX_STARTS; }
static bool nothing_to_probe(struct view *v)	{ return v->m->aborting || v->m->plan.no_probe || v->m->probed; }
static bool returnable(struct view *v)	{ return find(v, WHERE_REFUGE, to_move_home); }
static bool startable(struct view *v)	{ return find(v, WHERE_NONE, to_shut_down); }
static bool away(struct view *v)	{ return find(v, WHERE_REFUGE, to_come_home); }
static bool down(struct view *v)	{ return find(v, WHERE_NONE, NULL); }
static bool aborting(struct view *v)	{ return v->m->aborting; }
static bool unharmed(struct view *v)	{ return v->m->aborting && !v->m->stopping && !v->m->renewed; }
static bool not_wanted(struct view *v)	{ return v->m->aborting && v->m->plan.what == PLAN_RETURN; }
static bool crashed(struct view *v)	{ return v->m->plan.what == PLAN_MAINTAIN && gone(v); }
static bool too_new(struct view *v)	{ return v->m->aborting && v->m->renewed && !at_home(v); }
static bool replaceable(struct view *v)	{ return too_new(v) && !others(v); }
static bool cannot_be_told(struct view *v) { return too_new(v) && silent(v); }
static bool always(struct view *v)	{ (void)v; return true; }

/* Of which an operator has not been told, if the home is to be empty. */
static bool newcomers(struct view *v)
{
	return v->m->plan.what == PLAN_EVACUATE && leaves_none(v->m) && others(v) && v->seen->others > v->m->others_told;
}

/* An abort need not bring home whom an operator has let stay: so there is an end even if the home never comes back. */
static bool all_adopted(struct view *v)
{
	bool some = false;

	for (size_t i = 0; i < v->m->plan.nr; i++) {
		if (takes_part(v->m, i) && v->seen->guests[i] != WHERE_HOME)
			return false;
		some |= v->m->guests[i].adopted;
	}
	return v->m->aborting && some;
}

/*
 * What follows from what is seen: the first line that fits, of those for any step, then of those of the step. In a
 * sentence, %G is the guest VM, %U its UUID, for what is to be typed: a name may have spaces, or be cut; %H is its home, %R
 * the refuge, %E why the guest VM's last try failed, %W where all guest VMs are. What is in braces is told only if it
 * applies().
 */
#define ANY MAINTAIN_STEPS
#define SILENT "the agent of %H does not answer: see that vmbeam-agent runs in its management VM, then type vmbeam maintain --resume"
#define RETRY "; vmbeam maintain --resume tries again, vmbeam maintain --abort brings all home{, vmbeam adopt %U leaves it out}"

static const struct rule {
	enum maintain_step step;
	const char *when;
	bool (*is)(struct view *v);
	enum maintain_act act;
	enum maintain_step next;
	const char *why;
} rules[] = {
	{ ANY, "it is over", over, ACT_OVER, 0, NULL },
	{ ANY, "an operator was asked", asked, ACT_ASK, 0, NULL },
	{ ANY, "a guest VM is on both", on_both, ACT_ASK, 0,
	  "%G is on %H and on %R: find out which one is right, destroy the other, then type vmbeam maintain --resume" },
	{ ANY, "it is being aborted, and an operator has adopted all that are not home", all_adopted, ACT_STEP, MAINTAIN_ABORTED, NULL },

	{ MAINTAIN_EVACUATE, "it is not known where a guest VM is", unknown, ACT_LOOK, 0,
	  "where %G is cannot be said until the agents of %H and %R answer: see that both host VMs and vmbeam-agent in them run, then type vmbeam maintain --resume" },
	{ MAINTAIN_EVACUATE, "it is being aborted", aborting, ACT_STEP, MAINTAIN_RETURN, NULL },
	{ MAINTAIN_EVACUATE, "a guest VM is at home that can move and has tries left", movable, ACT_MOVE_AWAY, 0, NULL },
	{ MAINTAIN_EVACUATE, "one that can move is at home without tries left", left_behind, ACT_ASK, 0,
	  "%G could not leave %H: %E" RETRY },
	{ MAINTAIN_EVACUATE, "one that cannot move, to be shut down, with tries left", stoppable, ACT_SHUT_DOWN, 0, NULL },
	{ MAINTAIN_EVACUATE, "one that cannot move is at home without tries left", at_home, ACT_ASK, 0,
	  "%G could not be shut down: %E" RETRY },
	{ MAINTAIN_EVACUATE, "a guest VM that was to move is nowhere", vanished, ACT_LOOK, 0,
	  "%G is on neither %H nor %R: start it on %H and type vmbeam maintain --resume, or leave it out with vmbeam adopt %U" },
	{ MAINTAIN_EVACUATE, "nothing but an evacuation of all is wanted, and guest VMs are at home that neither the plan nor an operator knows of", newcomers, ACT_ASK, 0,
	  "guest VMs have come to %H that the plan does not have: vmbeam maintain --resume ends the evacuation without them, and vmbeam evacuate moves them then; vmbeam maintain --abort brings all home" },
	{ MAINTAIN_EVACUATE, "nothing but an evacuation is wanted", evacuation, ACT_STEP, MAINTAIN_DONE, NULL },
	{ MAINTAIN_EVACUATE, "the host VM is gone, and all that were on it are elsewhere", gone, ACT_STEP, MAINTAIN_STOP, NULL },
	{ MAINTAIN_EVACUATE, "the home's agent is silent", silent, ACT_LOOK, 0, SILENT },
	{ MAINTAIN_EVACUATE, "guest VMs are at home that the plan does not have", others, ACT_ASK, 0,
	  "guest VMs have come to %H that the plan does not have: shut them down there and type vmbeam maintain --resume; or type vmbeam maintain --abort, and begin anew with them" },
	{ MAINTAIN_EVACUATE, "otherwise", always, ACT_STEP, MAINTAIN_STOP, NULL },

	{ MAINTAIN_STOP, "the host VM is gone", gone, ACT_STEP, MAINTAIN_RUN, NULL },
	{ MAINTAIN_STOP, "it is not known whether it is there", not_known, ACT_LOOK, 0, "whether %H runs is not known: see that xl list works on the host, then type vmbeam maintain --resume" },
	{ MAINTAIN_STOP, "somebody has restarted it", another_boot, ACT_STEP, MAINTAIN_EVACUATE, NULL },
	{ MAINTAIN_STOP, "a guest VM is on it", occupied, ACT_STEP, MAINTAIN_EVACUATE, NULL },
	{ MAINTAIN_STOP, "it is being aborted, and the host VM was not told to stop", unharmed, ACT_STEP, MAINTAIN_RETURN, NULL },
	{ MAINTAIN_STOP, "its agent is silent, and it was not told to stop", not_told, ACT_LOOK, 0,
	  SILENT },
	{ MAINTAIN_STOP, "otherwise", always, ACT_STOP_SYSTEM, 0, NULL },

	{ MAINTAIN_RUN, "there is no command, or it ran, or it is being aborted", nothing_to_run, ACT_STEP, MAINTAIN_START, NULL },
	{ MAINTAIN_RUN, "somebody has started it", is_up, ACT_STEP, MAINTAIN_EVACUATE, NULL },
	{ MAINTAIN_RUN, "it is not known whether it is there", not_known, ACT_LOOK, 0, "whether %H runs is not known: see that xl list works on the host, then type vmbeam maintain --resume" },
	{ MAINTAIN_RUN, "otherwise", always, ACT_RUN, 0, NULL },

	{ MAINTAIN_START, "the host VM is there", is_up, ACT_STEP, MAINTAIN_AGENT, NULL },
	{ MAINTAIN_START, "it is not known whether it is there", not_known, ACT_LOOK, 0, "whether %H runs is not known: see that xl list works on the host, then type vmbeam maintain --resume" },
	{ MAINTAIN_START, "it was started three times", no_more_starts, ACT_ASK, 0,
	  "%H ends again whenever it is started; %W: see the console of %H, then type vmbeam maintain --resume{; or type vmbeam maintain --abort: then it is started from its old configuration}" },
	{ MAINTAIN_START, "otherwise", always, ACT_START_SYSTEM, 0, NULL },

	{ MAINTAIN_AGENT, "the host VM is gone", gone, ACT_STEP, MAINTAIN_START, NULL },
	{ MAINTAIN_AGENT, "its agent answers, after another boot", another_boot, ACT_STEP, MAINTAIN_PROBE, NULL },
	{ MAINTAIN_AGENT, "otherwise", always, ACT_LOOK, 0,
	  "the agent of %H does not answer after the restart; %W: see the console of %H, then type vmbeam maintain --resume{; or type vmbeam maintain --abort and xl destroy %H: then it is started from its old configuration}" },

	{ MAINTAIN_PROBE, "the host VM is gone", gone, ACT_STEP, MAINTAIN_START, NULL },
	{ MAINTAIN_PROBE, "none is wanted, or it went well, or it is being aborted", nothing_to_probe, ACT_STEP, MAINTAIN_RETURN, NULL },
	{ MAINTAIN_PROBE, "the home's agent is silent", silent, ACT_LOOK, 0, SILENT },
	{ MAINTAIN_PROBE, "otherwise", always, ACT_PROBE, 0, NULL },

	{ MAINTAIN_RETURN, "it is not known where a guest VM is", unknown, ACT_LOOK, 0,
	  "where %G is cannot be said until the agents of %H and %R answer: see that both host VMs and vmbeam-agent in them run, then type vmbeam maintain --resume" },
	{ MAINTAIN_RETURN, "the host VM of a maintenance is gone", crashed, ACT_STEP, MAINTAIN_START, NULL },
	{ MAINTAIN_RETURN, "it is being aborted, the host VM runs from the new configuration, and whether guest VMs are at home is not known", cannot_be_told, ACT_LOOK, 0,
	  "%H is to be started from its old configuration, and its agent does not answer: see that vmbeam-agent runs in its management VM, or, if no guest VM is on it, type xl destroy %H; then type vmbeam maintain --resume" },
	{ MAINTAIN_RETURN, "it is being aborted, and the host VM runs from the new configuration without a guest VM", replaceable, ACT_STEP, MAINTAIN_STOP, NULL },
	{ MAINTAIN_RETURN, "nothing but a return was wanted, and is being aborted", not_wanted, ACT_STEP, MAINTAIN_ABORTED, NULL },
	{ MAINTAIN_RETURN, "one that was shut down is nowhere, with tries left", startable, ACT_START_GUEST, 0, NULL },
	{ MAINTAIN_RETURN, "a guest VM is at the refuge that is to return and has tries left", returnable, ACT_MOVE_HOME, 0, NULL },
	{ MAINTAIN_RETURN, "one that is to return is at the refuge", away, ACT_ASK, 0,
	  "%G could not return to %H and is on %R: %E; vmbeam maintain --resume tries again, vmbeam adopt %U lets it stay{, vmbeam maintain --abort starts %H from its old configuration and brings all home}" },
	{ MAINTAIN_RETURN, "a guest VM that was to move is nowhere", vanished, ACT_LOOK, 0,
	  "%G is on neither %H nor %R: start it on %H and type vmbeam maintain --resume, or leave it out with vmbeam adopt %U" },
	{ MAINTAIN_RETURN, "one that was shut down is nowhere", down, ACT_ASK, 0,
	  "%G could not be started on %H: %E; vmbeam maintain --resume tries again, vmbeam adopt %U leaves it out" },
	{ MAINTAIN_RETURN, "it is being aborted", aborting, ACT_STEP, MAINTAIN_ABORTED, NULL },
	{ MAINTAIN_RETURN, "otherwise", always, ACT_STEP, MAINTAIN_DONE, NULL },
};

static void add(char *out, size_t size, const char *text)
{
	size_t have = strlen(out);

	snprintf(out + have, size - have, "%s", text);
}

void maintain_say_where(const struct maintenance *m, char *text, size_t size)
{
	size_t moved = 0, down = 0;

	for (size_t i = 0; i < m->plan.nr; i++) {
		moved += takes_part(m, i) && moves(m, i);
		down += takes_part(m, i) && !moves(m, i);
	}
	/* Some may have been home again when it went down. */
	if (m->began_ms[MAINTAIN_RETURN])
		snprintf(text, size, "vmbeam list tells where its guest VMs are");
	else if (!moved)
		snprintf(text, size, down ? "its guest VMs are shut down" : "no guest VM is on it");
	else
		snprintf(text, size, "%s run on %s%s", down ? "the guest VMs that could be moved" : "all guest VMs",
			 maintain_refuge(m), down ? ", the others are shut down" : "");
}

/* Would an abort take the old configuration back? Not under a guest VM that is home. */
static bool goes_back(const struct view *v)
{
	bool home = false;

	for (size_t i = 0; i < v->m->plan.nr; i++)
		home |= takes_part(v->m, i) && v->seen->guests[i] == WHERE_HOME;
	return v->m->plan.config && !v->m->aborting && (v->m->step != MAINTAIN_RETURN || (v->m->renewed && !home));
}

/* Of a maintenance nobody can be left out while it is at home: that is going to be stopped. */
static bool applies(const struct view *v)
{
	return v->m->step == MAINTAIN_EVACUATE ? v->m->plan.what == PLAN_EVACUATE : goes_back(v);
}

/* A rule's sentence, with its names. */
static void explain(struct error *why, const char *form, const struct view *v)
{
	const struct maintenance *m = v->m;
	bool about_one = v->guest < m->plan.nr;
	char text[2 * sizeof(why->text)] = "", name[TEXT_SHORT] = "", reason[MAINTAIN_REASON] = "no reason is known", place[512], one[2] = "";

	if (about_one)
		text_short(name, sizeof(name), m->plan.guests[v->guest].name);
	if (about_one && m->guests[v->guest].error)
		text_short(reason, sizeof(reason), m->guests[v->guest].error);
	maintain_say_where(m, place, sizeof(place));
	for (; *form; form++) {
		const char *piece = one;

		if (*form == '{' && !applies(v))
			form = strchr(form, '}');
		if (*form == '{' || *form == '}')
			continue;
		one[0] = *form;
		if (*form == '%') {
			switch (*++form) {
			case 'G': piece = name; break;
			case 'U': piece = about_one ? m->plan.guests[v->guest].uuid : ""; break;
			case 'H': piece = maintain_home(m); break;
			case 'R': piece = maintain_refuge(m); break;
			case 'W': piece = place; break;
			default: piece = reason;
			}
		}
		add(text, sizeof(text), piece);
	}
	error_set(why, "%s", text);
}

struct maintain_action maintain_next(const struct maintenance *m, const struct maintain_seen *seen)
{
	struct view v = { .m = m, .seen = seen, .guest = m->plan.nr };
	struct maintain_action a = { .act = ACT_OVER };

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		if ((r->step != ANY && r->step != m->step) || !r->is(&v))
			continue;
		a.act = r->act;
		a.guest = v.guest;
		a.step = r->next;
		if (r->why)
			explain(&a.why, r->why, &v);
		else if (a.act == ACT_ASK)
			a.why = m->asked;
		break;
	}
	return a;
}

void maintain_print_table(FILE *f)
{
	fputs("| step | what is seen | what follows |\n|---|---|---|\n", f);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		fprintf(f, "| %s | %s | ", r->step == ANY ? "any" : maintain_steps[r->step], r->when);
		if (r->act == ACT_STEP)
			fprintf(f, "step *%s* |\n", maintain_steps[r->next]);
		else
			fprintf(f, "%s |\n", maintain_acts[r->act]);
	}
}
