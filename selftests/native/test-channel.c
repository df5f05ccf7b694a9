// SPDX-License-Identifier: GPL-2.0
/* Channels: limits, a peer that goes away, large blobs against a slow reader, and draining. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "kselftest_harness.h"

FIXTURE(channel) {
	struct channel a, b;
	struct json_object *json;
};

FIXTURE_SETUP(channel)
{
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	ASSERT_EQ(0, channel_init(&self->a, fd[0]));
	ASSERT_EQ(0, channel_init(&self->b, fd[1]));
	self->json = json_tokener_parse("{\"op\":\"x\"}");
}

FIXTURE_TEARDOWN(channel)
{
	channel_clear(&self->a);
	channel_clear(&self->b);
	json_object_put(self->json);
}

TEST_F(channel, there_and_back)
{
	struct message m;

	ASSERT_EQ(0, channel_send(&self->a, 9, self->json, "blob", 4, 1000));
	ASSERT_EQ(0, channel_recv(&self->b, &m, 1000));
	EXPECT_EQ(9, m.session);
	EXPECT_EQ(0, memcmp(m.blob, "blob", 4));
	message_clear(&m);
}

TEST_F(channel, limits)
{
	char *blob = calloc(1, MESSAGE_MAX_BLOB);
	struct message m;

	EXPECT_EQ(-ETIMEDOUT, channel_recv(&self->a, &m, 20));
	EXPECT_EQ(-ETIMEDOUT, channel_send(&self->a, 1, self->json, blob, MESSAGE_MAX_BLOB, 20));
	free(blob);
}

/* There is always something to be read from this one, and no message in it. */
TEST_F(channel, a_peer_that_sends_on_and_on_is_not_waited_for_longer)
{
	struct channel endless;
	struct message m;

	ASSERT_EQ(0, channel_init(&endless, open("/dev/zero", O_RDWR)));
	EXPECT_EQ(-ETIMEDOUT, channel_recv(&endless, &m, 100));
	channel_clear(&endless);
}

TEST_F(channel, peer_gone)
{
	struct message m;

	ASSERT_EQ(0, channel_send(&self->a, 9, self->json, NULL, 0, 1000));
	channel_clear(&self->a);
	EXPECT_EQ(0, channel_recv(&self->b, &m, 1000));
	message_clear(&m);
	EXPECT_EQ(-EPIPE, channel_recv(&self->b, &m, 1000));
	EXPECT_EQ(-EPIPE, channel_send(&self->b, 9, self->json, NULL, 0, 1000));
}

TEST_F(channel, large_blob_to_a_slow_reader)
{
	struct message m;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		char *blob = calloc(1, MESSAGE_MAX_BLOB);
		int rc = channel_send(&self->a, 1, self->json, blob, MESSAGE_MAX_BLOB, 5000);

		free(blob);
		_exit(rc != 0);
	}
	usleep(50000);
	EXPECT_EQ(0, channel_recv(&self->b, &m, 5000));
	EXPECT_EQ(MESSAGE_MAX_BLOB, m.blob_len);
	message_clear(&m);
	int status;

	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
}

TEST_F(channel, a_header_in_the_drained_part_is_not_believed)
{
	struct message m;

	ASSERT_EQ(0, channel_send(&self->a, 9, self->json, NULL, 0, 1000));
	ASSERT_EQ(0, channel_drain(&self->b, 50, 1000));
	EXPECT_EQ(-ETIMEDOUT, channel_recv(&self->b, &m, 20));
}

/* The rest of a message whose sender has died never comes: the next one's bytes are not taken for it. */
static void stops_in_the_middle(struct __test_metadata *_metadata, FIXTURE_DATA(channel) *self, int waits, int wait_ms)
{
	struct message m;
	uint8_t *head;
	size_t len;

	ASSERT_EQ(0, message_encode(8, self->json, 100, &head, &len));
	ASSERT_EQ((ssize_t)len, write(self->a.fd, head, len));
	free(head);
	for (int i = 0; i < waits; i++)
		EXPECT_EQ(-ETIMEDOUT, channel_recv(&self->b, &m, wait_ms));
	ASSERT_EQ(0, channel_send(&self->a, 9, self->json, NULL, 0, 1000));
	ASSERT_EQ(0, channel_recv(&self->b, &m, 1000));
	EXPECT_EQ(9, m.session);
	message_clear(&m);
}

TEST_F(channel, a_message_that_stops_in_the_middle_is_given_up)
{
	stops_in_the_middle(_metadata, self, 1, 5500);
}

/* As vmbeamd waits, which looks after other things in between. */
TEST_F(channel, a_message_that_stops_is_given_up_in_short_waits)
{
	stops_in_the_middle(_metadata, self, 28, 200);
}

/* What came of a message before the line was drained is no beginning of the next one. */
TEST_F(channel, the_drained_part_has_no_rest)
{
	struct message m;
	uint8_t *head;
	size_t len;

	ASSERT_EQ(0, message_encode(8, self->json, 100, &head, &len));
	ASSERT_EQ((ssize_t)len, write(self->a.fd, head, len));
	free(head);
	EXPECT_EQ(-ETIMEDOUT, channel_recv(&self->b, &m, 20));
	ASSERT_EQ(0, channel_drain(&self->b, 50, 1000));
	ASSERT_EQ(0, channel_send(&self->a, 9, self->json, NULL, 0, 1000));
	ASSERT_EQ(0, channel_recv(&self->b, &m, 1000));
	EXPECT_EQ(9, m.session);
	message_clear(&m);
}

TEST_HARNESS_MAIN
