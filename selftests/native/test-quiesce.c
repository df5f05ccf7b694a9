// SPDX-License-Identifier: GPL-2.0
/* Backends that are put back, over made-up drivers and xenstore: what hangs must not keep the guest VM waiting. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "destroy.h"
#include "domain.h"
#include "js.h"
#include "limit.h"
#include "ops.h"
#include "quiesced.h"
#include "restore.h"
#include "rings.h"
#include "store.h"
#include "suspend.h"
#include "work.h"
#include "made-up-request.h"
#include "kselftest_harness.h"

#define DOMID 5

struct backend {
	bool bound, there, waits;
	int state;
};

/* What the children see, too. @order: in which devices were bound. */
static struct host {
	struct backend vbd, vif, vif1;
	bool two;		/* network cards */
	bool runs;		/* the guest VM */
	bool held;		/* the packets of the first one */
	int taken;		/* disks, from their driver */
	char order[20];
	char script[100];
} *h;

static bool is_vif(const struct device *d)
{
	return d->kind[1] == 'i';
}

static struct backend *of(const struct device *d)
{
	return !is_vif(d) ? &h->vbd : d->devid ? &h->vif1 : &h->vif;
}

int domain_read(uint32_t domid, struct domain *d)
{
	memset(d, 0, sizeof(*d));
	d->domid = domid;
	d->suspended = !h->runs;
	return 0;
}

const char *device_name(const struct device *d)
{
	static char name[48];

	snprintf(name, sizeof(name), "%s-%u-%u", d->kind, d->domid, d->devid);
	return name;
}

bool device_parse(const char *name, struct device *d)
{
	memset(d, 0, sizeof(*d));
	return sscanf(name, "%3[a-z]-%u-%u", d->kind, &d->domid, &d->devid) == 3;
}

bool device_exists(const struct device *d)
{
	return of(d)->there;
}

bool device_bound(const struct device *d)
{
	return of(d)->bound;
}

int devices_read(uint32_t domid, struct device *list)
{
	list[0] = (struct device){ .kind = "vif", .domid = domid, .bound = h->vif.bound };
	list[1] = (struct device){ .kind = "vbd", .domid = domid, .devid = 51712, .bound = h->vbd.bound };
	list[2] = (struct device){ .kind = "vif", .domid = domid, .devid = 1, .bound = h->vif1.bound };
	return h->two ? 3 : 2;
}

/*
 * netback waits for its packets, and no signal ends that: whoever asked for it has the lock until it is over, killed
 * or not. So does a process that has the lock from it.
 */
static void wait_for_packets(struct backend *vif)
{
	pid_t pid = fork();

	if (!pid) {
		while (h->held)
			usleep(10000);
		vif->bound = false;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int device_write(const struct device *d, const char *what)
{
	bool bind = !strcmp(what, "bind");

	if (!bind && is_vif(d) && h->held)
		wait_for_packets(of(d));
	h->taken += !bind && !is_vif(d);
	of(d)->bound = bind;
	if (bind) {
		strcat(h->order, is_vif(d) ? "i" : "b");
		of(d)->state = is_vif(d) || !of(d)->waits ? 2 : STATE_CONNECTED;
	}
	return 0;
}

int tools_open(struct tools *t)
{
	memset(t, 0, sizeof(*t));
	return 0;
}

void tools_close(struct tools *t)
{
	(void)t;
}

int64_t backend_state(struct tools *t, const struct device *d)
{
	(void)t;
	return of(d)->state;
}

bool frontend_waits(struct tools *t, const struct device *d)
{
	(void)t;
	return of(d)->waits;
}

int ports_free(struct tools *t, const struct device *d, bool ring)
{
	(void)t;
	(void)d;
	(void)ring;
	return 0;
}

int drain(struct tools *t, const struct device *d)
{
	(void)t;
	(void)d;
	return 0;
}

char *store_read(struct xs_handle *xs, const char *fmt, ...)
{
	(void)xs;
	return strstr(fmt, "/script") ? strdup(h->script) : NULL;
}

bool store_write(struct xs_handle *xs, const char *value, const char *fmt, ...)
{
	(void)xs;
	(void)value;
	(void)fmt;
	return true;
}

struct xs_handle *store_open(void)
{
	return NULL;
}

void store_close(struct xs_handle *xs)
{
	(void)xs;
}

/* How it is let run. */
int domain_resume(uint32_t domid)
{
	(void)domid;
	h->runs = true;
	return 0;
}

int domain_unpause(uint32_t domid)
{
	(void)domid;
	return -1;
}

int destroy(uint32_t domid)
{
	(void)domid;
	return -1;
}

void restore_forget(uint32_t domid)
{
	(void)domid;
}

void suspend_proved(uint32_t domid)
{
	(void)domid;
}

void store_touch(uint32_t domid)
{
	(void)domid;
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

FIXTURE(quiesce) {
	struct request r;
	char ran[sizeof(RUN_DIR "/ran")];
};

FIXTURE_SETUP(quiesce)
{
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, h);
	h->vbd = (struct backend){ .bound = true, .there = true, .waits = true, .state = STATE_CONNECTED };
	h->vif = h->vbd;
	h->vif1 = h->vbd;
	mkdir(RUN_DIR, 0700);
	snprintf(h->script, sizeof(h->script), RUN_DIR "/script");
	snprintf(self->ran, sizeof(self->ran), RUN_DIR "/ran");
	memset(&self->r, 0, sizeof(self->r));
	ASSERT_EQ(0, limit_set("script", 1));
	ASSERT_EQ(0, limit_set("reconnect", 20));
}

FIXTURE_TEARDOWN(quiesce)
{
	request_forget(&self->r);
	EXPECT_EQ(0, system("rm -rf " RUN_DIR));
}

static void script(const char *text)
{
	FILE *f = fopen(h->script, "w");

	fprintf(f, "#!/bin/sh\necho $1 >>" RUN_DIR "/ran\n%s\n", text);
	fclose(f);
	chmod(h->script, 0700);
}

static int ran(FIXTURE_DATA(quiesce) *self)
{
	FILE *f = fopen(self->ran, "r");
	char line[20];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr++;
	if (f)
		fclose(f);
	return nr;
}

static bool begin;

static int ask_once(FIXTURE_DATA(quiesce) *self, int (*op)(struct request *r), bool again)
{
	request_begin(&self->r, again);
	js_add_str(self->r.in, "migration", "m1");
	js_add_u64(self->r.in, "domid", DOMID);
	if (begin)
		js_add_bool(self->r.in, "begin", true);
	return op(&self->r);
}

static int ask(FIXTURE_DATA(quiesce) *self, int (*op)(struct request *r))
{
	for (bool again = false;; again = true) {
		int rc = ask_once(self, op, again);

		if (rc || !self->r.again)
			return rc;
	}
}

/* There is no netback here that would connect: as far as this goes the guest VM does not use it. */
TEST_F(quiesce, disks_come_first)
{
	script("exit 0");
	h->vif.waits = false;
	ASSERT_EQ(0, ask(self, op_quiesce));
	EXPECT_FALSE(h->vbd.bound || h->vif.bound);
	EXPECT_TRUE(quiesced_disk(DOMID));
	ASSERT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
	EXPECT_STREQ("bi", h->order);
	EXPECT_EQ(2, ran(self));
	EXPECT_FALSE(quiesced_disk(DOMID));
	EXPECT_NE(0, access(RUN_DIR "/quiesced-5", F_OK));
}

/* U1 */
TEST_F(quiesce, a_script_that_hangs_does_not_keep_the_guest_waiting)
{
	int64_t begun, until;

	script("test $1 = online || sleep 600");
	ASSERT_EQ(0, ask(self, op_quiesce));
	begun = clock_ms();
	EXPECT_EQ(-EIO, ask(self, op_rebind));
	EXPECT_LT(clock_ms() - begun, 10000);
	EXPECT_NE(NULL, strstr(self->r.error, "had not ended within 1 s")) TH_LOG("%s", self->r.error);
	EXPECT_NE(NULL, strstr(self->r.error, "vif5.0"));
	EXPECT_TRUE(h->vbd.bound);
	/* The daemon tries again: it is not waited for twice, nor started beside itself. */
	EXPECT_EQ(-EIO, ask(self, op_rebind));
	EXPECT_NE(NULL, strstr(self->r.error, "is not waited for"));
	/* "offline" is ended, and "online" gets its turn. */
	until = clock_ms() + 60000;
	while (ran(self) < 2 && clock_ms() < until)
		usleep(100000);
	EXPECT_EQ(2, ran(self));
	EXPECT_EQ(0, system("test \"$(tail -1 " RUN_DIR "/ran)\" = online"));
}

TEST_F(quiesce, a_script_that_hangs_leaves_the_others_their_share)
{
	ASSERT_EQ(0, limit_set("script", 4));
	h->two = true;
	h->vif.waits = false;
	h->vif1.waits = false;
	script("echo $1 >>" RUN_DIR "/$vif; test $vif$1 != vif5.0offline || sleep 600");
	ASSERT_EQ(0, ask(self, op_quiesce));
	EXPECT_EQ(-EIO, ask(self, op_rebind));
	EXPECT_NE(NULL, strstr(self->r.error, "vif5.0 had not ended within 2 s")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(NULL, strstr(self->r.error, "vif5.1")) TH_LOG("%s", self->r.error);
	EXPECT_EQ(0, system("test \"$(tail -1 " RUN_DIR "/vif5.1)\" = online"));
}

/* It gets its network card going all the same, and holds no lock meanwhile. */
TEST_F(quiesce, a_script_that_is_slow_goes_on_by_itself)
{
	int64_t until = clock_ms() + 60000;

	script("test $1 = online || exit 0; sleep 3; echo done >>" RUN_DIR "/ran");
	h->vif.waits = false;
	ASSERT_EQ(0, ask(self, op_quiesce));
	EXPECT_EQ(-EIO, ask(self, op_rebind));
	EXPECT_EQ(0, quiesced_lock());
	while (ran(self) < 3 && clock_ms() < until)
		usleep(100000);
	EXPECT_EQ(3, ran(self));
}

TEST_F(quiesce, a_script_that_fails)
{
	script("test $1 = online && exit 3; true");
	ASSERT_EQ(0, ask(self, op_quiesce));
	EXPECT_EQ(-EIO, ask(self, op_rebind));
	EXPECT_NE(NULL, strstr(self->r.error, "script online\" for vif5.0 failed")) TH_LOG("%s", self->r.error);
	/* That one is tried again. */
	script("exit 0");
	h->vif.waits = false;
	EXPECT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
}

/* U21: its driver in the guest VM is unbound, or it is being detached: nobody will connect. */
TEST_F(quiesce, a_card_that_the_guest_does_not_use_is_not_waited_for)
{
	int64_t begun;

	script("exit 0");
	h->vif.waits = false;
	h->vbd.waits = false;
	ASSERT_EQ(0, ask(self, op_quiesce));
	begun = clock_ms();
	ASSERT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
	EXPECT_LT(clock_ms() - begun, 10000);
}

/*
 * U22: the daemon waits no longer than it wants to, and has everything put back; that waits, too, and the guest VM is
 * let run without its network card. When the packets go at last, it gets that back, and keeps the disk that it had all
 * the time.
 */
TEST_F(quiesce, a_card_whose_packets_are_held)
{
	int64_t begun = clock_ms();

	script("exit 0");
	h->vif.waits = false;
	h->held = true;
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, ask_once(self, op_quiesce, i)) TH_LOG("%s", self->r.error);
		ASSERT_TRUE(self->r.again);
	}
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, ask_once(self, op_rebind, i)) TH_LOG("%s", self->r.error);
		ASSERT_TRUE(self->r.again);
	}
	EXPECT_LT(clock_ms() - begun, 10000);
	EXPECT_STREQ("", h->order);
	h->runs = true;
	h->held = false;
	ASSERT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
	EXPECT_EQ(0, h->taken);
	EXPECT_TRUE(h->vbd.bound && h->vif.bound);
	EXPECT_STREQ("i", h->order);
}

/* What else there is to do is done meanwhile; the result is there for whoever asks for it. */
TEST_F(quiesce, begun_and_not_waited_for)
{
	script("exit 0");
	h->vif.waits = false;
	h->held = true;
	begin = true;
	EXPECT_EQ(0, ask_once(self, op_quiesce, false)) TH_LOG("%s", self->r.error);
	EXPECT_FALSE(self->r.again);
	begin = false;
	ASSERT_EQ(0, ask_once(self, op_quiesce, true)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(self->r.again);
	h->held = false;
	ASSERT_EQ(0, ask(self, op_quiesce)) TH_LOG("%s", self->r.error);
	EXPECT_FALSE(h->vbd.bound || h->vif.bound);
	ASSERT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
}

/* The request to put everything back was lost with its line: the guest VM runs, and keeps its disk all the same. */
TEST_F(quiesce, a_guest_that_is_resumed_meanwhile)
{
	h->held = true;
	ASSERT_EQ(0, ask_once(self, op_quiesce, false)) TH_LOG("%s", self->r.error);
	ASSERT_TRUE(self->r.again);
	ASSERT_EQ(0, ask(self, op_resume)) TH_LOG("%s", self->r.error);
	EXPECT_TRUE(h->runs);
	h->held = false;
	EXPECT_EQ(0, quiesced_lock());
	EXPECT_EQ(0, h->taken);
	EXPECT_TRUE(h->vbd.bound);
}

TEST_F(quiesce, a_device_that_was_detached_meanwhile)
{
	script("exit 0");
	h->vif.waits = false;
	ASSERT_EQ(0, ask(self, op_quiesce));
	h->vbd.there = false;
	h->vbd.state = 0;
	ASSERT_EQ(0, ask(self, op_rebind)) TH_LOG("%s", self->r.error);
}

TEST_HARNESS_MAIN
