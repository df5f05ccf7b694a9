/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A request while it is served: what an op takes out of it, and puts into the reply. What may take longer than AGAIN_MS says
 * "again" and is asked once more.
 *
 * The daemon is not trusted more than it needs to be: names, counts and domids are bounded here, once, by the
 * functions that take them out of a request.
 */
#ifndef VMBEAM_AGENT_REQUEST_H
#define VMBEAM_AGENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

/* The longest that an op keeps the daemon waiting for a reply. The tests do not want to wait as long. */
#ifndef AGAIN_MS
#define AGAIN_MS	20000
#endif
#define MAX_DOMID	0x7ff0		/* DOMID_FIRST_RESERVED: beyond are Xen's own */
#define MAX_NAME	16384		/* xenstore takes 4 KiB, of which each byte may be escaped */
#define MAX_MIGRATION	32
#define MAX_BLOB_OUT	(256 * 1024)

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

/* Every one of these returns 0, or a negative errno with the sentence for the operator in r->error. */
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

#endif
