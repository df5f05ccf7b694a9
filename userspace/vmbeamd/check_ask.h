/* SPDX-License-Identifier: GPL-2.0 */
/* What a check asks the two agents. Each reply is to be put; NULL: there is none, and @err says why. Touches nothing. */
#ifndef VMBEAM_CHECK_ASK_H
#define VMBEAM_CHECK_ASK_H

#include "agent.h"

/* What the guest VM needs. @name: or its UUID, or #DOMID */
struct json_object *check_ask_guest(struct agent *source, const char *name, struct error *err);
/* The same in two halves. The first waits for nothing; if it fails, nothing is under way. */
void check_ask_guest_begin(struct agent *source, const char *name);
bool check_ask_guest_is_under_way(const struct agent *source);
struct json_object *check_ask_guest_end(struct agent *source, struct error *err);

/* What the destination offers for each of @needs. */
struct json_object *check_ask_destination(struct agent *dest, const char *name, const char *uuid, struct json_object *needs,
					  struct error *err);

#endif
