/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EROFS_SELFTEST_HARNESS_H
#define EROFS_SELFTEST_HARNESS_H

#include "kselftest_harness.h"
#include "util.h"

/* kselftest's 30 s are meant for real machines; the macro is expanded where a test is declared. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

/* A system call fails with this errno. */
#define EXPECT_ERRNO(err, call) do {			\
	errno = 0;					\
	EXPECT_EQ(-1, call)				\
		TH_LOG(#call);				\
	EXPECT_EQ(err, errno)				\
		TH_LOG(#call);				\
} while (0)

#define DOMAIN "domain_id=selftest,inode_share"

#endif
