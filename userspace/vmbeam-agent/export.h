/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMBEAM_AGENT_EXPORT_H
#define VMBEAM_AGENT_EXPORT_H

#include <stdbool.h>

/* Does this management VM have vmbeam_guest.ko? */
bool exports_available(void);

#endif
