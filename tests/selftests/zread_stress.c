// SPDX-License-Identifier: GPL-2.0
/* Compressed files under concurrent use, with reads in flight, and with decoders that wait for each other. */
#include "harness.h"
#include "slow.h"
#include "stress.h"

#include <signal.h>
#include <sys/mount.h>

#define DM "selftest-zread"

static const char * const files[] = { "text", "words", "mixed", "tail", "tiny", "zero", "sparse" };

FIXTURE(stress) {
};

FIXTURE_VARIANT(stress) {
	const char *images[STRESS_MOUNTS], *options;
};

/* The window of decoders grows from mount to mount, while others wait for one (CVE-2022-50193). */
FIXTURE_VARIANT_ADD(stress, private) {
	.images = { "encoded-a-lz4", "encoded-a-lz4hc64k", "encoded-a-zstd", "encoded-a-lzma", "encoded-a-deflate", "encoded-a-packed" },
};
/* Extents that many files name: clusters in no order of theirs (CVE-2023-53777). */
FIXTURE_VARIANT_ADD(stress, packed) {
	.images = { "encoded-a-packed", "encoded-a-packed", "encoded-a-packed", "encoded-a-48bit", "encoded-a-lzma", "encoded-a-packed" },
};
FIXTURE_VARIANT_ADD(stress, shared) {
	.images = { "encoded-a-lz4", "encoded-b-plain", "encoded-a-zstd", "encoded-b-lzma", "encoded-a-48bit", "encoded-b-packed" },
	.options = DOMAIN,
};

FIXTURE_SETUP(stress)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
}

FIXTURE_TEARDOWN(stress)
{
}

TEST_F(stress, concurrent_use)
{
	struct stress this = { .options = variant->options, .pause = 10, .least = 10 };

	if (driver_is_c() && variant->options)
		SKIP(return, "the C driver's W3: readers of images that were unmounted");
	memcpy(this.images, variant->images, sizeof(this.images));
	memcpy(this.files, files, sizeof(files));
	EXPECT_EQ(0, stress(&this));
	if (!driver_is_c()) {
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/shared_inodes"));
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/members"));
	}
}

/* --- Reads in flight --- */

FIXTURE(zflight) {
	char dev[DEV_LEN];
	uint32_t crc;
};

FIXTURE_VARIANT(zflight) {
	const char *image, *options;
};

FIXTURE_VARIANT_ADD(zflight, lz4) { .image = "encoded-a-lz4hc64k" };
FIXTURE_VARIANT_ADD(zflight, lzma) { .image = "encoded-a-lzma" };
FIXTURE_VARIANT_ADD(zflight, packed) { .image = "encoded-a-packed" };
FIXTURE_VARIANT_ADD(zflight, zstd_shared) { .image = "encoded-a-zstd", .options = DOMAIN };

FIXTURE_SETUP(zflight)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "words", &self->crc));
	ASSERT_EQ(0, dm_image(DM, variant->image, 0, 0, self->dev));
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", variant->options));
}

FIXTURE_TEARDOWN(zflight)
{
	dm_suspend(DM, false);
	umount_at("/mnt/a");
	dm_remove(DM);
}

/* The reader has brought the index in, so that it is file data that the device owes. */
static void know_the_index(void)
{
	int fd = open_read("/mnt/a", "words", 0);

	lseek(fd, 0, SEEK_HOLE);
	lseek(fd, 400000, SEEK_DATA);
	close(fd);
}

/* While the reader does not heed its signal, its file keeps the mount busy. */
static int unmount_a(const void *arg)
{
	int err = -EBUSY;

	(void)arg;
	for (int tries = 0; err == -EBUSY && tries < 2000; tries++) {
		err = umount_at("/mnt/a");
		usleep(10000);
	}
	return -err;
}

TEST_F(zflight, unmount_waits_for_reads)
{
	pid_t reader, unmounter;

	know_the_index();
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "words");
	usleep(500000);
	kill(reader, SIGKILL);
	unmounter = spawn(unmount_a, NULL);
	EXPECT_EQ(-ETIMEDOUT, wait_child(unmounter, 2));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(256 + SIGKILL, wait_child(reader, 20));
	EXPECT_EQ(0, wait_child(unmounter, 20));
	EXPECT_EQ(0, dm_remove(DM));
}

/* A fatal signal during a read leaves nothing half filled (CVE-2026-45943); the reader may see it only when the data is there. */
TEST_F(zflight, killed_reader_leaves_no_wrong_page)
{
	pid_t reader;
	uint32_t crc;
	int status;

	know_the_index();
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "words");
	usleep(300000);
	kill(reader, SIGKILL);
	usleep(300000);
	ASSERT_EQ(0, dm_suspend(DM, false));
	status = wait_child(reader, 20);
	EXPECT_TRUE(status == 256 + SIGKILL || status == 0)
		TH_LOG("%d", status);
	EXPECT_EQ(0, path_crc("/mnt/a", "words", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(zflight, slow_device)
{
	pid_t readers[4];
	uint32_t crc;

	for (int round = 0; round < (quick() ? 3 : 10); round++) {
		ASSERT_EQ(0, drop_caches(3));
		for (int i = 0; i < 4; i++)
			readers[i] = start_reading("/mnt/a", "words");
		for (int i = 0; i < 4; i++) {
			ASSERT_EQ(0, dm_suspend(DM, true));
			usleep(5000);
			ASSERT_EQ(0, dm_suspend(DM, false));
			usleep(3000);
		}
		for (int i = 0; i < 4; i++) {
			EXPECT_EQ(0, wait_child(readers[i], 30));
		}
		EXPECT_EQ(0, path_crc("/mnt/a", "words", &crc));
		EXPECT_EQ(self->crc, crc);
	}
}

/* --- Sectors that cannot be read --- */

/* Data that the device does not give is EIO for what depends on it; the rest of the file is there. */
TEST(bad_sectors)
{
	static char page[PAGE];
	char dev[DEV_LEN];
	int fd, failed = 0, pages = 0;

	ASSERT_EQ(0, private_mounts());
	/* In the middle of the image: data, since its index is at the end or the start. */
	ASSERT_EQ(0, dm_image(DM, "encoded-a-lz4", 1024, 64, dev));
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open_read("/mnt/a", files[i], 0);
		ASSERT_GE(fd, 0);
		for (off_t at = 0; ; at += PAGE) {
			ssize_t n = pread(fd, page, PAGE, at);

			if (!n)
				break;
			if (n < 0) {
				EXPECT_EQ(EIO, errno);
				failed++;
			}
			pages++;
		}
		close(fd);
	}
	EXPECT_LT(0, failed);
	EXPECT_GT(pages / 2, failed);
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, dm_remove(DM));
}

/* The kernel's stack and the reader survive a packed file that points into itself. */
TEST(packed_file_in_itself)
{
	pid_t reader;
	int err;

	if (driver_is_c() && !alone())
		SKIP(return, "the C driver does not return");
	ASSERT_EQ(0, private_mounts());
	err = mount_image("bad-z-packed-in-itself", "/mnt/bad", NULL);
	if (err) {
		EXPECT_EQ(-EUCLEAN, err);
		return;
	}
	reader = start_reading("/mnt/bad", "tail");
	err = wait_child(reader, 10);
	EXPECT_TRUE(err == EUCLEAN || err == EIO)
		TH_LOG("%d", err);
}

TEST_HARNESS_MAIN
