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

HOST_MAIN(0)
