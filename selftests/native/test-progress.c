// SPDX-License-Identifier: GPL-2.0
/* What is shown while something is under way: on a terminal, and where there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "table.h"
#include "kselftest_harness.h"

#define U1_SWAP "{\"event\":\"phase\",\"guest\":\"u1\",\"phase\":\"swap\","

FIXTURE(progress) {
	struct progress p;
	char *text;
	size_t len;
};

FIXTURE_SETUP(progress)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(progress)
{
	progress_clear(&self->p);
	free(self->text);
}

static void event(FIXTURE_DATA(progress) *self, int64_t now_ms, const char *json)
{
	struct json_object *o = json_tokener_parse(json);

	progress_event(&self->p, o, now_ms);
	json_object_put(o);
}

static const char *draw_in(FIXTURE_DATA(progress) *self, size_t width, size_t height, int64_t now_ms)
{
	FILE *f;

	free(self->text);
	self->text = NULL;
	f = open_memstream(&self->text, &self->len);
	progress_draw(&self->p, f, width, height, now_ms);
	fclose(f);
	return self->text;
}

static const char *draw(FIXTURE_DATA(progress) *self, size_t width, int64_t now_ms)
{
	return draw_in(self, width, 24, now_ms);
}

static const char *say(FIXTURE_DATA(progress) *self, const char *json)
{
	struct json_object *o = json_tokener_parse(json);
	FILE *f;

	free(self->text);
	self->text = NULL;
	f = open_memstream(&self->text, &self->len);
	progress_say(f, o);
	fclose(f);
	json_object_put(o);
	return self->text;
}

static void maintenance(FIXTURE_DATA(progress) *self)
{
	event(self, 1000, "{\"event\":\"plan\",\"plan\":{\"guests\":["
	      "{\"guest\":\"u1\",\"uuid\":\"a\",\"way\":\"move\",\"need_kib\":3000},"
	      "{\"guest\":\"malm\xc3\xa9\",\"uuid\":\"b\",\"way\":\"move\",\"need_kib\":1000},"
	      "{\"guest\":\"u3\",\"uuid\":\"c\",\"way\":\"shutdown\",\"need_kib\":1000}]}}");
	event(self, 1000, "{\"event\":\"step\",\"step\":\"evacuate\"}");
}

TEST_F(progress, one_migration)
{
	event(self, 1000, "{\"event\":\"phase\",\"guest\":\"u1\",\"phase\":\"prepare\"}");
	EXPECT_STREQ("\ru1    [##..................]  12 %  prepare\x1b[K\n", draw(self, 60, 1000));
	event(self, 2000, U1_SWAP "\"done\":0,\"total\":5120,\"unit\":\"frames\"}");
	event(self, 4000, U1_SWAP "\"done\":2560,\"total\":5120,\"unit\":\"frames\"}");
	/* The block before is drawn over. 2560 frames are 10 MiB. */
	EXPECT_STREQ("\x1b[1A\ru1    [##############.......]  69 %  swap, 5.0 MiB/s, 0:02 left\x1b[K\n",
		     draw(self, 64, 4000));
	event(self, 5000, "{\"event\":\"outcome\",\"guest\":\"u1\",\"outcome\":\"done\",\"downtime_ms\":123.4}");
	EXPECT_STREQ("\x1b[1A\ru1    [####################] 100 %  done, down for 123 ms\x1b[K\n",
		     draw(self, 62, 5000));
}

/* All of it is the way there and the way back; what is left of the time is of the step, whatever came before. */
TEST_F(progress, there_and_back)
{
	event(self, 1000, "{\"event\":\"plan\",\"plan\":{\"what\":\"maintain\",\"guests\":["
	      "{\"guest\":\"u1\",\"uuid\":\"a\",\"way\":\"move\",\"need_kib\":3000}]}}");
	event(self, 1000, "{\"event\":\"step\",\"step\":\"evacuate\"}");
	event(self, 2000, "{\"event\":\"phase\",\"guest\":\"u1\",\"uuid\":\"a\",\"phase\":\"quiesce\"}");
	EXPECT_EQ(0.25, progress_part(&self->p));
	EXPECT_NE(NULL, strstr(draw(self, 80, 4000), "evacuate, 0 of 1, 0:03 left"));
	event(self, 5000, "{\"event\":\"outcome\",\"guest\":\"u1\",\"uuid\":\"a\",\"outcome\":\"done\"}");
	event(self, 6000, "{\"event\":\"step\",\"step\":\"agent\"}");
	EXPECT_EQ(0.5, progress_part(&self->p));
	EXPECT_EQ(NULL, strstr(draw(self, 80, 500000), "left"));
	event(self, 600000, "{\"event\":\"step\",\"step\":\"return\"}");
	EXPECT_EQ(0.5, progress_part(&self->p));
	event(self, 601000, "{\"event\":\"phase\",\"guest\":\"u1\",\"uuid\":\"a\",\"phase\":\"quiesce\"}");
	EXPECT_EQ(0.75, progress_part(&self->p));
	EXPECT_NE(NULL, strstr(draw(self, 80, 603000), "return, 0 of 1, 0:03 left"));
	event(self, 605000, "{\"event\":\"outcome\",\"guest\":\"u1\",\"uuid\":\"a\",\"outcome\":\"done\"}");
	event(self, 605000, "{\"event\":\"step\",\"step\":\"done\"}");
	EXPECT_EQ(1, progress_part(&self->p));
}

/* Whoever looks late hears which ones have moved. */
TEST_F(progress, one_that_was_there_before)
{
	event(self, 1000, "{\"event\":\"plan\",\"plan\":{\"what\":\"maintain\",\"guests\":["
	      "{\"guest\":\"u1\",\"uuid\":\"a\",\"way\":\"move\",\"need_kib\":3000}]}}");
	event(self, 1000, "{\"event\":\"step\",\"step\":\"run\"}");
	event(self, 1000, "{\"event\":\"there\",\"guest\":\"u1\",\"uuid\":\"a\"}");
	EXPECT_EQ(0.5, progress_part(&self->p));
	EXPECT_NE(NULL, strstr(draw(self, 80, 4000), "run, 1 of 1"));
	EXPECT_STREQ("u1: there already\n", say(self, "{\"event\":\"there\",\"guest\":\"u1\",\"uuid\":\"a\"}"));
}

TEST_F(progress, a_maintenance)
{
	const char *text;

	maintenance(self);
	EXPECT_EQ(2, self->p.nr);
	event(self, 2000, "{\"event\":\"phase\",\"guest\":\"u1\",\"uuid\":\"a\",\"phase\":\"quiesce\"}");
	EXPECT_EQ(0.375, progress_part(&self->p));
	text = draw(self, 80, 4000);
	EXPECT_NE(NULL, strstr(text, "\rmalm\xc3\xa9 ["));
	EXPECT_NE(NULL, strstr(text, "waiting"));
	EXPECT_NE(NULL, strstr(text, "evacuate, 0 of 2, 0:05 left"));
	EXPECT_EQ(3, self->p.drawn);
	event(self, 5000, "{\"event\":\"outcome\",\"guest\":\"u1\",\"uuid\":\"a\",\"outcome\":\"done\"}");
	event(self, 5000, "{\"event\":\"outcome\",\"guest\":\"x\",\"uuid\":\"b\","
	      "\"outcome\":\"rolled-back\",\"error\":\"no\\u001b[2Jmemory\"}");
	EXPECT_EQ(0.75, progress_part(&self->p));
	text = draw(self, 120, 5000);
	EXPECT_EQ(0, strncmp(text, "\x1b[3A", 4));
	EXPECT_NE(NULL, strstr(text, "rolled-back: no\\x1b[2Jmemory"));
	event(self, 6000, "{\"event\":\"waiting\",\"why\":\"vmbeam maintain --resume\"}");
	EXPECT_NE(NULL, strstr(draw(self, 120, 6000), "waiting: vmbeam maintain --resume"));
	/* The way back is a new one. */
	event(self, 7000, "{\"event\":\"step\",\"step\":\"return\"}");
	EXPECT_EQ(0, progress_part(&self->p));
	EXPECT_EQ(NULL, strstr(draw(self, 120, 7000), "waiting: vmbeam"));
}

/* Between two escape sequences there is never more than fits: the terminal must not wrap by itself. */
TEST_F(progress, no_line_is_too_wide)
{
	char name[200] = "{\"event\":\"phase\",\"guest\":\"";

	for (int i = 0; i < 20; i++)
		strcat(name, "\xe6\xbc\xa2");
	strcat(name, "\",\"phase\":\"swap\",\"done\":1,\"total\":3,\"unit\":\"bytes\"}");
	maintenance(self);
	event(self, 1000, name);
	event(self, 1500, "{\"event\":\"outcome\",\"guest\":\"u1\",\"uuid\":\"a\","
	      "\"outcome\":\"rolled-back\",\"error\":\"a very long story of what went wrong\"}");
	for (size_t width = 10; width < 130; width++) {
		char *line;

		draw(self, width, 9000);
		for (line = strtok(self->text, "\n"); line; line = strtok(NULL, "\n")) {
			char *from = strchr(line, '\r') + 1;

			*strstr(from, "\x1b[K") = 0;
			ASSERT_GE(width - 1, table_width(from))
				TH_LOG("%zu: %s", width, from);
		}
	}
}

/* More than fits: the cursor must find the beginning of the block again. */
TEST_F(progress, no_block_is_too_high)
{
	maintenance(self);
	draw_in(self, 80, 24, 1000);
	EXPECT_EQ(3, self->p.drawn);
	event(self, 2000, "{\"event\":\"phase\",\"guest\":\"malm\xc3\xa9\",\"uuid\":\"b\",\"phase\":\"prepare\"}");
	EXPECT_EQ(NULL, strstr(draw_in(self, 80, 3, 2000), "\ru1 "));
	EXPECT_NE(NULL, strstr(self->text, "\rmalm\xc3\xa9 "));
	EXPECT_NE(NULL, strstr(self->text, "\rtotal "));
	EXPECT_EQ(2, self->p.drawn);
	EXPECT_STREQ("\x1b[J", self->text + self->len - 3);
	/* There is room again. */
	EXPECT_EQ(0, strncmp(draw_in(self, 80, 4, 3000), "\x1b[2A\ru1 ", 8));
	EXPECT_EQ(3, self->p.drawn);
	for (size_t height = 0; height < 4; height++) {
		event(self, 4000, U1_SWAP "\"uuid\":\"a\"}");
		draw_in(self, 80, height, 4000);
		EXPECT_GE(2, self->p.drawn);
	}
}

TEST_F(progress, what_makes_no_sense_changes_nothing)
{
	static const char *const odd[] = {
		"{}", "7", "{\"event\":\"dance\"}", "{\"event\":\"phase\"}", "{\"event\":\"plan\"}",
		"{\"event\":\"plan\",\"plan\":7}",
		"{\"event\":\"plan\",\"plan\":{\"guests\":[7,{}]}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		event(self, 1000, odd[i]);
		EXPECT_STREQ("", say(self, odd[i]));
	}
	EXPECT_EQ(0, self->p.nr);
	EXPECT_EQ(0, progress_part(&self->p));
	event(self, 1000, U1_SWAP "\"done\":9,\"total\":3}");
	EXPECT_GE(1.0, progress_part(&self->p));
}

TEST_F(progress, without_a_terminal)
{
	EXPECT_STREQ("", say(self, U1_SWAP "\"done\":1,\"total\":3}"));
	EXPECT_STREQ("u1: swap, 12.3 ms\n", say(self, U1_SWAP "\"ms\":12.34}"));
	EXPECT_STREQ("step: stop (the host VM is shut down)\n", say(self, "{\"event\":\"step\",\"step\":\"stop\"}"));
	EXPECT_STREQ("u1: rolled-back: no\\x1b[2Jmemory\n",
		     say(self, "{\"event\":\"outcome\",\"guest\":\"u1\",\"outcome\":\"rolled-back\","
			 "\"error\":\"no\\u001b[2Jmemory\"}"));
	EXPECT_EQ(NULL, strchr(say(self, "{\"event\":\"waiting\",\"why\":\"x\\u001by\"}"), '\x1b'));
}

TEST_HARNESS_MAIN
