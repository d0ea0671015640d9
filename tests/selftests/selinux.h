/* SPDX-License-Identifier: GPL-2.0 */
/* A process that SELinux confines, under the policy of selinux.conf. */
#ifndef EROFS_SELFTEST_SELINUX_H
#define EROFS_SELFTEST_SELINUX_H

#include <stddef.h>

#define LABEL(type) "u:object_r:" type "_t"

/* Enforces the policy from now on, on the whole machine. -EOPNOTSUPP: SELinux is off; -EBUSY: it has another policy. */
int selinux_enforce(void);

/* Calls @fn in a child that is confined: what it returns, or a negative errno. */
int confined(int (*fn)(const void *arg), const void *arg);

/* What a denial says where the confined may not use a file of the secret type. 0 or a negative errno. */
int denial_of(const char *dir, const char *file, char *text, size_t size);

/* Counts the denials in the log @klog up to the first one that says @text; what denies writes it some time later. -ETIMEDOUT
   if there comes none. */
int denials(int klog, const char *text);

/* What a confined process may try. Each gives 0, the errno that it ends with, or a number above 200: something else is wrong. */
int try_read(const void *path);
int try_map(const void *path);
int try_map_code(const void *path);
/* The program ends with 41, which is what this gives then. */
int try_run(const void *path);
/* By way of a descriptor that may do nothing but be opened again. */
int try_reopen(const void *path);
/* By its handle. */
int try_handle(const void *path);

#endif
