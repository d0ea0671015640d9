// SPDX-License-Identifier: GPL-2.0
/* Reads that take long or fail on one image, while others come and go. A suspended device mapper target holds them. */
#include "extents.h"
#include "harness.h"
#include "slow.h"

#include <signal.h>

#define DM "selftest-inflight"
#define COMMON_PAGES 256

FIXTURE(inflight) {
	uint32_t crc;
	char dev[DEV_LEN];
};

FIXTURE_VARIANT(inflight) {
	const char *image;
};

/* With chunks, a read needs metadata from the device first. */
FIXTURE_VARIANT_ADD(inflight, flat) { .image = "share-b" };
FIXTURE_VARIANT_ADD(inflight, chunks) { .image = "share-b-chunk" };

/* B, with the given bad range, on the mapper device. */
static int mount_b(const char *image, uint64_t bad_start, uint64_t bad_count, char dev[DEV_LEN])
{
	int err = dm_image(DM, image, bad_start, bad_count, dev);

	return err ?: mount_at(dev, "/mnt/b", DOMAIN);
}

FIXTURE_SETUP(inflight)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
}

FIXTURE_TEARDOWN(inflight)
{
	dm_suspend(DM, false);
	umount_at("/mnt/b");
	dm_remove(DM);
}

TEST_F(inflight, W3_reading_one_image_needs_no_other)
{
	pid_t reader, unmounter;

	ASSERT_EQ(0, mount_b(variant->image, 0, 0, self->dev));
	join("/mnt/a", "common");
	join("/mnt/b", "common");
	ASSERT_EQ(0, drop_caches(1));
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "common");
	EXPECT_EQ(0, wait_child(reader, 20));
	unmounter = start_unmounting("/mnt/b");
	EXPECT_EQ(0, wait_child(unmounter, 20));
	/* Where the reader did take B, this is when its superblock is gone. */
	ASSERT_EQ(0, dm_suspend(DM, false));
	sleep(1);
}

TEST_F(inflight, W4_unmount_waits_for_its_reads)
{
	pid_t reader, unmounter;
	uint32_t crc;

	ASSERT_EQ(0, mount_b(variant->image, 0, 0, self->dev));
	/* A member too: what B fills outlives B's inode. */
	join("/mnt/a", "common");
	join("/mnt/b", "common");
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/b", "common");
	sleep(1);
	/* The reader and its file go, the request stays. */
	kill(reader, SIGKILL);
	ASSERT_EQ(256 + SIGKILL, wait_child(reader, 20));
	unmounter = start_unmounting("/mnt/b");
	EXPECT_EQ(-ETIMEDOUT, wait_child(unmounter, 3));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(0, wait_child(unmounter, 20));
	EXPECT_EQ(0, dm_remove(DM));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

/* As before, and no other member is left to keep the domain. */
TEST_F(inflight, last_unmount_waits_for_its_reads)
{
	pid_t reader, unmounter;

	ASSERT_EQ(0, mount_b(variant->image, 0, 0, self->dev));
	ASSERT_EQ(0, umount_at("/mnt/a"));
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
	EXPECT_EQ(0, dm_remove(DM));
}

/* A page that B is filling is waited for, and then there for both. */
TEST_F(inflight, reader_waits_for_a_page_that_another_image_fills)
{
	pid_t slow, reader;
	uint32_t crc;

	ASSERT_EQ(0, mount_b(variant->image, 0, 0, self->dev));
	join("/mnt/b", "common");
	join("/mnt/a", "common");
	ASSERT_EQ(0, drop_caches(1));
	ASSERT_EQ(0, dm_suspend(DM, true));
	slow = start_reading("/mnt/b", "common");
	sleep(1);
	reader = start_reading("/mnt/a", "common");
	sleep(1);
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(0, wait_child(reader, 20));
	EXPECT_EQ(0, wait_child(slow, 20));
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/a", "common", "/mnt/b", "common", COMMON_PAGES));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(inflight, W6_bad_sectors_of_one_image_do_not_harm_others)
{
	uint64_t start, count;
	uint32_t crc;

	ASSERT_EQ(0, extent_of(variant->image, "common", &start, &count));
	ASSERT_EQ(0, mount_b(variant->image, start, count, self->dev));
	join("/mnt/a", "common");
	join("/mnt/b", "common");
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	/* Their pages now serve B as well. */
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	EXPECT_EQ(0, umount_at("/mnt/b"));
}

/* What B cannot read is an error for B's reader alone, and once A has read it for nobody. */
TEST_F(inflight, failed_page_is_read_again_through_the_healthy_image)
{
	uint64_t start, count;
	uint32_t crc;

	ASSERT_EQ(0, extent_of(variant->image, "common", &start, &count));
	ASSERT_EQ(0, mount_b(variant->image, start, count, self->dev));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

/* B fails, and the member that is first in line has lost its disk: the third one serves. */
TEST_F(inflight, a_removed_disk_is_not_asked_first)
{
	uint64_t start, count;
	char dev[DEV_LEN];
	uint32_t crc;
	int err, fd;

	err = nullb_plug("share-a-chunk", dev);
	if (err == -ENODEV)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, extent_of(variant->image, "common", &start, &count));
	ASSERT_EQ(0, mount_at(dev, "/mnt/c", DOMAIN));
	fd = open_read("/mnt/c", "common", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mount_b(variant->image, start, count, self->dev));
	join("/mnt/b", "common");
	join("/mnt/a", "common");
	ASSERT_EQ(0, nullb_unplug());
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/c"));
	EXPECT_EQ(0, nullb_remove());
}

TEST_HARNESS_MAIN
