// SPDX-License-Identifier: GPL-2.0
#include "slow.h"

#include <stdio.h>
#include <unistd.h>

int dm_image(const char *name, const char *image, uint64_t bad_start, uint64_t bad_count, char dev[DEV_LEN])
{
	char loop[DEV_LEN];
	int fd, err;

	dm_suspend(name, false);
	dm_remove(name);
	fd = attach_image(image, loop);
	if (fd < 0)
		return fd;
	err = dm_create(name, loop, bad_start, bad_count, dev);
	close(fd);
	return err;
}

struct place {
	const char *dir, *file;
};

static int read_it(const void *arg)
{
	const struct place *place = arg;
	uint32_t crc;

	return -path_crc(place->dir, place->file, &crc);
}

pid_t start_reading(const char *dir, const char *file)
{
	const struct place place = { dir, file };

	return spawn(read_it, &place);
}

static int unmount_it(const void *dir)
{
	return -umount_at(dir);
}

pid_t start_unmounting(const char *dir)
{
	return spawn(unmount_it, dir);
}

void join(const char *dir, const char *file)
{
	char byte;
	int fd = open_read(dir, "tiny", 0);

	if (pread(fd, &byte, 1, 0) != 1)
		perror(dir);
	close(fd);
	close(open_read(dir, file, 0));
}
