// SPDX-License-Identifier: GPL-2.0
/* Text that others wrote: nothing of it gives orders to a terminal, forges a line or breaks a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "text.h"
#include "kselftest_harness.h"

TEST(utf8_and_what_is_none)
{
	static const char *const good[] = {
		"", "u1", "malm\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
	};
	static const char *const bad[] = {
		"\xe9", "malm\xe9", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\x80", "\xc0\x80", "\xe0\x80\x80",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_TRUE(text_is_utf8(good[i], strlen(good[i])))
			TH_LOG("%zu", i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_FALSE(text_is_utf8(bad[i], strlen(bad[i])))
			TH_LOG("%zu", i);
	}
}

TEST(what_a_terminal_would_obey_is_escaped)
{
	char out[200];

	text_clean(out, sizeof(out), "a\n<3>forged\x1b[31m\x7f\xc2\x9b\xe2\x80\xae\xe9 malm\xc3\xa9 a\\b");
	EXPECT_STREQ("a\\x0a<3>forged\\x1b[31m\\x7f\\xc2\\x9b\\xe2\\x80\\xae\\xe9 malm\xc3\xa9 a\\b", out);
	EXPECT_FALSE(text_is_clean("a\n"));
	EXPECT_FALSE(text_is_clean("malm\xe9"));
	EXPECT_TRUE(text_is_clean("malm\xc3\xa9 \\"));
}

TEST(words_need_no_quotes)
{
	EXPECT_TRUE(text_is_word("1b4e28ba-2fa1-11d2-883f-0016d3cca427"));
	EXPECT_TRUE(text_is_word(""));
	EXPECT_FALSE(text_is_word("a;b"));
	EXPECT_FALSE(text_is_word("a b"));
	EXPECT_FALSE(text_is_word("$a"));
	EXPECT_FALSE(text_is_word("-rf"));
	EXPECT_FALSE(text_is_word("malm\xc3\xa9"));
}

/* At every size: whole characters, an end that can be seen, and nothing behind it. */
TEST(what_does_not_fit_is_cut_between_characters)
{
	static const char text[] = "malm\xc3\xa9 \xe2\x82\xac\xf0\x9f\x98\x80 \xe9\n and so on";
	char out[64], all[64];

	text_clean(all, sizeof(all), text);
	for (size_t size = 8; size <= strlen(all) + 1; size++) {
		memset(out, 'x', sizeof(out));
		text_clean(out, size, text);
		ASSERT_LT(strlen(out), size);
		EXPECT_EQ('x', out[size]);
		EXPECT_TRUE(text_is_utf8(out, strlen(out)));
		if (size <= strlen(all))
			EXPECT_STREQ("...", out + strlen(out) - 3);
		memset(out, 'x', sizeof(out));
		text_short(out, size, text);
		ASSERT_LT(strlen(out), size);
		EXPECT_TRUE(text_is_utf8(out, strlen(out)));
		if (size <= strlen(all))
			EXPECT_TRUE(strstr(out, "..."));
	}
	text_short(out, sizeof(out), text);
	EXPECT_STREQ(all, out);
}

TEST(a_short_form_has_both_ends)
{
	char name[201] = "", out[TEXT_SHORT];

	memset(name, 'a', 200);
	memcpy(name, "begin", 5);
	memcpy(name + 195, "right", 5);
	text_short(out, sizeof(out), name);
	EXPECT_EQ(0, strncmp(out, "begin", 5));
	EXPECT_STREQ("right", out + strlen(out) - 5);
}

TEST(no_two_names_have_the_same_form)
{
	static const char *const names[] = {
		"malm\xe9", "malm\\xe9", "malm\\\\xe9", "malm\xc3\xa9", "a\nb", "a\\x0ab",
	};
	char *forms[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		forms[i] = text_name(names[i]);
		EXPECT_TRUE(text_is_clean(forms[i]));
		for (size_t k = 0; k < i; k++)
			EXPECT_STRNE(forms[k], forms[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *back = text_unname(forms[i]);

		EXPECT_STREQ(names[i], back);
		free(back);
	}
	EXPECT_STREQ("malm\\xe9", forms[0]);
	EXPECT_STREQ("malm\\\\xe9", forms[1]);
	EXPECT_STREQ("malm\xc3\xa9", forms[3]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(forms[i]);
}

TEST(an_error_is_clean_whatever_is_in_it)
{
	char *name = malloc(5000);
	struct error e;

	for (size_t i = 0; i + 3 < 5000; i += 3)
		memcpy(name + i, "\xe2\x82\xac", 3);
	name[4998] = 0;
	error_set(&e, "hv1: %s\n%s", "\x1b[2J", name);
	EXPECT_TRUE(text_is_clean(e.text));
	EXPECT_EQ(0, strncmp(e.text, "hv1: \\x1b[2J\\x0a\xe2\x82\xac", 19));
	free(name);
}

TEST_HARNESS_MAIN
