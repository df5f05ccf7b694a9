/* SPDX-License-Identifier: GPL-2.0 */
/* What the last look says of a maintenance: where its guest VMs are, and how their home is. */
#ifndef VMBEAM_DRIVE_SEEN_H
#define VMBEAM_DRIVE_SEEN_H

#include "maintain.h"

/* A look at both host VMs; consumed. 0, or -1 when out of memory. */
int drive_seen_take(const struct maintenance *m, struct json_object *hostvms);
/* Lives until the next look. Before the first one its .guests is NULL. */
struct maintain_seen drive_seen(const struct maintenance *m);
/* Of a guest VM at home; 0: it is not there. */
uint32_t drive_seen_domid(const struct maintenance *m, size_t guest);
void drive_seen_forget(void);

/* What maintain_next() says once @a, a move, has ended well. */
struct maintain_action drive_seen_next(const struct maintenance *m, const struct maintain_action *a);

#endif
