// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "message.h"
#include "text.h"

#define MAGIC		"VMBEAM\r\n"
#define MAGIC_LEN	8
#define CRC_OFFSET	20

static void put_le32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

void message_clear(struct message *m)
{
	json_object_put(m->json);
	free(m->blob);
	memset(m, 0, sizeof(*m));
}

int message_encode(uint32_t session, struct json_object *json, uint32_t blob_len, uint8_t **buf, size_t *len)
{
	size_t json_len;
	const char *text = json_object_to_json_string_length(json, JSON_C_TO_STRING_PLAIN, &json_len);
	uint8_t *p;

	if (!text)
		return -ENOMEM;
	if (json_len > MESSAGE_MAX_JSON || blob_len > MESSAGE_MAX_BLOB)
		return -EMSGSIZE;
	if (!text_is_utf8(text, json_len))
		return -EILSEQ;
	p = malloc(MESSAGE_HEADER_LEN + json_len);
	if (!p)
		return -ENOMEM;
	memcpy(p, MAGIC, MAGIC_LEN);
	put_le32(p + 8, session);
	put_le32(p + 12, json_len);
	put_le32(p + 16, blob_len);
	put_le32(p + CRC_OFFSET, vmbeam_crc32(p, CRC_OFFSET));
	memcpy(p + MESSAGE_HEADER_LEN, text, json_len);
	*buf = p;
	*len = MESSAGE_HEADER_LEN + json_len;
	return 0;
}

void decoder_clear(struct decoder *d)
{
	free(d->buf);
	memset(d, 0, sizeof(*d));
}

int decoder_feed(struct decoder *d, const void *data, size_t len)
{
	if (d->start) {
		memmove(d->buf, d->buf + d->start, d->end - d->start);
		d->end -= d->start;
		d->start = 0;
	}
	if (len > d->room - d->end) {
		size_t room = d->room ? d->room : 4096;
		uint8_t *buf;

		while (room - d->end < len)
			room *= 2;
		buf = realloc(d->buf, room);
		if (!buf)
			return -ENOMEM;
		d->buf = buf;
		d->room = room;
	}
	if (len)
		memcpy(d->buf + d->end, data, len);
	d->end += len;
	return 0;
}

static int header_fits(const uint8_t *p)
{
	return get_le32(p + CRC_OFFSET) == vmbeam_crc32(p, CRC_OFFSET) &&
	       get_le32(p + 12) <= MESSAGE_MAX_JSON && get_le32(p + 16) <= MESSAGE_MAX_BLOB;
}

/* Moves start on to a header that fits. False: there is none in what came so far. */
static int decoder_sync(struct decoder *d)
{
	while (d->start < d->end) {
		const uint8_t *p = d->buf + d->start;
		size_t have = d->end - d->start;

		if (!memcmp(p, MAGIC, have < MAGIC_LEN ? have : MAGIC_LEN)) {
			if (have < MESSAGE_HEADER_LEN)
				return 0;
			if (header_fits(p))
				return 1;
		}
		d->start++;
		d->skipped++;
	}
	return 0;
}

static struct json_object *parse_object(const uint8_t *text, uint32_t len, int *error)
{
	struct json_tokener *tok;
	struct json_object *json;

	if (!text_is_utf8((const char *)text, len))
		return NULL;
	/* Not JSON_TOKENER_STRICT: json-c 0.18 then takes every byte beyond ASCII for a control character, and refuses it. */
	tok = json_tokener_new();
	if (!tok) {
		*error = -ENOMEM;
		return NULL;
	}
	json = json_tokener_parse_ex(tok, (const char *)text, len);
	/* Exactly one object in exactly these bytes: no rest, nothing that wants to go on. */
	if (json && (json_tokener_get_error(tok) != json_tokener_success || json_tokener_get_parse_end(tok) != len ||
		     !json_object_is_type(json, json_type_object))) {
		json_object_put(json);
		json = NULL;
	}
	json_tokener_free(tok);
	return json;
}

int decoder_next(struct decoder *d, struct message *m)
{
	memset(m, 0, sizeof(*m));
	while (decoder_sync(d)) {
		const uint8_t *p = d->buf + d->start;
		uint32_t json_len = get_le32(p + 12), blob_len = get_le32(p + 16);
		size_t len = MESSAGE_HEADER_LEN + (size_t)json_len + blob_len;
		int error = 0;

		if (d->end - d->start < len)
			return 0;
		m->session = get_le32(p + 8);
		m->json = parse_object(p + MESSAGE_HEADER_LEN, json_len, &error);
		if (error)
			return error;
		if (m->json && blob_len) {
			m->blob = malloc(blob_len);
			if (!m->blob) {
				message_clear(m);
				return -ENOMEM;
			}
			memcpy(m->blob, p + MESSAGE_HEADER_LEN + json_len, blob_len);
		}
		m->blob_len = m->json ? blob_len : 0;
		d->start += len;
		return 1;
	}
	return 0;
}

int decoder_partial(const struct decoder *d)
{
	return d->start != d->end;
}
