// SPDX-License-Identifier: GPL-2.0
/* Whom an operator means: by UUID, #DOMID, name, or name as it is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "kselftest_harness.h"

#define UUID_OF_U1 "4ae1b2f0-0000-4000-8000-0123456789ab"

FIXTURE(names) {
	struct domain *list;
	size_t nr;
};

static void add(struct domain *list, size_t *nr, uint32_t domid, const char *uuid, const char *raw)
{
	struct domain *d = &list[(*nr)++];

	d->domid = domid;
	snprintf(d->uuid, sizeof(d->uuid), "%s", uuid);
	d->name = text_name(raw);
}

FIXTURE_SETUP(names)
{
	self->list = calloc(16, sizeof(*self->list));
	self->nr = 0;
	add(self->list, &self->nr, 5, UUID_OF_U1, "u1");
	add(self->list, &self->nr, 7, "00000000-0000-4000-8000-000000000007", "malm\xe9");
	add(self->list, &self->nr, 8, "00000000-0000-4000-8000-000000000008", "malm\\xe9");
	add(self->list, &self->nr, 9, "00000000-0000-4000-8000-000000000009", UUID_OF_U1);
	add(self->list, &self->nr, 10, "00000000-0000-4000-8000-000000000010", "#5");
	add(self->list, &self->nr, 11, "00000000-0000-4000-8000-000000000011", "#12");
	add(self->list, &self->nr, 13, "00000000-0000-4000-8000-000000000013", "a/b \xc3\xa9");
}

FIXTURE_TEARDOWN(names)
{
	domains_free(self->list, self->nr);
}

static uint32_t find(struct domain *list, size_t nr, const char *meant)
{
	const struct domain *d = domains_find(list, nr, meant);

	return d ? d->domid : 0;
}

TEST_F(names, by_name)
{
	EXPECT_EQ(5, find(self->list, self->nr, "u1"));
	EXPECT_EQ(13, find(self->list, self->nr, "a/b \xc3\xa9"));
	EXPECT_EQ(0, find(self->list, self->nr, "nonexistent"));
	EXPECT_EQ(0, find(self->list, self->nr, "u"));
}

TEST_F(names, one_that_is_not_utf8_as_it_is_shown)
{
	/* Typed, this is the name of another, which comes first; but that one can be gone. */
	EXPECT_EQ(8, find(self->list, self->nr, "malm\\xe9"));
	self->list[2].dying = true;
	EXPECT_EQ(7, find(self->list, self->nr, "malm\\xe9"));
	EXPECT_EQ(0, find(self->list, self->nr, "malm\\\\xe9"));
}

/* No guest VM can take another's place by its name. */
TEST_F(names, uuid_and_domid_come_before_names)
{
	EXPECT_EQ(5, find(self->list, self->nr, UUID_OF_U1));
	EXPECT_EQ(5, find(self->list, self->nr, "4AE1B2F0-0000-4000-8000-0123456789AB"));
	EXPECT_EQ(5, find(self->list, self->nr, "#5"));
	EXPECT_EQ(11, find(self->list, self->nr, "#12"));
	EXPECT_EQ(0, find(self->list, self->nr, "#0"));
	EXPECT_EQ(0, find(self->list, self->nr, "#5x"));
	EXPECT_EQ(0, find(self->list, self->nr, "#-5"));
	EXPECT_EQ(0, find(self->list, self->nr, "#4294967301"));
}

TEST_F(names, a_dying_one_is_none)
{
	self->list[0].dying = true;
	EXPECT_EQ(0, find(self->list, self->nr, "u1"));
	EXPECT_EQ(10, find(self->list, self->nr, "#5"));
	EXPECT_EQ(9, find(self->list, self->nr, UUID_OF_U1));
}

TEST(which_names_travel)
{
	char name[300];

	EXPECT_TRUE(domain_name_travels("u1"));
	EXPECT_TRUE(domain_name_travels("malm\xc3\xa9 \"1\" \\"));
	EXPECT_FALSE(domain_name_travels("malm\xe9"));
	EXPECT_FALSE(domain_name_travels("a/b"));
	memset(name, 'x', sizeof(name));
	name[246] = 0;
	EXPECT_FALSE(domain_name_travels(name));
	name[245] = 0;
	EXPECT_TRUE(domain_name_travels(name));
}

TEST_HARNESS_MAIN
