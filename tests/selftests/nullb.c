// SPDX-License-Identifier: GPL-2.0
/* A disk in memory that can be unplugged while it is in use: null_blk, by configfs. */
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/sys/kernel/config/nullb/selftest"

static int set(const char *name, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	return write_file(path, value);
}

int nullb_plug(const char *image, char dev[DEV_LEN])
{
	char out[64], size[32];
	struct stat st;
	int err;

	if (output_of("modprobe null_blk nr_devices=0", out, sizeof(out)))
		return -ENODEV;
	nullb_remove();
	if (stat(image_path(image), &st) || mkdir(FOLDER, 0755))
		return -errno;
	snprintf(size, sizeof(size), "%ld", (long)(st.st_size / MIB + 1));
	err = set("memory_backed", "1") ?: set("size", size) ?: set("power", "1");
	if (!err) {
		strcpy(dev, "/dev/selftest");
		err = write_image(image, dev);
	}
	return err;
}

int nullb_unplug(void)
{
	return set("power", "0");
}

int nullb_remove(void)
{
	/* A test has mounts of its own. */
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	return rmdir(FOLDER) ? -errno : 0;
}
