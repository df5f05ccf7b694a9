/* SPDX-License-Identifier: GPL-2.0 */
/* A host VM's agent that is asked for something outside a migration. */
#ifndef VMBEAM_VISIT_H
#define VMBEAM_VISIT_H

#include "agent.h"
#include "config.h"

struct visit {
	struct agent agent;		/* to be closed */
	struct patience patience;
	uint32_t none;
};

/* Connects to nobody yet. @v must not be moved from then on. */
void visit_init(struct visit *v, const struct config_hostvm *hostvm);
/* One request, as agent_call() has it; connects first if that is to be done, within @connect_s. @args is consumed. */
int visit_ask(struct visit *v, int connect_s, const char *op, struct json_object *args, int limit_s, struct message *reply,
	      struct error *err);

#endif
