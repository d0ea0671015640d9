// SPDX-License-Identifier: GPL-2.0
/* Images below which something takes long, or refuses: a backing file whose disk is held up, and dm-verity. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define DM "selftest-held"

FIXTURE(held) {
	uint32_t crc;
	char dev[DEV_LEN];
};

/* Image b in a file on an ext4 on the mapper device. */
FIXTURE_SETUP(held)
{
	char loop[DEV_LEN];
	int fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	ASSERT_EQ(0, mount_file("share-a", "/mnt/a", DOMAIN));
	dm_suspend(DM, false);
	dm_remove(DM);
	fd = attach_image("ext4-share-b", loop);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dm_create(DM, loop, 0, 0, self->dev));
	close(fd);
	ASSERT_EQ(0, mkdir("/mnt/ext4", 0755));
	ASSERT_EQ(0, mount(self->dev, "/mnt/ext4", "ext4", MS_RDONLY, NULL));
	ASSERT_EQ(0, mount_at("/mnt/ext4/share-b.img", "/mnt/b", DOMAIN ",directio"));
}

FIXTURE_TEARDOWN(held)
{
	dm_suspend(DM, false);
	umount_at("/mnt/b");
	umount_at("/mnt/ext4");
	dm_remove(DM);
}

static int read_common(const void *dir)
{
	uint32_t crc;

	return -path_crc(dir, "common", &crc);
}

static int unmount_b(const void *arg)
{
	return -umount_at("/mnt/b");
}

static void join(const char *dir)
{
	char byte;
	int fd = open_read(dir, "tiny", 0);

	if (pread(fd, &byte, 1, 0) != 1)
		perror(dir);
	close(fd);
	close(open_read(dir, "common", 0));
}

TEST_F(held, W4_unmount_waits_for_reads_of_its_file)
{
	pid_t reader, unmounter;
	uint32_t crc;

	/* A member too: what B fills outlives B's inode. */
	join("/mnt/a");
	join("/mnt/b");
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = spawn(read_common, "/mnt/b");
	sleep(1);
	kill(reader, SIGKILL);
	ASSERT_EQ(256 + SIGKILL, wait_child(reader, 20));
	unmounter = spawn(unmount_b, NULL);
	EXPECT_EQ(-ETIMEDOUT, wait_child(unmounter, 3));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(0, wait_child(unmounter, 20));
	EXPECT_EQ(0, umount_at("/mnt/ext4"));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(held, others_read_on)
{
	pid_t reader;

	join("/mnt/b");
	join("/mnt/a");
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = spawn(read_common, "/mnt/a");
	EXPECT_EQ(0, wait_child(reader, 20));
	ASSERT_EQ(0, dm_suspend(DM, false));
}

FIXTURE(verity) {
	uint32_t crc;
};

/* Without SHA-256 in the kernel's crypto API. */
#define NO_HASH -ENOENT

FIXTURE_SETUP(verity)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
}

FIXTURE_TEARDOWN(verity)
{
	umount_at("/mnt/a");
	umount_at("/mnt/b");
	dm_remove(DM "-a");
	dm_remove(DM "-b");
}

/* @image, or a copy of it at @copy, below dm-verity. */
static int mount_verity(const char *name, const char *image, const char *copy, const char *dir)
{
	char path[512], root[65], hash_image[64], data[DEV_LEN], hashes[DEV_LEN], dev[DEV_LEN];
	int fd, hash_fd, err;

	snprintf(path, sizeof(path), "%s", image_path(image));
	strcpy(strrchr(path, '.'), ".root");
	if (read_file(path, root, sizeof(root)) < 0)
		return -EIO;
	root[64] = 0;
	snprintf(hash_image, sizeof(hash_image), "%s-hashes", image);
	fd = attach_image(copy ? copy : image, data);
	hash_fd = attach_image(hash_image, hashes);
	if (fd < 0 || hash_fd < 0)
		return -ENODEV;
	err = dm_verity(name, data, hashes, root, dev);
	if (!err)
		err = mount_at(dev, dir, DOMAIN);
	close(fd);
	close(hash_fd);
	return err;
}

TEST_F(verity, signed_images_share)
{
	int err = mount_verity(DM "-a", "share-a", NULL, "/mnt/a");

	if (err == NO_HASH)
		SKIP(return, "no dm-verity with SHA-256");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, mount_verity(DM "-b", "share-b-chunk", NULL, "/mnt/b"));
	EXPECT_EQ(256, frames_shared("/mnt/a", "common", "/mnt/b", "common", 256));
	EXPECT_EQ(1024, frames_shared("/mnt/b", "huge", "/mnt/a", "huge", 1024));
	EXPECT_EQ(0, same_bytes("/mnt/a", "common", "/mnt/private", "common"));
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/a", "differs", "/mnt/b", "differs"));
}

/* Its own reader gets no wrong byte, and a healthy image serves both. */
TEST_F(verity, changed_image)
{
	int err = mount_verity(DM "-b", "share-b-chunk", "changed", "/mnt/b");
	uint32_t crc;

	if (err == NO_HASH)
		SKIP(return, "no dm-verity with SHA-256");
	ASSERT_EQ(0, err);
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
	ASSERT_EQ(0, mount_verity(DM "-a", "share-a", NULL, "/mnt/a"));
	close(open_read("/mnt/a", "common", 0));
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_HARNESS_MAIN
