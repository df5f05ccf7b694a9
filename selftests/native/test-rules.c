// SPDX-License-Identifier: GPL-2.0
/* What a guest VM needs against what is offered: the rules. */
#include <stdio.h>
#include <string.h>

#include "js.h"
#include "rules.h"
#include "kselftest_harness.h"

static struct sides sides = { .guest = "u1", .from = "hv1", .to = "hv2", .clock_limit_ms = 60000 };

static struct json_object *parse(const char *format)
{
	char text[2000];
	size_t i;

	/* Single quotes, for the sake of whoever reads this. */
	snprintf(text, sizeof(text), "%s", format);
	for (i = 0; text[i]; i++)
		if (text[i] == '\'')
			text[i] = '"';
	return json_tokener_parse(text);
}

static struct finding compare(const char *need, const char *offer)
{
	struct json_object *a = parse(need), *b = parse(offer);
	struct finding f;

	rule_compare(a, b, &sides, &f);
	json_object_put(a);
	json_object_put(b);
	return f;
}

#define EXPECT_OFFERED(need, offer) do { \
	struct finding f_ = compare(need, offer); \
	EXPECT_EQ(VERDICT_OFFERED, f_.verdict) TH_LOG("%s", f_.why); \
	EXPECT_STREQ("", f_.why); \
} while (0)

#define EXPECT_FINDING(expected, said, need, offer) do { \
	struct finding f_ = compare(need, offer); \
	EXPECT_EQ(expected, f_.verdict) TH_LOG("%s", f_.why); \
	EXPECT_TRUE(strstr(f_.why, said)) TH_LOG("%s", f_.why); \
} while (0)

#define EXPECT_WARNING(said, need, offer) EXPECT_FINDING(VERDICT_WARNING, said, need, offer)
#define EXPECT_REFUSED(said, need, offer) EXPECT_FINDING(VERDICT_REFUSED, said, need, offer)

#define MEMORY(held, max, target) "{'kind':'memory','held_kib':" #held ",'max_kib':" #max ",'target_kib':" #target "}"

TEST(memory)
{
	EXPECT_OFFERED(MEMORY(262144, 263168, 262144), "{'kind':'memory','free_kib':300000}");
	EXPECT_REFUSED("hv2: 275 MiB of memory are needed for u1 and 257 MiB are free:",
		       MEMORY(262144, 263168, 262144),
		       "{'kind':'memory','free_kib':263168}");
	EXPECT_REFUSED("MiB are free:", MEMORY(1, 1, 1), "{'kind':'memory'}");
}

/* U20: told to give memory back, and has not done so. */
TEST(memory_beyond_the_target)
{
	EXPECT_REFUSED("hv1: u1 holds 256 MiB of memory and its target is 128 MiB", MEMORY(262144, 132096, 131072),
		       "{'kind':'memory','free_kib':1048576}");
	EXPECT_REFUSED("275 MiB of memory are needed", MEMORY(263168, 132096, 262144),
		       "{'kind':'memory','free_kib':200000}");
}

TEST(vcpus_and_their_cpus)
{
	EXPECT_OFFERED("{'kind':'vcpus','number':2,'online':2}", "{'kind':'vcpus','cpus':'0-1'}");
	EXPECT_WARNING("3 vCPUs online, and hv2 has 2 CPUs", "{'kind':'vcpus','number':4,'online':3}",
		       "{'kind':'vcpus','cpus':'1,4'}");
}

TEST(cpupool)
{
	EXPECT_OFFERED("{'kind':'cpupool','name':'fast'}", "{'kind':'cpupool','name':'fast','cpus':'2'}");
	EXPECT_REFUSED("hv2: there is no cpupool called fast, in which", "{'kind':'cpupool','name':'fast'}",
		       "{'kind':'cpupool'}");
	EXPECT_REFUSED("no cpupool called fast", "{'kind':'cpupool','name':'fast'}", "null");
	EXPECT_REFUSED("hv2: the cpupool fast, in which u1 runs on hv1, has no CPUs:",
		       "{'kind':'cpupool','name':'fast'}", "{'kind':'cpupool','name':'fast','cpus':''}");
}

TEST(pins)
{
	EXPECT_OFFERED("{'kind':'pin','id':'1','hard':'0-1','soft':'all'}", "{'kind':'pin','cpus':'0-3'}");
	EXPECT_OFFERED("{'kind':'pin','id':'1','hard':'all','soft':'7'}", "{'kind':'pin','cpus':'0-3'}");
	EXPECT_REFUSED("vCPU 1 of u1 is pinned to CPU 4,6-7, and there are only 0-3:",
		       "{'kind':'pin','id':'1','hard':'4,6-7','soft':'all'}", "{'kind':'pin','cpus':'0-3'}");
	EXPECT_WARNING("has only some of these (0-3)", "{'kind':'pin','id':'1','hard':'2-5','soft':'all'}",
		       "{'kind':'pin','cpus':'0-3'}");
}

TEST(cpu_features_by_name)
{
	/* A PV guest VM on AMD, and its host VM: 0x0183f3ff of word 2 repeats word 0. */
	EXPECT_OFFERED("{'kind':'cpu','features':[25424895,0,562295807]}",
		       "{'kind':'cpu','features':[25424895,0,536870912]}");
	EXPECT_REFUSED("hv2: the CPU lacks what u1 may use: syscall", "{'kind':'cpu','features':[0,0,2048]}",
		       "{'kind':'cpu','features':[0,0,25424895]}");
	EXPECT_OFFERED("{'kind':'cpu','features':[67108864,0,0,0,0,32]}",
		       "{'kind':'cpu','features':[4294967295,0,0,0,0,33,1]}");
	EXPECT_REFUSED("hv2: the CPU lacks what u1 may use: sse2, avx2, bit 31 of word 30.",
		       "{'kind':'cpu','features':[67108865,0,0,0,0,32,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2147483648]}",
		       "{'kind':'cpu','features':[1]}");
	EXPECT_REFUSED("hv2: the agent does not say which CPU features", "{'kind':'cpu','features':[1]}",
		       "{'kind':'cpu'}");
	EXPECT_REFUSED("hv1: the agent does not say which CPU features", "{'kind':'cpu'}",
		       "{'kind':'cpu','features':[1]}");
}

#define DISK "{'kind':'vbd','id':'51712','dev':'xvda','target':'/dev/vdb','mode':'w','state':'connected','bytes':1048576,'ids':{'wwid':'naa.1'}}"

TEST(disks)
{
	EXPECT_OFFERED(DISK, "{'kind':'vbd','target':'/dev/vdb','bytes':1048576,'ids':{'wwid':'naa.1','serial':'x'}}");
	EXPECT_REFUSED("it has 1048576 bytes on hv1 and 4096 on hv2", DISK,
		       "{'kind':'vbd','target':'/dev/vdb','bytes':4096}");
	EXPECT_REFUSED("its wwid is naa.1 on hv1 and naa.2 on hv2", DISK,
		       "{'kind':'vbd','target':'/dev/vdb','bytes':1048576,'ids':{'wwid':'naa.2'}}");
	EXPECT_REFUSED("cannot be written to", DISK,
		       "{'kind':'vbd','target':'/dev/vdb','bytes':1048576,'read_only':true}");
	EXPECT_REFUSED("does not describe the disk /dev/vdb", DISK, "{'kind':'vbd'}");
}

TEST(a_warning_is_not_told_beside_a_refusal)
{
	struct finding f = compare("{'kind':'vbd','id':'1','dev':'xvda','target':'/dev/b','state':'idle','bytes':8192}",
				   "{'kind':'vbd','target':'/dev/b','bytes':4096}");

	EXPECT_EQ(VERDICT_REFUSED, f.verdict);
	EXPECT_TRUE(strstr(f.why, "4096 on hv2"));
	EXPECT_FALSE(strstr(f.why, "does not use")) TH_LOG("%s", f.why);
}

/* What a side could not look at is said, and not compared with what was not told. */
TEST(problems_of_either_side)
{
	EXPECT_REFUSED("hv2: it is mounted", DISK, "{'kind':'vbd','problems':['it is mounted']}");
	EXPECT_REFUSED("hv1: a; hv1: b; hv2: c", "{'kind':'vbd','problems':['a','b']}",
		       "{'kind':'vbd','problems':['c']}");
	EXPECT_REFUSED("does not name", "{'kind':'vbd','problems':[7]}", "null");
}

#define VIF(more) "{'kind':'vif','id':'0','mac':'00:16:3e:01:02:03','bridge':'xenbr0','state':'connected'" more "}"

/* U24, U26: it goes, and what will be missing is said. */
TEST(network_cards)
{
	EXPECT_OFFERED(VIF(",'tc':[],'behind':[]"), "{'kind':'vif','bridge':'xenbr0'}");
	EXPECT_WARNING("has a queueing discipline (netem) on hv1", VIF(",'tc':['netem']"),
		       "{'kind':'vif','bridge':'xenbr0'}");
	/* The backend's interface is another one then, too. */
	EXPECT_WARNING("Set it again on hv2, or on hv1 if the migration is rolled back", VIF(",'tc':['netem']"),
		       "{'kind':'vif','bridge':'xenbr0'}");
	EXPECT_WARNING("2 more addresses are behind the network card", VIF(",'behind':['aa','bb']"),
		       "{'kind':'vif','bridge':'xenbr0'}");
	EXPECT_WARNING("filters VLANs and the one on the destination does not", VIF(",'vlan_filtering':true"),
		       "{'kind':'vif','bridge':'xenbr0'}");
	EXPECT_WARNING("on hv2 filters VLANs and the one on hv1 does not", VIF(""),
		       "{'kind':'vif','bridge':'xenbr0','vlan_filtering':true}");
	EXPECT_WARNING("; ", VIF(",'tc':['netem'],'behind':['aa']"), "{'kind':'vif','bridge':'xenbr0'}");
}

/* U21 */
TEST(devices_that_come_and_go)
{
	EXPECT_REFUSED("hv1: the network card 0, m, is being detached from u1",
		       "{'kind':'vif','id':'0','mac':'m','state':'detaching'}", "null");
	EXPECT_WARNING("the kernel of u1 does not use the network card 0, m,",
		       "{'kind':'vif','id':'0','mac':'m','state':'idle'}", "null");
}

TEST(files)
{
	EXPECT_OFFERED("{'kind':'file','id':'kernel','path':'/k'}", "{'kind':'file','path':'/k'}");
	EXPECT_REFUSED("hv2: the kernel of u1, /k, is missing (gone)", "{'kind':'file','id':'kernel','path':'/k'}",
		       "{'kind':'file','missing':'gone'}");
	EXPECT_REFUSED("\"allow_missing_files\"", "{'kind':'file','id':'kernel','path':'/k'}", "null");
	sides.allow_missing_files = true;
	EXPECT_WARNING("hv2: the kernel of u1, /k, is missing (gone)", "{'kind':'file','id':'kernel','path':'/k'}",
		       "{'kind':'file','missing':'gone'}");
}

#define CLOCK(real, seen) "{'kind':'clock','realtime_ns':" #real ",'seen_ns':" #seen "}"

/* The second was asked 5 s later. */
TEST(clocks)
{
	EXPECT_OFFERED(CLOCK(1000000000000, 7000000000), CLOCK(1005900000000, 12000000000));
	EXPECT_WARNING("the clock of hv2 is 2.0 s ahead of that of hv1", CLOCK(1000000000000, 7000000000),
		       CLOCK(1007000000000, 12000000000));
	EXPECT_REFUSED("the clock of hv2 is 95.0 s behind that of hv1: the time of u1 would jump",
		       CLOCK(1000000000000, 7000000000),
		       CLOCK(910000000000, 12000000000));
}

TEST(what_no_rule_knows_is_refused_by_name)
{
	EXPECT_REFUSED("u1 needs something (teapot) that this version of vmbeamd has no rule for",
		       "{'kind':'teapot','id':'7'}", "{'kind':'teapot'}");
	EXPECT_REFUSED("has no rule for", "{}", "{}");
	EXPECT_REFUSED("has no rule for", "7", "null");
	EXPECT_REFUSED("hv1: nomigrate=1", "{'kind':'key','id':'disable_migrate','problems':['nomigrate=1']}", "null");
	EXPECT_REFUSED("\"x\", which cannot be moved", "{'kind':'key','id':'x'}", "{'kind':'key','id':'x'}");
}

/* --- once more -------------------------------------------------------------------------------------------------- */


#define ITEMS(vcpus, pin, cpu, disk) \
	"{'kind':'vcpus','number':2," vcpus "}," pin "{'kind':'cpu','features':[" cpu "]}" disk "]"
#define NOW(vcpus, pin, cpu, disk) "[" ITEMS(vcpus, pin, cpu, disk)
#define PIN "{'kind':'pin','id':'0','hard':'1','soft':'all'},"
#define DISK_WITH(more) ",{'kind':'vbd','id':'51712','dev':'xvda','target':'/dev/vdb','mode':'w'" more "}"
#define XVDA DISK_WITH("")

static const char agreed[] = "[{'kind':'memory','held_kib':1}," ITEMS("'online':2", PIN, "3", XVDA);

typedef int (*compare_fn)(struct json_object *agreed, struct json_object *now, const struct sides *s,
			  struct finding *f);

static const char *again(compare_fn compare_lists, const char *now)
{
	struct json_object *a = parse(agreed), *b = parse(now);
	static struct finding f;
	int rc = compare_lists(a, b, &sides, &f);

	json_object_put(a);
	json_object_put(b);
	return rc ? f.why : "";
}


TEST(the_source_after_the_suspend)
{
	EXPECT_STREQ("", again(rule_still, NOW("'online':2", PIN, "3", XVDA)));
	EXPECT_TRUE(strstr(again(rule_still, NOW("'online':1", PIN, "3", XVDA)),
			   "has another online than at the check"));
	EXPECT_TRUE(strstr(again(rule_still, NOW("'online':2", "", "3", XVDA)), "was detached from u1"));
	EXPECT_TRUE(strstr(again(rule_still, NOW("'online':2", PIN, "3", "")),
			   "the disk xvda, /dev/vdb, was detached from u1"));
	EXPECT_TRUE(strstr(again(rule_still, NOW("'online':2", PIN, "3", XVDA ",{'kind':'teapot','id':'7'}")),
			   "the teapot 7 was attached"));
	EXPECT_TRUE(strstr(again(rule_still, NOW("'online':2", PIN, "3", DISK_WITH(",'state':'detaching'"))),
			   "is being detached"));
}

#define SETTINGS(name, target, max, vcpus) \
	"[{'kind':'name','name':'" name "'},{'kind':'target','target_kib':" target ",'static_max_kib':" max "}," \
	"{'kind':'available','vcpus':'" vcpus "'}]"

static const char *changed(compare_fn compare_lists, const char *now)
{
	struct json_object *a = parse(SETTINGS("u1", "400", "500", "0-1")), *b = parse(now);
	static struct finding f;
	int rc = compare_lists(a, b, &sides, &f);

	json_object_put(a);
	json_object_put(b);
	return rc ? f.why : "";
}

/* They are compared on the source alone. */
TEST(settings)
{
	EXPECT_STREQ("", changed(rule_still, SETTINGS("u1", "400", "500", "0-1")));
	EXPECT_TRUE(strstr(changed(rule_still, SETTINGS("u9", "400", "500", "0-1")),
			   "hv1: the name of u1 was changed from u1 to u9 after the check"));
	EXPECT_TRUE(strstr(changed(rule_still, SETTINGS("u1", "300", "500", "0-1")),
			   "from 400 of at most 500 KiB to 300 of at most 500 KiB"));
	EXPECT_TRUE(strstr(changed(rule_still, SETTINGS("u1", "400", "600", "0-1")),
			   "from 400 of at most 500 KiB to 400 of at most 600 KiB"));
	EXPECT_TRUE(strstr(changed(rule_still, SETTINGS("u1", "400", "500", "1")),
			   "the list of available vCPUs of u1 was changed from 0-1 to 1"));
	EXPECT_STREQ("", changed(rule_restored, SETTINGS("u1", "300", "600", "")));
}

/* Its pins are numbers of its own CPUs, and how many vCPUs are online is in its state. */
TEST(the_restored_domain)
{
	EXPECT_STREQ("", again(rule_restored, NOW("'online':0", "", "7", XVDA)));
	EXPECT_TRUE(strstr(again(rule_restored, NOW("'online':2", PIN, "3", "")),
			   "hv2: the restored u1 lacks the disk xvda"));
	EXPECT_TRUE(strstr(again(rule_restored, NOW("'online':2", PIN, "2", XVDA)),
			   "took CPU features from the restored u1 that it has on hv1: fpu"));
}

TEST_HARNESS_MAIN
