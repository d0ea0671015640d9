/* SPDX-License-Identifier: GPL-2.0 */
/* Where files are on their images, by fiemap. */
#ifndef EROFS_SELFTEST_EXTENTS_H
#define EROFS_SELFTEST_EXTENTS_H

#include <linux/fiemap.h>
#include <stdint.h>

#define EXTENTS 64

struct map {
	struct fiemap head;
	struct fiemap_extent extent[EXTENTS];
};

/* Both give 0 or a negative errno. */

int map_file(const char *path, uint64_t start, uint64_t length, uint32_t flags, struct map *map);
/* First sector and count of the file's first extent on the image, of which a mount comes and goes. */
int extent_of(const char *image, const char *file, uint64_t *start, uint64_t *count);

#endif
