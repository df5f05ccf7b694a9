// SPDX-License-Identifier: GPL-2.0
/*
 * Is a path the same disk on both sides? The sizes must agree. If both sides know what the unit calls itself, these
 * must agree, too. And what is read at places drawn at random, past the caches, must be the same: devices that are
 * emulated call themselves by numbers that others of their kind have as well, and most have none.
 *
 * The guest VM writes meanwhile. A block that differs is read again, source, destination, source: if the source's is the
 * same both times and the destination's in between is another, they are two. A block that changes at every look says
 * nothing, nor does an empty one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "check.h"
#include "js.h"
#include "limit.h"

#define BLOCK		4096
#define BLOCKS		64
/* Of these so many near the beginning, where partition tables and file systems have what is their own. */
#define BLOCKS_NEAR	16
#define NEAR		256
#define TRIES		5
#define PAUSE_US	200000

struct sample {
	uint64_t block;
	char a[20], b[20];	/* the digests */
	bool differs;		/* the source's last two were the same, and the destination's another */
};

static bool drawn(const struct sample *list, size_t nr, uint64_t block)
{
	for (size_t i = 0; i < nr; i++)
		if (list[i].block == block)
			return true;
	return false;
}

/* Different blocks of a disk of @all. How many. */
static size_t draw(struct sample *list, uint64_t all)
{
	size_t nr = all < BLOCKS ? all : BLOCKS;

	memset(list, 0, BLOCKS * sizeof(*list));
	for (size_t i = 0; i < nr;) {
		uint64_t within = i < BLOCKS_NEAR && all > NEAR ? NEAR : all, random;

		if (all <= BLOCKS)
			random = i;
		else if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return 0;
		if (!drawn(list, i, random % within))
			list[i++].block = random % within;
	}
	return nr;
}

/* The digests of these blocks, of one side. */
static int read_side(struct migration *m, struct agent *a, const char *target, struct sample *list, size_t nr,
		     struct error *err)
{
	struct json_object *args = json_object_new_object(), *blocks = json_object_new_array(), *digests;
	struct message reply;

	js_add_str(args, "target", target);
	for (size_t i = 0; i < nr; i++)
		json_object_array_add(blocks, json_object_new_uint64(list[i].block));
	json_object_object_add(args, "blocks", blocks);
	if (agent_call(a, "disk-blocks", args, limit_s(LIMIT_CHECK), &reply, err))
		return -1;
	digests = js_array(reply.json, "digests");
	for (size_t i = 0; i < nr; i++) {
		struct json_object *digest = json_object_array_get_idx(digests, i);
		const char *text = digest && json_object_is_type(digest, json_type_string) ?
			json_object_get_string(digest) : "";
		char *side = a == &m->a ? list[i].a : list[i].b;

		if (js_len(digests) != nr || !*text || strlen(text) >= sizeof(list[i].a)) {
			message_clear(&reply);
			return error_set(err, "%s: the agent does not say what is in the blocks of %s", a->name, target);
		}
		if (side == list[i].a)
			list[i].differs = !strcmp(side, text) && strcmp(list[i].b, text);
		strcpy(side, text);
	}
	message_clear(&reply);
	return 0;
}

/* Takes what agrees out of @list. What is left. */
static size_t keep_different(struct sample *list, size_t nr, size_t *agreed, size_t *empty)
{
	size_t left = 0;

	for (size_t i = 0; i < nr; i++) {
		if (strcmp(list[i].a, list[i].b))
			list[left++] = list[i];
		else if (strcmp(list[i].a, "0"))
			++*agreed;
		else
			++*empty;
	}
	return left;
}

static int refuse(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	f->verdict = VERDICT_REFUSED;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
	return -1;
}

/* Adds to @o what came of it. 0: the blocks do not say that there are two disks. */
static int compare_blocks(struct migration *m, const char *name, const char *target, uint64_t bytes,
			  struct json_object *o, size_t *agreed, struct finding *f)
{
	size_t nr, all, empty = 0, differ = 0;
	struct sample list[BLOCKS];
	struct error err;

	nr = all = draw(list, bytes / BLOCK);
	*agreed = 0;
	for (int i = 0; nr && i < TRIES; i++) {
		if (i)
			usleep(PAUSE_US);
		if (read_side(m, &m->a, target, list, nr, &err) || read_side(m, &m->b, target, list, nr, &err)) {
			return refuse(f, "%s", err.text);
		}
		nr = keep_different(list, nr, agreed, &empty);
	}
	/* Once more the source alone: was it the same before and after the destination's last? */
	if (nr && read_side(m, &m->a, target, list, nr, &err)) {
		return refuse(f, "%s", err.text);
	}
	for (size_t i = 0; i < nr; i++)
		differ += list[i].differs;
	js_add_u64(o, "blocks_read", all);
	js_add_u64(o, "blocks_agreed", *agreed);
	js_add_u64(o, "blocks_empty", empty);
	js_add_u64(o, "blocks_busy", nr - differ);
	if (!differ)
		return 0;
	return refuse(f, "the disk %s of %s, %s, is not the same on %s and %s: of %zu blocks that were read %zu differ and %zu agree. Give %s the disk that %s has, under that path",
		name, m->guest, target, m->from, m->to, all, differ, *agreed, m->to, m->from);
}

/* The names that both sides have for the unit, which agree: rules.c has seen to that. */
static struct json_object *same_ids(struct json_object *need, struct json_object *offer)
{
	struct json_object *a = js_get(need, "ids", json_type_object), *b = js_get(offer, "ids", json_type_object);
	struct json_object *list = json_object_new_array();

	if (!a)
		return list;
	json_object_object_foreach(a, key, value) {
		(void)value;
		if (js_str(a, key, NULL) && js_str(b, key, NULL))
			json_object_array_add(list, json_object_new_string(key));
	}
	return list;
}

void disk_compare(struct migration *m, struct json_object *need, struct json_object *offer, struct finding *f)
{
	const char *target = js_str(need, "target", ""), *name = js_str(need, "dev", target);
	struct json_object *o = json_object_new_object(), *ids = same_ids(need, offer);
	size_t agreed;

	js_add_str(o, "disk", name);
	js_add_str(o, "target", target);
	js_add_u64(o, "bytes", js_u64(need, "bytes", 0));
	json_object_object_add(o, "same_ids", ids);
	if (compare_blocks(m, name, target, js_u64(need, "bytes", 0), o, &agreed, f)) {
		json_object_put(o);
		return;
	}
	json_object_array_add(m->disks, o);
	if (!js_len(ids) && !agreed && f->verdict == VERDICT_OFFERED) {
		f->verdict = VERDICT_WARNING;
		snprintf(f->why, sizeof(f->why), "whether the disk %s of %s, %s, is the same on %s and %s is not known: neither says what it is, and all that was read of it is empty or changes. Make sure that it is",
			 name, m->guest, target, m->from, m->to);
	}
}
