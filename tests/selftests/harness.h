/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EROFS_SELFTEST_HARNESS_H
#define EROFS_SELFTEST_HARNESS_H

#include "kselftest_harness.h"
#include "util.h"

/* kselftest's 30 s are meant for real machines; the macro is expanded where a test is declared. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

#define DOMAIN "domain_id=selftest,inode_share"

#endif
