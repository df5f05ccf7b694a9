/* SPDX-License-Identifier: GPL-2.0 */
/* After kselftest_harness.h: a test that names no limit of its own has this one. An emulated system may be slow. */
#ifndef _SELFTESTS_TIMEOUT_H
#define _SELFTESTS_TIMEOUT_H

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#endif /* _SELFTESTS_TIMEOUT_H */
