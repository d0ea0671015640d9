// SPDX-License-Identifier: GPL-2.0
/* An image in a file whose disk is held up. */
#include "harness.h"

#include <signal.h>
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

TEST_HARNESS_MAIN
