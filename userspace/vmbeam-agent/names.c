// SPDX-License-Identifier: GPL-2.0
/* Whom an operator means, and which names the toolstack can use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "domain.h"

/* Of what xl makes of it, "xl-NAME.log.10", a file system takes 255 bytes. */
#define MAX_TRAVELS 245

void domains_free(struct domain *list, size_t nr)
{
	for (size_t i = 0; list && i < nr; i++)
		free(list[i].name);
	free(list);
}

/* "#7", and nothing behind it. 0: it is none. */
static uint32_t domid_of(const char *text)
{
	unsigned long domid;
	char *end;

	if (*text != '#' || text[1] < '1' || text[1] > '9')
		return 0;
	errno = 0;
	domid = strtoul(text + 1, &end, 10);
	return *end || errno || domid > UINT32_MAX ? 0 : domid;
}

static const struct domain *find_name(const struct domain *list, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!list[i].dying && !strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

const struct domain *domains_find(const struct domain *list, size_t nr, const char *meant)
{
	const struct domain *found;
	char *name;

	for (size_t i = 0; i < nr; i++)
		if (!list[i].dying && !strcasecmp(list[i].uuid, meant))
			return &list[i];
	for (size_t i = 0; i < nr; i++)
		if (!list[i].dying && list[i].domid == domid_of(meant))
			return &list[i];
	name = text_name(meant);
	found = name ? find_name(list, nr, name) : NULL;
	free(name);
	return found ?: find_name(list, nr, meant);
}

bool domain_name_travels(const char *name)
{
	size_t len = strlen(name);

	return len <= MAX_TRAVELS && !memchr(name, '/', len) && text_is_utf8(name, len);
}
