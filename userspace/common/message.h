/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The messages between vmbeamd and vmbeam-agent: a header of 24 bytes, one JSON object, a blob.
 *
 *   char magic[8] = "VMBEAM\r\n"; le32 session; le32 json_len; le32 blob_len; le32 crc;
 *
 * crc is the CRC-32 of the 20 bytes before it. The peer is not trusted: lengths are bounded before anything is
 * allocated. A message whose JSON is bad, or is no object, is handed out without it: whoever waits for it has to be told.
 */
#ifndef VMBEAM_MESSAGE_H
#define VMBEAM_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#define MESSAGE_HEADER_LEN	24
#define MESSAGE_MAX_JSON	65536
#define MESSAGE_MAX_BLOB	(1 << 20)

/* A received message; owns both. Clear it after use. */
struct message {
	uint32_t session;
	struct json_object *json;	/* NULL: it could not be parsed, and there is no blob either */
	uint8_t *blob;
	uint32_t blob_len;
};

void message_clear(struct message *m);

/*
 * Encodes header and JSON into *@buf, to be freed; the blob is to be sent right behind it and is not copied.
 * 0, -ENOMEM, -EMSGSIZE when the JSON or the blob is beyond its limit, -EILSEQ when a string in it is not UTF-8.
 */
int message_encode(uint32_t session, struct json_object *json, uint32_t blob_len, uint8_t **buf, size_t *len);

/* Takes bytes as they come and finds the messages in them. All-zero is a fresh one. */
struct decoder {
	uint8_t *buf;
	size_t start, end, room;
	uint64_t skipped;	/* bytes that belonged to no message */
};

void decoder_clear(struct decoder *d);
/* Appends bytes. 0 or -ENOMEM. Take all messages out between two calls: what is buffered stays bounded by that. */
int decoder_feed(struct decoder *d, const void *data, size_t len);
/* 1: a message is in @m, perhaps without its JSON. 0: more bytes are needed. -ENOMEM. */
int decoder_next(struct decoder *d, struct message *m);
/* Is a message begun but not complete? */
int decoder_partial(const struct decoder *d);

#endif
