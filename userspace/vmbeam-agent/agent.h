/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmbeam-agent: the daemon's arm in a guest management VM. One thread, one request at a time: a request comes in on
 * the port, its op runs, the reply goes out. What may take longer than AGAIN_MS says "again" and is asked once more.
 *
 * The daemon is not trusted more than it needs to be: names, counts and domids are bounded here, once, by the
 * functions that take them out of a request.
 */
#ifndef VMBEAM_AGENT_H
#define VMBEAM_AGENT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "message.h"

/* The longest that an op keeps the daemon waiting for a reply. The tests do not want to wait as long. */
#ifndef AGAIN_MS
#define AGAIN_MS	20000
#endif
#define MAX_DOMID	0x7ff0		/* DOMID_FIRST_RESERVED: beyond are Xen's own */
#define MAX_NAME	16384		/* xenstore takes 4 KiB, of which each byte may be escaped */
#define MAX_MIGRATION	32
#define MAX_BLOB_OUT	(256 * 1024)
#define RUN_DIR		"/run/vmbeam"

/* A request while it is served; the op fills what is sent back. */
struct request {
	struct json_object *in;
	const uint8_t *blob;
	uint32_t blob_len;

	struct json_object *out;	/* the reply; seq and ok are added by the caller */
	uint8_t *out_blob;		/* malloc'ed by the op, freed by the caller */
	uint32_t out_len;
	bool again;
	char error[1024];
	const char *code;
};

/* request.c: every one of these returns 0, or a negative errno with the sentence for the operator in r->error. */
int fail(struct request *r, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int get_domid(struct request *r, uint32_t *domid);
/* "migration" in the request */
int get_migration(struct request *r, const char **migration);
int get_number(struct request *r, const char *key, uint64_t max, uint64_t *value);
/* The string lives as long as the request. It is not empty, has at most @max printable bytes, no '/' if !@path. */
int get_string(struct request *r, const char *key, size_t max, bool path, const char **value);
/* The name of a guest VM, of any characters; lives as long. */
int get_name(struct request *r, const char *key, const char **value);
bool has_key(struct request *r, const char *key);
void put_number(struct request *r, const char *key, uint64_t value);
void put_bool(struct request *r, const char *key, bool value);
void put_string(struct json_object *obj, const char *key, const char *value);
void add_problem(struct json_object *problems, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t now_ms(void);

/* work.c */
/*
 * fork() whose child has only stdin, stdout, stderr and @fds, which become 3, 4, ... Nothing else may live on in a
 * child: a copy of the port would keep the next agent out of it, a copy of a pipe's end would hide an EOF, and a copy
 * of an export's fd would keep its frames pinned.
 */
pid_t agent_fork(const int *fds, int nr);
/* The end of what a child wrote into the memfd @fd, as one line; "no message" if there is nothing. */
const char *log_tail(int fd);
/* Waits until @pid has ended, at most @ms. 1: ended, *@status is set; 0: not yet; or -errno. */
int wait_child(pid_t pid, int ms, int *status);
/* "exited with status 1", "was killed by signal 9" */
const char *exit_text(int status);
/*
 * Runs @fn(@arg) in a child, whose stderr becomes the error's text if it returns other than 0; waits up to AGAIN_MS
 * and then says "again". The next call with the same @key waits on for the same child: so @key names the op and what
 * it works on. The result is told once, and only to the request ("again" in it) that began or waited for the work.
 * Of the agent's fds the child has @fd alone, unless that is -1: as WORK_FD.
 */
#define WORK_FD 4
int work_run(struct request *r, const char *key, int (*fn)(const void *arg), const void *arg, int fd);
/* Is there a child for @key, at work or not asked about yet? */
bool work_pending(const char *key);

/* list.c: puts "domains" and "exports" into the reply to hello: those asked for, or all. */
int list_all(struct request *r);

/* The ops, by file. */
int op_guest_check(struct request *r);
int op_dest_check(struct request *r);
int op_devices(struct request *r);
int op_resume(struct request *r);
int op_unpause(struct request *r);
int op_destroy(struct request *r);

int op_save_begin(struct request *r);
int op_save_read(struct request *r);
int op_save_go(struct request *r);
int op_save_status(struct request *r);
int op_save_abort(struct request *r);
const char *save_helper(void);

int op_restore_begin(struct request *r);
int op_restore_write(struct request *r);
int op_restore_populated(struct request *r);
int op_restore_end(struct request *r);
int op_restore_abort(struct request *r);
/* The domain is about to run: it is no restore's any more, and no restore-abort can reach it. */
void restore_forget(uint32_t domid);

int op_guest_frames(struct request *r);
int op_export_begin(struct request *r);
int op_export_sync(struct request *r);
int op_export_read(struct request *r);
int op_export_arm(struct request *r);
int op_export_release(struct request *r);
bool exports_available(void);

int op_disk_blocks(struct request *r);

int op_quiesce(struct request *r);
int op_rebind(struct request *r);

#endif
