/* SPDX-License-Identifier: GPL-2.0 */
/* The ops of main.c's table, by file. */
#ifndef VMBEAM_AGENT_OPS_H
#define VMBEAM_AGENT_OPS_H

#include "request.h"

/* list.c: puts "domains" and "exports" into the reply to hello: those asked for, or all. */
int list_all(struct request *r);

/* system.c */
int op_system(struct request *r);

/* guest_check.c, dest_check.c */
int op_guest_check(struct request *r);
int op_needs(struct request *r);
int op_dest_check(struct request *r);

/* run.c */
int op_resume(struct request *r);
int op_unpause(struct request *r);
int op_destroy(struct request *r);

/* save.c */
int op_save_begin(struct request *r);
int op_save_read(struct request *r);
int op_save_go(struct request *r);
int op_save_status(struct request *r);
int op_save_abort(struct request *r);

/* restore.c */
int op_restore_begin(struct request *r);
int op_restore_write(struct request *r);
int op_restore_populated(struct request *r);
int op_restore_end(struct request *r);
int op_restore_abort(struct request *r);

/* shape.c, export.c */
int op_guest_frames(struct request *r);
int op_export_begin(struct request *r);
int op_export_sync(struct request *r);
int op_export_read(struct request *r);
int op_export_arm(struct request *r);
int op_export_release(struct request *r);

/* power.c */
int op_guest_shutdown(struct request *r);
int op_guest_start(struct request *r);

/* probe.c */
int op_probe(struct request *r);
/* The kernel that it starts, instead of one that it finds. */
void probe_kernel(const char *path);
/* Destroys what a probe has left whose agent was killed. When an agent starts. */
void probe_clear(void);
/* Is it the domain of a probe, and none of the guest VMs? */
bool probe_is(const char *uuid);

/* guard_ops.c */
int op_guard_back(struct request *r);
int op_guard_adopt(struct request *r);

/* power_off.c */
int op_power_off(struct request *r);

/* blocks.c */
int op_disk_blocks(struct request *r);

/* quiesce.c */
int op_quiesce(struct request *r);
int op_rebind(struct request *r);

#endif
