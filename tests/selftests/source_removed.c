// SPDX-License-Identifier: GPL-2.0
/* Disks that are unplugged while an image on them is mounted. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define READ (64 * 1024)

FIXTURE(removed) {
	char dev[DEV_LEN];
	uint32_t crc;
};

FIXTURE_SETUP(removed)
{
	int err;

	ASSERT_EQ(0, private_mounts());
	err = nullb_plug("share-b", self->dev);
	if (err == -ENODEV)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, mount_image("share-b", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
}

FIXTURE_TEARDOWN(removed)
{
	nullb_remove();
}

TEST_F(removed, what_is_cached_stays)
{
	static char here[READ], there[READ];
	struct statfs fs;
	struct stat st;
	int fd, other, huge;

	ASSERT_EQ(0, mount_at(self->dev, "/mnt/b", NULL));
	fd = open_read("/mnt/b", "common", 0);
	huge = open_read("/mnt/b", "huge", 0);
	ASSERT_EQ(READ, pread(fd, here, READ, 0));
	EXPECT_EQ(0, stat("/mnt/b/tail", &st));
	ASSERT_EQ(0, nullb_unplug());

	other = open_read("/mnt/private", "common", 0);
	ASSERT_EQ(READ, pread(other, there, READ, 0));
	memset(here, 0, READ);
	EXPECT_EQ(READ, pread(fd, here, READ, 0));
	EXPECT_EQ(0, memcmp(here, there, READ));
	EXPECT_EQ(-1, pread(huge, here, READ, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, fstat(huge, &st));
	EXPECT_EQ(0, statfs("/mnt/b", &fs));
	close(fd);
	close(huge);
	close(other);
	EXPECT_EQ(0, umount_at("/mnt/b"));
}

/* Readers of a shared file go on through the image that is left. */
TEST_F(removed, other_images_serve)
{
	uint32_t crc;
	int fd;

	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/b", DOMAIN));
	fd = open_read("/mnt/b", "common", 0);
	close(open_read("/mnt/a", "common", 0));
	ASSERT_EQ(0, nullb_unplug());
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, file_crc(fd, &crc));
	EXPECT_EQ(self->crc, crc);
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
}

/* Its bytes are gone, those of the primary device are not. */
TEST_F(removed, extra_device)
{
	char byte, options[64];
	struct stat st;
	int fd;

	ASSERT_EQ(0, nullb_unplug());
	ASSERT_EQ(0, nullb_plug("dev-one-1", self->dev));
	snprintf(options, sizeof(options), "device=%s", self->dev);
	ASSERT_EQ(0, mount_image("dev-one", "/mnt/a", options));
	fd = open_read("/mnt/a", "common", 0);
	EXPECT_EQ(1, pread(fd, &byte, 1, 0));
	ASSERT_EQ(0, nullb_unplug());
	ASSERT_EQ(0, drop_caches(3));
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, stat("/mnt/a/directory/same-07", &st));
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_HARNESS_MAIN
