// SPDX-License-Identifier: GPL-2.0
/* Freezing: nobody may ask for it, but a device below that is suspended does. */
#include "harness.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#define DM "selftest-freeze"

FIXTURE(frozen) {
	char dev[DEV_LEN];
	uint32_t crc;
};

FIXTURE_VARIANT(frozen) {
	const char *image, *file, *options;
};

FIXTURE_VARIANT_ADD(frozen, plain) { .image = "share-a", .file = "common" };
FIXTURE_VARIANT_ADD(frozen, shared) { .image = "share-a", .file = "common", .options = DOMAIN };
FIXTURE_VARIANT_ADD(frozen, lz4) { .image = "encoded-a-lz4", .file = "text" };

FIXTURE_SETUP(frozen)
{
	char loop[DEV_LEN];
	int fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_file(variant->image, "/mnt/other", NULL));
	ASSERT_EQ(0, path_crc("/mnt/other", variant->file, &self->crc));
	dm_suspend(DM, false);
	dm_remove(DM);
	fd = attach_image(variant->image, loop);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dm_create(DM, loop, 0, 0, self->dev));
	close(fd);
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", variant->options));
}

FIXTURE_TEARDOWN(frozen)
{
	dm_suspend(DM, false);
	umount_at("/mnt/a");
	dm_remove(DM);
}

static int read_file_of_a(const void *arg)
{
	uint32_t crc;
	int err = path_crc("/mnt/a", arg, &crc);

	return -err;
}

/* What is in memory can be read meanwhile, the rest waits. */
TEST_F(frozen, reads_go_on_after_it)
{
	uint32_t crc;
	pid_t reader;

	ASSERT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	ASSERT_EQ(0, dm_freeze(DM));
	EXPECT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	EXPECT_EQ(self->crc, crc);
	ASSERT_EQ(0, drop_caches(1));
	reader = spawn(read_file_of_a, variant->file);
	EXPECT_EQ(-ETIMEDOUT, wait_child(reader, 1));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(0, wait_child(reader, 20));
	ASSERT_EQ(0, drop_caches(3));
	EXPECT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	EXPECT_EQ(self->crc, crc);
}

/* An unmount does not wait; the file system goes when it is thawed. */
TEST_F(frozen, unmounted_meanwhile)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	ASSERT_EQ(0, dm_freeze(DM));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	/* It is still there, and holds the device. */
	EXPECT_EQ(-EBUSY, dm_remove(DM));
	ASSERT_EQ(0, dm_suspend(DM, false));
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", variant->options));
	EXPECT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	EXPECT_EQ(self->crc, crc);
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, dm_remove(DM));
}

/* A device that was frozen when nothing was mounted there. */
TEST_F(frozen, cannot_be_mounted)
{
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, dm_freeze(DM));
	EXPECT_EQ(-EBUSY, mount_at(self->dev, "/mnt/a", variant->options));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(0, mount_at(self->dev, "/mnt/a", variant->options));
}

TEST_F(frozen, not_on_demand)
{
	int fd = open("/mnt/a", O_RDONLY | O_DIRECTORY);

	EXPECT_ERRNO(EOPNOTSUPP, ioctl(fd, FIFREEZE, 0));
	ASSERT_EQ(0, dm_freeze(DM));
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(fd, FIFREEZE, 0));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_ERRNO(EINVAL, ioctl(fd, FITHAW, 0));
	close(fd);
}

TEST_HARNESS_MAIN
