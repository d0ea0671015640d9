// SPDX-License-Identifier: GPL-2.0
/* Images below dm-verity, as veritysetup signs them and sets them up. */
#include "harness.h"

#include <stdarg.h>

#define NAME "selftest-verity-"

FIXTURE(verity) {
	uint32_t crc;
};

FIXTURE_SETUP(verity)
{
	char out[256];

	if (output_of("veritysetup --version 2>&1", out, sizeof(out)))
		SKIP(return, "no veritysetup");
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
}

FIXTURE_TEARDOWN(verity)
{
	umount_at("/mnt/a");
	umount_at("/mnt/b");
	dm_remove(NAME "a");
	dm_remove(NAME "b");
}

/* Exit status of veritysetup, run among the images. */
static int __attribute__((format(printf, 1, 2))) veritysetup(const char *format, ...)
{
	char arguments[1024], command[2048], out[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "cd ${EROFS_IMAGES:-/images} && veritysetup %s 2>&1", arguments);
	return output_of(command, out, sizeof(out));
}

/* The image @data, checked against the tree over @image, by the letter in its name. */
static int mount_verity(const char *letter, const char *data, const char *image, const char *options)
{
	char dev[64], dir[16];

	if (veritysetup("open %s.img " NAME "%s %s-hashes.img $(cat %s.root)", data, letter, image, image))
		return -ENODEV;
	snprintf(dev, sizeof(dev), "/dev/mapper/" NAME "%s", letter);
	snprintf(dir, sizeof(dir), "/mnt/%s", letter);
	return mount_at(dev, dir, options);
}

TEST_F(verity, signed_images_share)
{
	ASSERT_EQ(0, mount_verity("a", "share-a", "share-a", DOMAIN));
	ASSERT_EQ(0, mount_verity("b", "share-b-chunk", "share-b-chunk", DOMAIN));
	EXPECT_EQ(256, frames_shared("/mnt/a", "common", "/mnt/b", "common", 256));
	EXPECT_EQ(1024, frames_shared("/mnt/b", "huge", "/mnt/a", "huge", 1024));
	EXPECT_EQ(0, same_bytes("/mnt/a", "common", "/mnt/private", "common"));
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/a", "differs", "/mnt/b", "differs"));
	EXPECT_NE(0, veritysetup("close " NAME "a"));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, veritysetup("close " NAME "a"));
	EXPECT_EQ(0, same_bytes("/mnt/b", "common", "/mnt/private", "common"));
}

TEST_F(verity, signed_image_shares_with_others)
{
	ASSERT_EQ(0, mount_verity("a", "share-a", "share-a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mount_file("share-b-chunk", "/mnt/c", DOMAIN));
	EXPECT_EQ(256, frames_shared("/mnt/a", "common", "/mnt/b", "common", 256));
	EXPECT_EQ(1024, frames_shared("/mnt/c", "huge", "/mnt/a", "huge", 1024));
	EXPECT_EQ(0, same_bytes("/mnt/a", "common", "/mnt/private", "common"));
}

/* Its own reader gets no wrong byte, and a healthy image serves both. */
TEST_F(verity, changed_image)
{
	uint32_t crc;

	ASSERT_EQ(0, mount_verity("b", "changed", "share-b-chunk", DOMAIN));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
	ASSERT_EQ(0, mount_verity("a", "share-a", "share-a", DOMAIN));
	close(open_read("/mnt/a", "common", 0));
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	/* Not from what is there: once more, and through the other one. */
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(verity, changed_image_alone)
{
	uint32_t crc;

	EXPECT_NE(0, veritysetup("verify changed.img share-b-chunk-hashes.img $(cat share-b-chunk.root)"));
	ASSERT_EQ(0, mount_verity("b", "changed", "share-b-chunk", NULL));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(0, same_bytes("/mnt/b", "huge", "/mnt/private", "huge"));
}

/* The tree of the image, but not under this root. */
TEST_F(verity, wrong_root)
{
	EXPECT_EQ(0, veritysetup("verify share-a.img share-a-hashes.img $(cat share-a.root)"));
	EXPECT_NE(0, veritysetup("verify share-a.img share-a-hashes.img $(tr 0-9 1-90 <share-a.root)"));
	ASSERT_EQ(0, veritysetup("open share-a.img " NAME "a share-a-hashes.img $(tr 0-9 1-90 <share-a.root)"));
	EXPECT_EQ(-EIO, mount_at("/dev/mapper/" NAME "a", "/mnt/a", DOMAIN));
}

TEST_HARNESS_MAIN
