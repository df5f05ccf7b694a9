// SPDX-License-Identifier: GPL-2.0
/* Tables: columns hold their place whatever characters are in them, and what is narrow is cut, not wrapped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "show.h"
#include "table.h"
#include "text.h"
#include "kselftest_harness.h"

#define EURO	"\xe2\x82\xac"
#define KANJI	"\xe6\xbc\xa2\xe5\xad\x97"		/* two, each two columns wide */
#define E_ACUTE	"e\xcc\x81"				/* e, and a combining accent */

static char *text;
static size_t len;

static FILE *out(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &len);
}

TEST(width_in_columns)
{
	EXPECT_EQ(0, table_width(""));
	EXPECT_EQ(2, table_width("u1"));
	EXPECT_EQ(1, table_width(EURO));
	EXPECT_EQ(4, table_width(KANJI));
	EXPECT_EQ(1, table_width(E_ACUTE));
	EXPECT_EQ(3, table_width("\xff\xfe\xe2"));
	EXPECT_EQ(3, table_fit(KANJI, 3));
	EXPECT_EQ(6, table_fit(KANJI, 4));
	EXPECT_EQ(strlen(E_ACUTE), table_fit(E_ACUTE "x", 1));
}

/* At every width: exactly that many columns, and no half of a character. */
TEST(cells)
{
	static const char *const names[] = { "", "u1", "a longer name", KANJI KANJI, "x" KANJI EURO E_ACUTE };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t width = 1; width < 20; width++) {
			for (int right = 0; right < 2; right++) {
				FILE *f = out();

				table_cell(f, names[i], width, right);
				fclose(f);
				ASSERT_EQ(width, table_width(text))
					TH_LOG("%s in %zu: \"%s\"", names[i], width, text);
				ASSERT_TRUE(text_is_utf8(text, len));
			}
		}
	}
}

static void fill(struct table *t)
{
	static const char *const headings[] = { "NAME", ">SIZE", "EMPTY", "WHY" };
	static const char *const cells[] = {
		"u1", "1", "", "because of this and that and a long story", KANJI, "1000", "", "no",
		"a\nb\x1b[2J", "7", "", "",
	};

	table_init(t, headings, 4);
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		table_add(t, "%s", cells[i]);
}

TEST(columns_stand_under_each_other)
{
	struct table t;
	FILE *f = out();

	fill(&t);
	table_print(&t, f, 0);
	fclose(f);
	EXPECT_STREQ("NAME           SIZE  WHY\n"
		     "u1                1  because of this and that and a long story\n"
		     KANJI "           1000  no\n"
		     "a\\x0ab\\x1b[2J     7\n", text);
}

TEST(a_narrow_terminal)
{
	for (size_t width = 60; width > 30; width--) {
		struct table t;
		FILE *f = out();
		char *line;

		fill(&t);
		table_print(&t, f, width);
		fclose(f);
		for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			ASSERT_GE(width, table_width(line))
				TH_LOG("%s", line ?: "");
	}
	/* So narrow that it makes no sense: it is too wide then, and ends. */
	struct table t;
	FILE *f = out();

	fill(&t);
	table_print(&t, f, 1);
	fclose(f);
	EXPECT_NE(NULL, strstr(text, "u1"));
}

#define SHOW(function, json, ...) do {						\
	struct json_object *object = json_tokener_parse(json);			\
	FILE *stream = out();							\
										\
	function(stream, object, ##__VA_ARGS__);				\
	fclose(stream);								\
	json_object_put(object);						\
} while (0)

static const char list[] =
	"{\"hostvms\":[{\"name\":\"hv1\",\"agent\":true,\"guests\":["
	"{\"guest\":\"u1\",\"state\":\"running\",\"memory_mib\":256,\"vcpus\":2,\"disks\":1,\"vifs\":1,\"movable\":true},"
	"{\"guest\":\"malm\xc3\xa9\",\"state\":\"paused\",\"memory_mib\":128,\"vcpus\":1,\"disks\":0,\"vifs\":2,"
	"\"movable\":false,\"reasons\":[\"it is paused\",\"it has a PCI device\"],\"home\":\"hv2\"}]},"
	"{\"name\":\"hv2\",\"agent\":false}]}";

TEST(the_list)
{
	SHOW(show_list, list, 0, false);
	EXPECT_STREQ("HOST VM  GUEST VM  STATE    MIB  VCPUS  DISKS  VIFS  HOME  CAN MOVE\n"
		     "hv1      u1        running  256      2      1     1        yes\n"
		     "hv1      malm\xc3\xa9     paused   128      1      0     2  hv2   it is paused\n"
		     "hv2                           -      -      -     -        its agent does not answer\n", text);
	SHOW(show_list, list, 0, true);
	EXPECT_NE(NULL, strstr(text, "                    it has a PCI device\n"));
	SHOW(show_list, "{}", 0, false);
	EXPECT_STREQ("no host VM\n", text);
	SHOW(show_list, "{\"hostvms\":[{\"name\":\"hv1\",\"agent\":true,\"guests\":[]}]}", 0, false);
	EXPECT_NE(NULL, strstr(text, "hv1 "));
	EXPECT_NE(NULL, strstr(text, " no guest VM\n"));
}

TEST(names_for_the_shell)
{
	SHOW(show_names, list, "hostvms");
	EXPECT_STREQ("hv1\nhv2\n", text);
	SHOW(show_names, list, "guests");
	EXPECT_STREQ("hv1/u1\nhv1/malm\xc3\xa9\n", text);
	SHOW(show_names, "{\"hostvms\":[{\"away\":[{\"name\":\"u1\"},{\"name\":\"u2\"}]},"
	     "{\"away\":[{\"name\":\"u1\"}]},{}]}", "away");
	EXPECT_STREQ("u1\nu2\n", text);
	SHOW(show_names, "{\"migration\":{\"id\":\"m1\"}}", "migrations");
	EXPECT_STREQ("m1\n", text);
	SHOW(show_names, "{\"migration\":null}", "migrations");
	EXPECT_STREQ("", text);
}

TEST(the_status)
{
	SHOW(show_status,
	     "{\"hostvms\":[{\"name\":\"hv1\",\"domid\":3,\"agent\":true,\"version\":\"0.1\",\"xen\":\"4.20.1\",\"hostvm_xen\":\"4.20\","
	     "\"kernel\":\"6.12\",\"uptime_s\":93600,\"free_mib\":1000,\"guests\":[{},{}]},{\"name\":\"hv2\",\"agent\":false}],"
	     "\"migration\":{\"guest\":\"u1\",\"from\":\"hv1\",\"to\":\"hv2\",\"phase\":\"swap\",\"done\":5,\"total\":10,"
	     "\"unit\":\"frames\"},\"maintenance\":{\"what\":\"maintain\",\"from\":\"hv1\",\"to\":\"hv2\",\"step\":\"evacuate\","
	     "\"guests\":[{\"guest\":\"u2\",\"where\":\"hv1\",\"error\":\"no memory\"}]},"
	     "\"waiting\":[\"u2 could not leave hv1; vmbeam maintain --resume tries again\"]}", 0);
	EXPECT_STREQ("HOST VM  DOMID  XEN     KERNEL       UP  FREE MIB  GUEST VMS  AGENT\n"
		     "hv1          3  4.20.1  6.12    1 d 2 h      1000          2  0.1\n"
		     "hv2          -  -       -             -         -          -  does not answer\n"
		     "under way: u1 from hv1 to hv2, swap, 5 of 10 frames\n"
		     "under way: the maintenance of hv1 via hv2, step evacuate (the guest VMs leave)\n"
		     "  u2: hv1, no memory\n"
		     "waits for you: u2 could not leave hv1; vmbeam maintain --resume tries again\n", text);
	SHOW(show_status,
	     "{\"migration\":{\"id\":\"m7\",\"guest\":\"u1\",\"from\":\"hv1\",\"to\":\"hv2\",\"phase\":\"swap\",\"done\":2560,"
	     "\"total\":5120,\"unit\":\"frames\",\"phase_ms\":2000,\"waiting_for\":\"hv2: no agent\",\"tries\":3,"
	     "\"next_try_ms\":1500},\"waiting\":[\"hv2: no agent\"],\"last\":{\"id\":\"m6\",\"guest\":\"u2\",\"from\":\"hv2\","
	     "\"to\":\"hv1\",\"outcome\":\"lost\",\"lost\":\"it was destroyed\"}}", 0);
	EXPECT_NE(NULL, strstr(text,
			       "under way: u1 from hv1 to hv2, swap, 2560 of 5120 frames, 5.0 MiB/s, 0:02 left (m7)\n"
			       "  not finished: hv2: no agent\n"
			       "  tried 3 times, and again in 1.5 s\n"
			       "last: u2 from hv2 to hv1, lost (m6)\n"
			       "  lost: it was destroyed\n"));
	SHOW(show_status,
	     "{\"maintenance\":{\"id\":\"m8\",\"what\":\"return\",\"from\":\"hv2\",\"to\":\"hv1\","
	     "\"step\":\"return\","
	     "\"guests\":[{\"guest\":\"u2\",\"where\":\"none\"},{\"guest\":\"u3\",\"where\":\"hv1\"}]}}", 0);
	EXPECT_NE(NULL, strstr(text, "  u2: on neither host VM\n  u3: hv1\n"));
	EXPECT_NE(NULL, strstr(text, "under way: the return from hv2 to hv1, step return (the guest VMs come home) "
			       "(m8)\n"));
	SHOW(show_status, "{\"warnings\":[\"u1 runs on hv1, which it has left\"]}", 0);
	EXPECT_NE(NULL, strstr(text, "warning: u1 runs on hv1, which it has left\nnothing is under way\n"));
	SHOW(show_status, "{\"hostvms\":[{\"name\":\"hv1\"}]}", 0);
	EXPECT_EQ(NULL, strstr(text, "does not answer"));
	SHOW(show_status, "{\"hostvms\":[]}", 0);
	EXPECT_NE(NULL, strstr(text, "nothing is under way\n"));
}

TEST(the_history)
{
	setenv("TZ", "UTC", 1);
	tzset();
	SHOW(show_history,
	     "[{\"kind\":\"migration\",\"guest\":\"u1\",\"from\":\"hv1\",\"to\":\"hv2\",\"outcome\":\"done\","
	     "\"ended\":1764000000,\"downtime_ms\":120.4,\"total_ms\":4321.0,\"frames\":{\"swapped\":100,\"kept\":3,\"exchanged\":0}},"
	     "{\"kind\":\"migration\",\"guest\":\"u2\",\"from\":\"hv1\",\"to\":\"hv2\",\"outcome\":\"refused\",\"ended\":1764000060,"
	     "\"total_ms\":15.0,\"frames\":{\"swapped\":0},\"error\":\"hv2: no\\nmemory\"},"
	     "{\"kind\":\"maintenance\",\"what\":\"maintain\",\"from\":\"hv1\",\"to\":\"hv2\",\"outcome\":\"done\",\"ended\":1764003600,"
	     "\"down_ms\":60000,\"total_ms\":100000,\"guests\":[{},{},{}]}]", 0);
	EXPECT_STREQ("ENDED             WHAT      GUEST VM     FROM  TO   OUTCOME  DOWNTIME     TOOK"
		     "  SWAPPED  KEPT  EXCHANGED  WHY\n"
		     "2025-11-24 16:00  migrate   u1           hv1   hv2  done       120 ms    4.3 s      100     3          0\n"
		     "2025-11-24 16:01  migrate   u2           hv1   hv2  refused              0.0 s"
		     "                            hv2: no\\x0amemory\n"
		     "2025-11-24 17:00  maintain  3 guest VMs  hv1   hv2  done     60000 ms  100.0 s\n", text);
	SHOW(show_history, "[]", 0);
	EXPECT_STREQ("nothing yet\n", text);
}

TEST_HARNESS_MAIN
