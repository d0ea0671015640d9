// SPDX-License-Identifier: GPL-2.0
/* Device mapper by ioctl. A suspended device queues what it is asked to read: reads stay in flight as long as we like. */
#include "util.h"

#include <errno.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct request {
	struct dm_ioctl head;
	char data[2048];
};

static int control(unsigned long command, struct request *request, const char *name, uint32_t flags)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	request->head.version[0] = DM_VERSION_MAJOR;
	request->head.data_size = sizeof(*request);
	request->head.data_start = sizeof(request->head);
	request->head.flags = flags;
	snprintf(request->head.name, sizeof(request->head.name), "%s", name);
	err = ioctl(fd, command, request) ? -errno : 0;
	close(fd);
	return err;
}

static size_t add_target(struct request *request, size_t at, uint64_t start, uint64_t count,
			 const char *type, const char *parameters)
{
	struct dm_target_spec *spec = (void *)request->data + at;
	size_t size = sizeof(*spec) + (strlen(parameters) + 8) / 8 * 8;

	if (!count)
		return at;
	spec->sector_start = start;
	spec->length = count;
	spec->next = size;
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", type);
	strcpy((char *)(spec + 1), parameters);
	request->head.target_count++;
	return at + size;
}

static int64_t sectors_of(const char *dev)
{
	int fd = open(dev, O_RDONLY | O_CLOEXEC);
	int64_t bytes, sectors;

	if (fd < 0)
		return -errno;
	sectors = ioctl(fd, BLKGETSIZE64, &bytes) ? -errno : bytes / 512;
	close(fd);
	return sectors;
}

/* Goes over to the table in @request. */
static int use_table(const char *name, struct request *request)
{
	int err = control(DM_TABLE_LOAD, request, name, DM_READONLY_FLAG);

	return err ? err : dm_suspend(name, false);
}

int dm_create(const char *name, const char *dev, uint64_t bad_start, uint64_t bad_count, char out[DEV_LEN])
{
	struct request request = {};
	uint64_t after = bad_start + bad_count;
	int64_t sectors = sectors_of(dev);
	char first[64], last[64];
	size_t at;
	int err;

	if (sectors < 0)
		return sectors;
	err = control(DM_DEV_CREATE, &request, name, 0);
	if (err)
		return err;
	snprintf(out, DEV_LEN, "/dev/dm-%u", minor(request.head.dev));

	memset(&request, 0, sizeof(request));
	snprintf(first, sizeof(first), "%s 0", dev);
	snprintf(last, sizeof(last), "%s %llu", dev, (unsigned long long)after);
	if (bad_count) {
		at = add_target(&request, 0, 0, bad_start, "linear", first);
		at = add_target(&request, at, bad_start, bad_count, "error", "");
		add_target(&request, at, after, sectors - after, "linear", last);
	} else {
		add_target(&request, 0, 0, sectors, "linear", first);
	}
	err = use_table(name, &request);
	if (err)
		dm_remove(name);
	return err;
}

int dm_flakey(const char *name, const char *dev, int up, int down)
{
	struct request request = {};
	int64_t sectors = sectors_of(dev);
	char parameters[64];

	if (sectors < 0)
		return sectors;
	snprintf(parameters, sizeof(parameters), "%s 0 %d %d", dev, up, down);
	add_target(&request, 0, 0, sectors, "flakey", parameters);
	return use_table(name, &request);
}

int dm_suspend(const char *name, bool suspend)
{
	struct request request = {};

	/* Without the flag the device mapper would freeze the file system on it first. */
	return control(DM_DEV_SUSPEND, &request, name, suspend ? DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG : 0);
}

int dm_freeze(const char *name)
{
	struct request request = {};

	return control(DM_DEV_SUSPEND, &request, name, DM_SUSPEND_FLAG);
}

int dm_remove(const char *name)
{
	struct request request = {};

	return control(DM_DEV_REMOVE, &request, name, 0);
}
