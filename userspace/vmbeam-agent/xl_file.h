/* SPDX-License-Identifier: GPL-2.0 */
/* Whose configuration is in a file that xl would create a guest VM from. xl_file.c alone knows libxlutil. */
#ifndef VMBEAM_AGENT_XL_FILE_H
#define VMBEAM_AGENT_XL_FILE_H

#include <json-c/json.h>

#include "error.h"

struct xl_guest {
	const char *uuid;
	const char *name;		/* in the form of text_name() */
	struct json_object *disks;	/* a list: what it can write to, as its configuration names it; NULL: nothing */
};

/*
 * Would `xl create` with this file start that guest VM? It has its UUID, or its name, or a disk in common that both write
 * to: somebody may have renamed the guest VM since. 1; 0: it would not, or xl cannot read the file either; -1: nobody can
 * say, and @err says why.
 */
int xl_file_is_of(const char *path, const struct xl_guest *guest, struct error *err);

#endif
