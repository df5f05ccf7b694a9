// SPDX-License-Identifier: GPL-2.0
#include "visit.h"

void visit_init(struct visit *v, const struct config_hostvm *hostvm)
{
	v->none = 0;
	patience_begin(&v->patience);
	agent_init(&v->agent, hostvm->name, hostvm->socket, NULL, "", &v->none, &v->patience);
}

int visit_ask(struct visit *v, int connect_s, const char *op, struct json_object *args, int limit_s, struct message *reply,
	      struct error *err)
{
	if (agent_connect(&v->agent, connect_s, err)) {
		json_object_put(args);
		return -1;
	}
	return agent_call(&v->agent, op, args, limit_s, reply, err);
}
