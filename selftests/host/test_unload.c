// SPDX-License-Identifier: GPL-2.0
/* The module stays while it is in use: by an fd of the device, or by nothing but a transaction. */
#include <sys/syscall.h>

#include "host.h"

/* Begin asks the hypervisor nothing, so no domain is needed. */
#define DOMID_A 31998
#define DOMID_B 31999

static int unload(void)
{
	return syscall(SYS_delete_module, "vmbeam_host", O_NONBLOCK) ? -errno : 0;
}

TEST(device_open)
{
	int dev = dev_open();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(dev);
}

TEST(transaction_open)
{
	int dev = dev_open(), txn;

	ASSERT_LE(0, dev);
	txn = txn_begin(dev, DOMID_A, DOMID_B, NULL);
	ASSERT_LE(0, txn);
	close(dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(txn);
}

/* It has no fd any more, but it has the only record of which frames belong where. */
TEST(transaction_stuck)
{
	struct vmbeam_txn_swap res;
	struct pair p;
	uint64_t id;
	int txn;

	ASSERT_EQ(0, pair_setup(&p, 16, ORDER_4K));
	txn = txn_begin(p.dev, p.a, p.b, &id);
	ASSERT_LE(0, txn);
	ASSERT_EQ(0, txn_swap(txn, 0, 0, 16, 0, NULL, &res));
	ASSERT_EQ(0, domain_punch(p.a, 9));
	close(txn);
	close(p.dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	p.dev = dev_open();
	ASSERT_LE(0, p.dev);
	EXPECT_EQ(0, txn_end_by_id(p.dev, id, VMBEAM_TXN_FORGET));
	pair_teardown(&p);
}

HOST_MAIN(0)
