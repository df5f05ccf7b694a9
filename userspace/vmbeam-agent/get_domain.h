/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_GET_DOMAIN_H
#define VMBEAM_AGENT_GET_DOMAIN_H

#include "domain.h"
#include "request.h"

/*
 * The domain that a request names by "domid". "uuid", which may be left out, keeps a domid that was given anew from being
 * mistaken. 0, -ESRCH if it is gone or dying, or -errno; told as an error in @r.
 */
int get_domain(struct request *r, struct domain *d);

#endif
