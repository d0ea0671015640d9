// SPDX-License-Identifier: GPL-2.0
#include "extents.h"
#include "util.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int map_file(const char *path, uint64_t start, uint64_t length, uint32_t flags, struct map *map)
{
	int fd = open(path, O_RDONLY), err;

	memset(map, 0, sizeof(*map));
	map->head.fm_start = start;
	map->head.fm_length = length;
	map->head.fm_flags = flags;
	map->head.fm_extent_count = EXTENTS;
	err = ioctl(fd, FS_IOC_FIEMAP, map) ? -errno : 0;
	close(fd);
	return err;
}

int extent_of(const char *image, const char *file, uint64_t *start, uint64_t *count)
{
	char path[512];
	struct map map;
	int err = mount_image(image, "/mnt/where", NULL);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/mnt/where/%s", file);
	err = map_file(path, 0, FIEMAP_MAX_OFFSET, 0, &map);
	if (!err && !map.head.fm_mapped_extents)
		err = -ENODATA;
	*start = map.extent[0].fe_physical / 512;
	*count = map.extent[0].fe_length / 512;
	return umount_at("/mnt/where") ?: err;
}
