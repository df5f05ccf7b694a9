// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "hostvm.h"
#include "js.h"
#include "limit.h"
#include "log.h"
#include "monitor.h"

#define SLICE_MS	200
/* An agent that says "again" more often is not believed to be at work, and is not to keep the daemon at it. */
#define AGAIN_MS	100

void agent_init(struct agent *a, const char *name, const char *socket, const char *migration, const char *uuid,
		const uint32_t *domid, const struct patience *patience)
{
	memset(a, 0, sizeof(*a));
	a->ch.fd = -1;
	a->name = name;
	a->socket = socket;
	a->migration = migration;
	a->uuid = uuid;
	a->domid = domid;
	a->patience = patience;
}

void agent_close(struct agent *a)
{
	channel_clear(&a->ch);
	json_object_put(a->hello);
	json_object_put(a->asked);
	a->hello = a->asked = NULL;
	a->up = false;
}

bool agent_has(const struct agent *a, const char *feature)
{
	struct json_object *has = js_array(a->hello, "features");

	for (size_t i = 0; i < js_len(has); i++) {
		struct json_object *f = json_object_array_get_idx(has, i);

		if (json_object_is_type(f, json_type_string) && !strcmp(json_object_get_string(f), feature))
			return true;
	}
	return false;
}

/*
 * The device model takes one connection at a time; the others wait in the backlog, and once that is full connect() would
 * wait, too: for as long as whoever is connected stays.
 */
static int open_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

/*
 * Nothing else ties a socket to a host VM: with two of them exchanged in the configuration, each agent would name frames of
 * the other's host VM. Whoever listens on it must be the host VM's device model.
 */
static int check_owner(struct agent *a, int fd, struct error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uint32_t domid;
	pid_t pid;

	/* By its name: one that was started anew since has another domid. */
	if (hostvm_domid(a->name, &domid, err))
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return error_set(err, "%s: whose socket %s is cannot be found out: %s", a->name, a->socket, strerror(errno));
	if (hostvm_device_model(a->name, domid, &pid, err))
		return -1;
	if (cred.pid != pid)
		return error_set(err, "%s: the socket %s is process %d's, and the device model of %s (domain %u) is process %d: are two sockets exchanged in the configuration?",
				 a->name, a->socket, cred.pid, a->name, domid, pid);
	return 0;
}

/*
 * Waits for the reply to @seq. 0, or what channel_recv() said, or -EBADMSG: it cannot be parsed, or -ECANCELED: the
 * migration is called off. One without a number is the answer to a request that the agent could not parse, and there is only this one.
 */
static int receive(struct agent *a, uint32_t seq, int64_t until, struct message *reply)
{
	for (;;) {
		int64_t left = until - clock_ms();
		struct error none;
		int rc;

		if (left <= 0)
			return -ETIMEDOUT;
		if (patience_over(a->patience, &none))
			return -ECANCELED;
		rc = channel_recv(&a->ch, reply, left < SLICE_MS ? left : SLICE_MS);
		if (rc == -ETIMEDOUT)
			continue;
		if (rc)
			return rc;
		/* Of an earlier connection. */
		if (reply->session != a->session) {
			message_clear(reply);
			continue;
		}
		if (!reply->json) {
			log_err("%s: an answer of the agent is no JSON object in UTF-8", a->name);
			return -EBADMSG;
		}
		/* Or a late answer to an earlier hello. */
		if (js_u64(reply->json, "seq", seq) == seq)
			return 0;
		message_clear(reply);
	}
}

/* Its reply is the one to a->seq. */
static int ask(struct agent *a, const char *op, struct json_object *args, const void *blob, uint32_t blob_len)
{
	js_add_str(args, "op", op);
	js_add_u64(args, "seq", ++a->seq);
	if (a->migration)
		js_add_str(args, "migration", a->migration);
	return channel_send(&a->ch, a->session, args, blob, blob_len, limit_ms(LIMIT_REPLY));
}

/* Of all that there may be in a host VM, the daemon needs to know of one guest VM. */
static struct json_object *hello_args(const struct agent *a)
{
	struct json_object *args = json_object_new_object();

	if (*a->uuid)
		js_add_str(args, "uuid", a->uuid);
	if (*a->domid)
		js_add_u64(args, "domid", *a->domid);
	return args;
}

/* @seconds: the limit that counted, if it was one. */
static int broken(struct agent *a, const char *op, int rc, int seconds, struct error *err)
{
	/* The agent is all right. Its reply, of an earlier request then, is passed over when it comes. */
	if (rc == -ECANCELED)
		return patience_over(a->patience, err);
	agent_close(a);
	monitor_agent(a->name, NULL);
	if (rc == -ETIMEDOUT)
		return error_set(err, "%s: timed out after %d s waiting for the agent's answer to %s", a->name, seconds, op);
	if (rc == -EBADMSG)
		return error_set(err, "%s: the agent's answer to %s is no JSON object in UTF-8: is it of the same version as vmbeamd?",
				 a->name, op);
	if (rc == -EILSEQ)
		return error_set(err, "%s: the agent was not asked for %s: a text in the request is not UTF-8", a->name, op);
	return error_set(err, "%s: the line to the agent broke during %s: %s", a->name, op, strerror(-rc));
}

static int connect_once(struct agent *a, int64_t until, struct error *err)
{
	struct message reply;
	int fd = open_socket(a->socket), rc;

	if (fd == -EAGAIN)
		return error_set(err, "%s: %s takes no connection: somebody else is connected to it, and others wait. It is for vmbeamd alone",
				 a->name, a->socket);
	if (fd < 0)
		return error_set(err, "%s: no connection to %s: %s. Is the host VM running?", a->name, a->socket,
				 strerror(-fd));
	if (check_owner(a, fd, err)) {
		close(fd);
		return -1;
	}
	if (channel_init(&a->ch, fd) || getrandom(&a->session, sizeof(a->session), 0) != sizeof(a->session)) {
		channel_clear(&a->ch);
		return error_set(err, "%s: %s", a->name, strerror(errno));
	}
	do {
		int64_t slice = clock_ms() + limit_ms(LIMIT_HELLO);
		struct json_object *args = hello_args(a);

		rc = ask(a, "hello", args, NULL, 0);
		if (!rc)
			rc = receive(a, a->seq, slice < until ? slice : until, &reply);
		json_object_put(args);
	} while (rc == -ETIMEDOUT && clock_ms() < until);
	if (rc == -ETIMEDOUT) {
		agent_close(a);
		return error_set(err, "%s: no agent answers on %s: is vmbeam-agent running in its management VM, and nobody else connected to the socket?",
				 a->name, a->socket);
	}
	if (rc == -ECANCELED) {
		agent_close(a);
		return patience_over(a->patience, err);
	}
	if (rc == -EBADMSG)
		return broken(a, "hello", rc, 0, err);
	if (rc) {
		agent_close(a);
		return error_set(err, "%s: the line %s broke: %s", a->name, a->socket, strerror(-rc));
	}
	if (!js_bool(reply.json, "ok")) {
		error_set(err, "%s: %s", a->name, js_str(reply.json, "error", "the agent refuses hello"));
		message_clear(&reply);
		agent_close(a);
		return -1;
	}
	a->hello = json_object_get(reply.json);
	message_clear(&reply);
	monitor_agent(a->name, a->hello);
	a->up = true;
	return 0;
}

int agent_connect(struct agent *a, int limit_s, struct error *err)
{
	int64_t until = clock_ms() + limit_s * 1000LL;

	if (a->up)
		return 0;
	while (connect_once(a, until, err)) {
		if (patience_over(a->patience, err))
			return -1;
		if (clock_ms() + 500 >= until) {
			monitor_agent(a->name, NULL);
			return -1;
		}
		usleep(500000);
	}
	return 0;
}

int agent_hello_end(struct agent *a, struct error *err)
{
	struct message reply;

	if (agent_end(a, 60, &reply, err))
		return -1;
	json_object_put(a->hello);
	a->hello = json_object_get(reply.json);
	message_clear(&reply);
	monitor_agent(a->name, a->hello);
	if (js_bool(a->hello, "more"))
		return error_set(err, "%s: the agent had to cut its list of domains or exports: what is not in it may be there", a->name);
	return 0;
}

int agent_hello_begin(struct agent *a, struct error *err)
{
	return agent_begin(a, "hello", hello_args(a), err);
}

int agent_hello(struct agent *a, struct error *err)
{
	return agent_hello_begin(a, err) || agent_hello_end(a, err) ? -1 : 0;
}

int agent_begin_blob(struct agent *a, const char *op, struct json_object *args, const void *blob, uint32_t blob_len,
		     struct error *err)
{
	int rc;

	if (!args)
		args = json_object_new_object();
	if (!a->up) {
		json_object_put(args);
		return error_set(err, "%s: the agent is not connected (%s was to be asked)", a->name, op);
	}
	/* One that was given up: its reply will not be waited for. */
	json_object_put(a->asked);
	a->asked = args;
	a->asked_op = op;
	rc = ask(a, op, args, blob, blob_len);
	return rc ? broken(a, op, rc, limit_s(LIMIT_REPLY), err) : 0;
}

int agent_begin(struct agent *a, const char *op, struct json_object *args, struct error *err)
{
	return agent_begin_blob(a, op, args, NULL, 0, err);
}

int agent_end(struct agent *a, int limit_s, struct message *reply, struct error *err)
{
	int64_t limit = clock_ms() + limit_s * 1000LL;
	const char *op = a->asked_op;
	struct message m;
	int rc;

	if (!a->asked)
		return error_set(err, "%s: the agent was asked nothing", a->name);
	for (;;) {
		int64_t asked = clock_ms(), until = asked + limit_ms(LIMIT_REPLY), early;

		rc = receive(a, a->seq, until < limit ? until : limit, &m);
		if (rc || !js_bool(m.json, "ok") || !js_bool(m.json, "again"))
			break;
		message_clear(&m);
		rc = -ETIMEDOUT;
		if (clock_ms() >= limit)
			break;
		early = asked + AGAIN_MS - clock_ms();
		if (early > 0)
			usleep(early * 1000);
		/* The agent has the blob: asking again must not write it twice. */
		js_add_bool(a->asked, "again", true);
		rc = ask(a, op, a->asked, NULL, 0);
		if (rc)
			break;
	}
	json_object_put(a->asked);
	a->asked = NULL;
	if (rc)
		return broken(a, op, rc, clock_ms() < limit ? limit_ms(LIMIT_REPLY) / 1000 : limit_s, err);
	if (!js_bool(m.json, "ok")) {
		error_set(err, "%s: %s: %s", a->name, op, js_str(m.json, "error", "failed, and the agent does not say why"));
		strncpy(err->code, js_str(m.json, "code", ""), sizeof(err->code) - 1);
		message_clear(&m);
		return -1;
	}
	if (reply)
		*reply = m;
	else
		message_clear(&m);
	return 0;
}

int agent_call(struct agent *a, const char *op, struct json_object *args, int limit_s, struct message *reply,
	       struct error *err)
{
	return agent_begin(a, op, args, err) || agent_end(a, limit_s, reply, err) ? -1 : 0;
}
