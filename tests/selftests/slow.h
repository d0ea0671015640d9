/* SPDX-License-Identifier: GPL-2.0 */
/* Images on devices that can be held up or fail, and processes that wait for them. */
#ifndef EROFS_SELFTEST_SLOW_H
#define EROFS_SELFTEST_SLOW_H

#include "util.h"

/* The image on a mapper device of that name, which fails in a range of sectors. What an earlier test left there goes. */
int dm_image(const char *name, const char *image, uint64_t bad_start, uint64_t bad_count, char dev[DEV_LEN]);

/* Child processes; they exit with 0 or an errno. */
pid_t start_reading(const char *dir, const char *file);
pid_t start_unmounting(const char *dir);

/* Opens the file once, after it has read from another one: the latest to do so is the file's newest member. */
void join(const char *dir, const char *file);

#endif
