// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "journald.h"
#include "log.h"

/* A name of TEXT_SHORT bytes with its key is the longest. */
#define FIELD 256

static _Thread_local const char *about_migration, *about_guest, *about_step;

static int add(struct iovec *iov, char *buf, size_t size, const char *key, const char *value)
{
	if (!value)
		return 0;
	iov->iov_base = buf;
	iov->iov_len = snprintf(buf, size, "%s=%s", key, value);
	if (iov->iov_len >= size)
		iov->iov_len = size - 1;
	return 1;
}

static bool send_line(enum log_level level, const char *line)
{
	char message[4200], priority[16], fields[3][FIELD];
	struct iovec iov[6];
	int n = 0;

	n += add(&iov[n], message, sizeof(message), "MESSAGE", line);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
	iov[n++] = (struct iovec){ priority, sizeof("PRIORITY=0") - 1 };
	iov[n++] = (struct iovec){ (char *)"SYSLOG_IDENTIFIER=vmbeamd", sizeof("SYSLOG_IDENTIFIER=vmbeamd") - 1 };
	n += add(&iov[n], fields[0], FIELD, "VMBEAM_MIGRATION", about_migration);
	n += add(&iov[n], fields[1], FIELD, "VMBEAM_GUEST", about_guest);
	n += add(&iov[n], fields[2], FIELD, "VMBEAM_STEP", about_step);
	return !sd_journal_sendv(iov, n);
}

void journald_init(void)
{
	/* systemd sets this when standard error goes to the journal. */
	if (getenv("JOURNAL_STREAM"))
		log_to(send_line);
}

void journald_about(const char *migration, const char *guest, const char *step)
{
	about_migration = migration;
	about_guest = guest;
	about_step = step;
}

void journald_step(const char *step)
{
	about_step = step;
}
