/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's end of the line to an agent. One request at a time; every wait has a limit. */
#ifndef VMBEAM_AGENT_H
#define VMBEAM_AGENT_H

#include <stdbool.h>

#include "channel.h"
#include "error.h"
#include "patience.h"

struct agent {
	struct channel ch;
	const char *name, *socket;	/* of the host VM */
	const char *migration;		/* sent with each request */
	const char *uuid;		/* what hello is asked about, once it is known: "" and 0 until then */
	const uint32_t *domid;
	const struct patience *patience;
	uint32_t session, seq;
	bool up;
	struct json_object *hello;	/* its last answer to hello */
	struct json_object *asked;	/* between agent_begin() and agent_end() */
	const char *asked_op;
};

/* What is pointed to must outlive the agent. */
void agent_init(struct agent *a, const char *name, const char *socket, const char *migration, const char *uuid,
		const uint32_t *domid, const struct patience *patience);
void agent_close(struct agent *a);
/* Did its last hello name this feature: an op, or what else docs/protocol.md has? */
bool agent_has(const struct agent *a, const char *feature);

/*
 * Connects, if it is not, and says hello until it is answered. 0 or -1. What is not in this hello may be there all the
 * same: only the next one fails when the agent had to cut its lists.
 */
int agent_connect(struct agent *a, int limit_s, struct error *err);
/* Asks hello once more, so that a->hello is fresh, and whole: what is not there is gone. */
int agent_hello(struct agent *a, struct error *err);
/* The same in two halves, see agent_begin(). */
int agent_hello_begin(struct agent *a, struct error *err);
int agent_hello_end(struct agent *a, struct error *err);

/*
 * One request and its reply. @args is consumed and may be NULL. A reply that says "again" makes it ask again, until
 * the limit. @reply may be NULL. After a limit or a broken line the agent is closed: a late reply can then not be
 * taken for another's. When the migration is called off the reply is not waited for. 0 or -1.
 */
int agent_call(struct agent *a, const char *op, struct json_object *args, int limit_s, struct message *reply,
	       struct error *err);
/*
 * The same in two halves, so that both agents can be at work at a time. A request that is never ended is given up with
 * the agent's next one; the agent still carries it out. @op must live until then.
 */
int agent_begin(struct agent *a, const char *op, struct json_object *args, struct error *err);
int agent_begin_blob(struct agent *a, const char *op, struct json_object *args, const void *blob, uint32_t blob_len,
		     struct error *err);
int agent_end(struct agent *a, int limit_s, struct message *reply, struct error *err);

#endif
