// SPDX-License-Identifier: GPL-2.0
/* An image in a file whose disk is held up. */
#include "harness.h"
#include "slow.h"

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
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	ASSERT_EQ(0, mount_file("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, dm_image(DM, "ext4-share-b", 0, 0, self->dev));
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

TEST_F(held, W4_unmount_waits_for_reads_of_its_file)
{
	pid_t reader, unmounter;
	uint32_t crc;

	/* A member too: what B fills outlives B's inode. */
	join("/mnt/a", "common");
	join("/mnt/b", "common");
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/b", "common");
	sleep(1);
	kill(reader, SIGKILL);
	ASSERT_EQ(256 + SIGKILL, wait_child(reader, 20));
	unmounter = start_unmounting("/mnt/b");
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

	join("/mnt/b", "common");
	join("/mnt/a", "common");
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "common");
	EXPECT_EQ(0, wait_child(reader, 20));
	ASSERT_EQ(0, dm_suspend(DM, false));
}

TEST_HARNESS_MAIN
