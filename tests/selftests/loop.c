// SPDX-License-Identifier: GPL-2.0
/* Loop devices. */
#include "util.h"

#include <errno.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Attaches the open file to a device that goes away with its last user. */
static int attach(int file, int flags, char dev[DEV_LEN])
{
	struct loop_config config = { .fd = file, .info.lo_flags = flags | LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd, n, err;

	if (control < 0)
		return -errno;
	for (;;) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0)
			break;
		snprintf(dev, DEV_LEN, "/dev/loop%d", n);
		fd = open(dev, (flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			break;
		if (!ioctl(fd, LOOP_CONFIGURE, &config)) {
			/* Its own cache would be in the way of those who measure. */
			ioctl(fd, LOOP_SET_DIRECT_IO, 1UL);
			goto out;
		}
		if (errno != EBUSY) /* somebody else took it */
			break;
		close(fd);
	}
	fd = -1;
out:
	err = errno;
	close(control);
	return fd < 0 ? -err : fd;
}

int attach_image(const char *image, char dev[DEV_LEN])
{
	int file = open(image_path(image), O_RDONLY | O_CLOEXEC), fd;

	if (file < 0)
		return -errno;
	fd = attach(file, LO_FLAGS_READ_ONLY, dev);
	close(file);
	return fd;
}

int attach_writable(const char *path, char dev[DEV_LEN])
{
	int file = open(path, O_RDWR | O_CLOEXEC), fd;

	if (file < 0)
		return -errno;
	fd = attach(file, 0, dev);
	close(file);
	return fd;
}
