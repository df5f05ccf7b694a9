// SPDX-License-Identifier: GPL-2.0
/* The message codec: pieces of every size, garbage, truncation at every byte, hostile lengths and JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "kselftest_harness.h"
#include "message.h"

#define BLOB_LEN 300

FIXTURE(message) {
	struct decoder d;
	uint8_t bytes[1024];
	size_t len;
};

static size_t make(uint8_t *out, uint32_t session, const char *text)
{
	struct json_object *json = json_tokener_parse(text);
	uint8_t *head;
	size_t len;

	if (message_encode(session, json, BLOB_LEN, &head, &len))
		abort();
	json_object_put(json);
	memcpy(out, head, len);
	free(head);
	for (int i = 0; i < BLOB_LEN; i++)
		out[len + i] = i * 7;
	return len + BLOB_LEN;
}

FIXTURE_SETUP(message)
{
	memset(&self->d, 0, sizeof(self->d));
	self->len = make(self->bytes, 77, "{\"op\":\"hello\",\"seq\":5}");
}

FIXTURE_TEARDOWN(message)
{
	decoder_clear(&self->d);
}

static int is_hello(struct message *m)
{
	int ok = m->session == 77 && m->blob_len == BLOB_LEN &&
		 json_object_get_int(json_object_object_get(m->json, "seq")) == 5;

	for (int i = 0; ok && i < BLOB_LEN; i++)
		ok = m->blob[i] == (uint8_t)(i * 7);
	message_clear(m);
	return ok;
}

TEST(crc_is_the_usual_one)
{
	EXPECT_EQ(0xcbf43926U, vmbeam_crc32("123456789", 9));
}

TEST_F(message, pieces_of_every_size)
{
	struct message m;

	for (size_t piece = 1; piece <= self->len; piece++) {
		int found = 0;

		for (size_t at = 0; at < self->len; at += piece) {
			size_t n = self->len - at < piece ? self->len - at : piece;

			ASSERT_EQ(0, decoder_feed(&self->d, self->bytes + at, n));
			while (decoder_next(&self->d, &m) == 1)
				found += is_hello(&m);
		}
		ASSERT_EQ(1, found);
		ASSERT_EQ(0, decoder_partial(&self->d));
	}
	EXPECT_EQ(0, self->d.skipped);
}

TEST_F(message, tail_of_a_dead_peer_is_passed_over)
{
	struct message m;

	for (size_t cut = 1; cut < self->len; cut++) {
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes + cut, self->len - cut));
		ASSERT_EQ(0, decoder_next(&self->d, &m));
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, self->len));
		ASSERT_EQ(1, decoder_next(&self->d, &m));
		ASSERT_EQ(1, is_hello(&m));
	}
}

TEST_F(message, truncated_at_every_byte_never_yields)
{
	struct message m;

	for (size_t cut = 0; cut < self->len; cut++) {
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, cut));
		ASSERT_EQ(0, decoder_next(&self->d, &m));
		ASSERT_EQ(cut != 0, decoder_partial(&self->d));
		decoder_clear(&self->d);
	}
}

TEST_F(message, one_flipped_bit_in_the_header)
{
	struct message m;

	for (int bit = 0; bit < MESSAGE_HEADER_LEN * 8; bit++) {
		self->bytes[bit / 8] ^= 1 << bit % 8;
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, self->len));
		ASSERT_EQ(0, decoder_next(&self->d, &m));
		self->bytes[bit / 8] ^= 1 << bit % 8;
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, self->len));
		ASSERT_EQ(1, decoder_next(&self->d, &m));
		ASSERT_EQ(1, is_hello(&m));
	}
}

TEST_F(message, garbage_with_halves_of_the_magic)
{
	static const char junk[] = "VMBEAMVMBEAM\r\nVMBEAM\rVVMBEAM\r\n and so on VMBEA";
	struct message m;

	ASSERT_EQ(0, decoder_feed(&self->d, junk, sizeof(junk) - 1));
	ASSERT_EQ(0, decoder_next(&self->d, &m));
	ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, self->len));
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	ASSERT_EQ(1, is_hello(&m));
	EXPECT_EQ(sizeof(junk) - 1, self->d.skipped);
}

TEST_F(message, random_garbage)
{
	unsigned int seed = 3;
	struct message m;
	uint8_t junk[512];

	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = rand_r(&seed) % 5 ? rand_r(&seed) : "VMBEAM\r\n"[i % 8];
		ASSERT_EQ(0, decoder_feed(&self->d, junk, sizeof(junk)));
		ASSERT_EQ(0, decoder_next(&self->d, &m));
		ASSERT_EQ(0, decoder_feed(&self->d, self->bytes, self->len));
		ASSERT_EQ(1, decoder_next(&self->d, &m));
		ASSERT_EQ(1, is_hello(&m));
	}
}

static void patch(uint8_t *bytes, size_t at, uint32_t value)
{
	uint32_t crc;

	memcpy(bytes + at, &value, 4);
	crc = vmbeam_crc32(bytes, 20);
	memcpy(bytes + 20, &crc, 4);
}

TEST_F(message, lengths_beyond_the_limit_are_no_header)
{
	uint8_t saved[1024];
	struct message m;

	memcpy(saved, self->bytes, sizeof(saved));
	patch(self->bytes, 12, MESSAGE_MAX_JSON + 1);
	decoder_feed(&self->d, self->bytes, self->len);
	EXPECT_EQ(0, decoder_next(&self->d, &m));
	decoder_feed(&self->d, saved, self->len);
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(1, is_hello(&m));

	memcpy(self->bytes, saved, sizeof(saved));
	patch(self->bytes, 16, MESSAGE_MAX_BLOB + 1);
	decoder_feed(&self->d, self->bytes, self->len);
	EXPECT_EQ(0, decoder_next(&self->d, &m));
	decoder_feed(&self->d, saved, self->len);
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(1, is_hello(&m));
}

TEST_F(message, bad_json_is_handed_out_without_it)
{
	static const char *const texts[] = {
		"{}", "[]", "{", "{}x", "7", "\"a\"", "{\"a\":1}{\"b\":2}", "", "{\"a\":nan", "{\"a\":\"\xff\"}",
	};
	struct message m;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t n = strlen(texts[i]);
		int good = i == 0;

		patch(self->bytes, 16, 0);
		patch(self->bytes, 12, n);
		memcpy(self->bytes + MESSAGE_HEADER_LEN, texts[i], n);
		decoder_feed(&self->d, self->bytes, MESSAGE_HEADER_LEN + n);
		ASSERT_EQ(1, decoder_next(&self->d, &m)) TH_LOG("%s", texts[i]);
		EXPECT_EQ(good, !!m.json) TH_LOG("%s", texts[i]);
		message_clear(&m);
		ASSERT_EQ(0, decoder_partial(&self->d)) TH_LOG("%s", texts[i]);
	}
}

/* Whoever sent it is told by its session. Its blob is passed over: the next message begins behind it. */
TEST_F(message, behind_bad_json_comes_the_next_message)
{
	uint8_t bad[1024];
	struct message m;

	memcpy(bad, self->bytes, self->len);
	bad[MESSAGE_HEADER_LEN] = '<';
	decoder_feed(&self->d, bad, self->len);
	decoder_feed(&self->d, self->bytes, self->len);
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(NULL, m.json);
	EXPECT_EQ(NULL, m.blob);
	EXPECT_EQ(0, m.blob_len);
	EXPECT_NE(0, m.session);
	message_clear(&m);
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(1, is_hello(&m));
}

/* What C takes for the end of a text is none. */
TEST_F(message, json_with_something_behind_a_nul_is_bad)
{
	static const char text[] = "{}\0{}";
	struct message m;

	patch(self->bytes, 16, 0);
	patch(self->bytes, 12, sizeof(text) - 1);
	memcpy(self->bytes + MESSAGE_HEADER_LEN, text, sizeof(text) - 1);
	decoder_feed(&self->d, self->bytes, MESSAGE_HEADER_LEN + sizeof(text) - 1);
	EXPECT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(NULL, m.json);
	message_clear(&m);
}

TEST_F(message, deep_json_is_bad)
{
	uint8_t *bytes = calloc(1, MESSAGE_HEADER_LEN + 60000);
	struct message m;

	memcpy(bytes, self->bytes, MESSAGE_HEADER_LEN);
	patch(bytes, 16, 0);
	patch(bytes, 12, 60000);
	memset(bytes + MESSAGE_HEADER_LEN, '[', 60000);
	decoder_feed(&self->d, bytes, MESSAGE_HEADER_LEN + 60000);
	EXPECT_EQ(1, decoder_next(&self->d, &m));
	EXPECT_EQ(NULL, m.json);
	free(bytes);
}

TEST_F(message, too_large_to_encode)
{
	struct json_object *json = json_object_new_object();
	char *text = malloc(MESSAGE_MAX_JSON + 1);
	uint8_t *buf;
	size_t len;

	EXPECT_EQ(-EMSGSIZE, message_encode(1, json, MESSAGE_MAX_BLOB + 1, &buf, &len));
	memset(text, 'x', MESSAGE_MAX_JSON);
	text[MESSAGE_MAX_JSON] = 0;
	json_object_object_add(json, "text", json_object_new_string(text));
	EXPECT_EQ(-EMSGSIZE, message_encode(1, json, 0, &buf, &len));
	json_object_put(json);
	free(text);
}

/* The other side could not parse it: better here than there. */
TEST_F(message, what_is_not_utf8_is_not_encoded)
{
	struct json_object *json = json_object_new_object();
	uint8_t *buf;
	size_t len;

	json_object_object_add(json, "name", json_object_new_string("malm\xe9"));
	EXPECT_EQ(-EILSEQ, message_encode(1, json, 0, &buf, &len));
	json_object_put(json);
}

/* As characters: json-c writes them so, and not escaped. */
TEST_F(message, characters_beyond_ascii)
{
	struct json_object *json = json_object_new_object();
	struct message m;
	uint8_t *buf;
	size_t len;

	json_object_object_add(json, "name", json_object_new_string("malm\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b"));
	ASSERT_EQ(0, message_encode(1, json, 0, &buf, &len));
	ASSERT_EQ(0, decoder_feed(&self->d, buf, len));
	free(buf);
	ASSERT_EQ(1, decoder_next(&self->d, &m));
	ASSERT_NE(NULL, m.json);
	EXPECT_TRUE(json_object_equal(json, m.json));
	message_clear(&m);
	json_object_put(json);
}

TEST_HARNESS_MAIN
