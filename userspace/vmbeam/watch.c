// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "js.h"
#include "progress.h"
#include "reader.h"
#include "show.h"
#include "table.h"
#include "watch.h"

/* A terminal is drawn to when something has happened, but not more often, and for the clock. */
#define DRAW_MS		100
#define CLOCK_MS	1000

struct watch {
	const struct watch_what *what;
	struct reader daemon;
	struct reader undo;		/* fd -1: not asked for, or answered */
	int signals;			/* -1: Ctrl-C is none of ours */
	bool json, terminal;
	bool planned;			/* the plan was shown */
	bool interrupted, asked;	/* Ctrl-C was typed; and the daemon was asked to call it off */
	char *id;			/* NULL: the daemon has not told yet */
	struct progress progress;
	int64_t drawn_ms;
	struct json_object *result;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void draw(struct watch *w)
{
	w->drawn_ms = now_ms();
	progress_draw(&w->progress, stdout, table_terminal(stdout), table_height(stdout), w->drawn_ms);
}

/* A line that stays, beside the block: that is drawn below it the next time. Among JSON lines it is one, too. */
static void tell(struct watch *w, const char *text)
{
	struct json_object *event;

	if (w->json) {
		event = json_object_new_object();
		js_add_str(event, "event", "words");
		js_add_str(event, "words", text);
		fprintf(stderr, "%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN));
		json_object_put(event);
		return;
	}
	if (w->terminal)
		fputs("\r\x1b[K", stdout);
	fflush(stdout);
	cli_say(stderr, "vmbeam: %s\n", text);
	w->progress.drawn = 0;
}

/* Only by its id: what is under way may be somebody else's, if this was refused. */
static void ask_undo(struct watch *w)
{
	struct json_object *request;

	if (!w->interrupted || w->asked || !w->id)
		return;
	w->asked = true;
	w->undo.fd = client_open();
	if (w->undo.fd < 0)
		return;
	request = json_object_new_object();
	js_add_str(request, "cmd", w->what->undo);
	js_add_str(request, w->what->id, w->id);
	if (!client_send(w->undo.fd, request))
		tell(w, "vmbeamd has gone, and was not asked to call it off");
}

/* Its answer is told only if it is no: what became of it all is in the result of the request itself. */
static void hear_undo(struct watch *w)
{
	bool there = reader_fill(&w->undo);
	char *line;

	while (there && (line = reader_line(&w->undo))) {
		struct json_object *json = json_tokener_parse(line), *result = js_get(json, "result", json_type_object);

		if (result && (!strcmp(js_str(result, "outcome", ""), "refused") || !strcmp(js_str(result, "outcome", ""), "misuse")))
			tell(w, js_str(result, "error", "it cannot be called off"));
		there = !result;
		json_object_put(json);
	}
	if (there)
		return;
	close(w->undo.fd);
	w->undo.fd = -1;
}

/* A line without "event" is about a phase, of the guest VM that was asked for. */
static void complete(struct watch *w, struct json_object *event)
{
	if (!js_str(event, "event", NULL) && js_str(event, "phase", NULL))
		js_add_str(event, "event", "phase");
	if (w->what->guest && !js_str(event, "guest", NULL))
		js_add_str(event, "guest", w->what->guest);
}

static void happened(struct watch *w, struct json_object *event)
{
	const char *kind, *id = js_str(event, w->what->id, NULL);

	if (!w->id && id)
		w->id = strdup(id);
	ask_undo(w);
	if (w->what->quiet)
		return;
	if (w->json) {
		fprintf(stderr, "%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN));
		return;
	}
	complete(w, event);
	kind = js_str(event, "event", "");
	if (!strcmp(kind, "plan") && !w->planned) {
		w->planned = true;
		show_plan(stdout, js_get(event, "plan", json_type_object), table_terminal(stdout));
		fflush(stdout);
	}
	if (!strcmp(kind, "hook") && js_str(event, "error", NULL))
		tell(w, js_str(event, "error", ""));
	if (!w->terminal) {
		progress_say(stdout, event);
		return;
	}
	progress_event(&w->progress, event, now_ms());
	if (strcmp(kind, "phase") || now_ms() - w->drawn_ms >= DRAW_MS)
		draw(w);
}

/* A migration's last state is in its result; why it failed is told below the block. */
static void finish(struct watch *w)
{
	struct json_object *event;

	if (!w->terminal || !w->progress.nr)
		return;
	if (w->what->guest) {
		event = json_object_new_object();
		js_add_str(event, "event", "outcome");
		js_add_str(event, "guest", w->progress.guests[0].name);
		js_add_str(event, "uuid", w->progress.guests[0].uuid);
		js_add_str(event, "outcome", js_str(w->result, "outcome", "?"));
		if (cli_double(w->result, "downtime_ms", -1) >= 0)
			json_object_object_add(event, "downtime_ms", json_object_new_double(cli_double(w->result, "downtime_ms", 0)));
		progress_event(&w->progress, event, now_ms());
		json_object_put(event);
	}
	draw(w);
}

/* 0; or an exit code, and it is over. */
static int hear_daemon(struct watch *w)
{
	bool there = reader_fill(&w->daemon);
	char *line;

	while (!w->result && there && (line = reader_line(&w->daemon))) {
		struct json_object *json = json_tokener_parse(line), *result = js_get(json, "result", json_type_object);

		if (result)
			w->result = json_object_get(result);
		else if (json_object_is_type(json, json_type_object))
			happened(w, json);
		json_object_put(json);
	}
	if (w->result)
		finish(w);
	return w->result || there ? 0 : client_gone();
}

/* 0; or an exit code: it is left to the daemon. */
static int interrupt(struct watch *w)
{
	struct signalfd_siginfo info;

	if (read(w->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (w->interrupted) {
		tell(w, w->asked ? "left to vmbeamd, which is calling it off: see vmbeam status"
				 : "left to vmbeamd, which goes on with it: see vmbeam status");
		return CLI_STUCK;
	}
	w->interrupted = true;
	if (w->what->interrupted)
		*w->what->interrupted = true;
	tell(w, "calling it off. Ctrl-C once more leaves it to vmbeamd");
	ask_undo(w);
	return 0;
}

static int loop(struct watch *w)
{
	int rc = 0;

	while (!rc && !w->result) {
		struct pollfd fds[] = {
			{ .fd = w->daemon.fd, .events = POLLIN },
			{ .fd = w->signals, .events = POLLIN },
			{ .fd = w->undo.fd, .events = POLLIN },
		};
		int n = poll(fds, 3, w->terminal ? CLOCK_MS : -1);

		if (n < 0 && errno != EINTR)
			return client_gone();
		if (n <= 0) {
			if (w->terminal && w->progress.nr)
				draw(w);
			continue;
		}
		if (fds[1].revents)
			rc = interrupt(w);
		if (!rc && fds[2].revents)
			hear_undo(w);
		if (!rc && fds[0].revents)
			rc = hear_daemon(w);
	}
	return rc;
}

/* -1: who started the command does not want it to be interrupted. */
static int catch_interrupts(sigset_t *before)
{
	struct sigaction now;
	sigset_t set;

	sigemptyset(&set);
	if (!sigaction(SIGINT, NULL, &now) && now.sa_handler == SIG_IGN) {
		sigprocmask(SIG_BLOCK, &set, before);
		return -1;
	}
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* One that obeys escape sequences. */
static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

int watch_ask(struct json_object *request, const struct watch_what *what, bool json, struct json_object **result)
{
	struct watch w = { .what = what, .json = json, .terminal = !json && !what->quiet && is_terminal(), .undo.fd = -1 };
	sigset_t before;
	int rc;

	*result = NULL;
	w.daemon.fd = client_open();
	if (w.daemon.fd < 0) {
		json_object_put(request);
		return CLI_NO_DAEMON;
	}
	w.signals = catch_interrupts(&before);
	rc = client_send(w.daemon.fd, request) ? loop(&w) : client_gone();
	*result = w.result;
	close(w.daemon.fd);
	if (w.undo.fd >= 0)
		close(w.undo.fd);
	if (w.signals >= 0)
		close(w.signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	reader_clear(&w.daemon);
	reader_clear(&w.undo);
	progress_clear(&w.progress);
	free(w.id);
	return rc;
}
