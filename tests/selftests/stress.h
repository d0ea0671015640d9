/* SPDX-License-Identifier: GPL-2.0 */
/* Concurrent use: files are read and mapped, caches dropped, images mounted and unmounted, all at once. */
#ifndef EROFS_SELFTEST_STRESS_H
#define EROFS_SELFTEST_STRESS_H

#include <stdbool.h>

#define STRESS_MOUNTS 6
#define STRESS_FILES 8

struct stress {
	/* What comes and goes on /mnt/0 and on. */
	const char *images[STRESS_MOUNTS];
	const char *options;
	/* Read there; they must be as on /mnt/private. */
	const char *files[STRESS_FILES];
	/* Open them for direct reads now and then, which may be refused. */
	bool direct;
	/* Milliseconds between mounts, at most. */
	unsigned int pause;
	/* How often each process at least reads or mounts: fewer would be no stress. */
	unsigned int least;
};

/* Some seconds of it; how many processes failed, with a line for each, or mounts stayed. */
int stress(const struct stress *stress);

#endif
