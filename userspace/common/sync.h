/* SPDX-License-Identifier: GPL-2.0 */
/* A file's name must be on the disk too, or a crash loses the file with all that was fsynced. */
#ifndef VMBEAM_SYNC_H
#define VMBEAM_SYNC_H

/* Both: 0 or -errno. */
int sync_dir(const char *path);
/* The directory that the file is in. */
int sync_dir_of(const char *path);

#endif
