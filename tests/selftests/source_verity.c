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

/* Exit status of veritysetup. */
static int __attribute__((format(printf, 1, 2))) veritysetup(const char *format, ...)
{
	char arguments[1024], command[2048], out[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "veritysetup %s 2>&1", arguments);
	return output_of(command, out, sizeof(out));
}

/* The devices of an image, and of a tree of hashes over one. It reads direct: on the files themselves it would take their
   lock before a fault takes that of memory, which images in files, whose pages a fault brings direct, do the other way
   round. They go with the test. */
static int attach(const char *data, const char *tree, char devs[2][DEV_LEN])
{
	char hashes[64];

	snprintf(hashes, sizeof(hashes), "%s-hashes", tree);
	return attach_image(data, devs[0]) < 0 || attach_image(hashes, devs[1]) < 0 ? -ENODEV : 0;
}

/* How the root of the tree over @image is said: as it is, or wrong. */
#define ROOT "$(cat ${EROFS_IMAGES:-/images}/%s.root)"
#define WRONG_ROOT "$(tr 0-9 1-90 <${EROFS_IMAGES:-/images}/%s.root)"

static int verify(const char *data, const char *image, const char *root)
{
	char devs[2][DEV_LEN], arguments[256];

	if (attach(data, image, devs))
		return -ENODEV;
	snprintf(arguments, sizeof(arguments), root, image);
	return veritysetup("verify %s %s %s", devs[0], devs[1], arguments);
}

/* The image @data, checked against the tree over @image, by the letter in its name. */
static int open_verity(const char *letter, const char *data, const char *image, const char *root)
{
	char devs[2][DEV_LEN], arguments[256];

	if (attach(data, image, devs))
		return -ENODEV;
	snprintf(arguments, sizeof(arguments), root, image);
	return veritysetup("open %s " NAME "%s %s %s", devs[0], letter, devs[1], arguments);
}

static int mount_verity(const char *letter, const char *data, const char *image, const char *options)
{
	char dev[64], dir[16];

	if (open_verity(letter, data, image, ROOT))
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

	EXPECT_LT(0, verify("changed", "share-b-chunk", ROOT));
	ASSERT_EQ(0, mount_verity("b", "changed", "share-b-chunk", NULL));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(0, same_bytes("/mnt/b", "huge", "/mnt/private", "huge"));
}

/* The tree of the image, but not under this root. */
TEST_F(verity, wrong_root)
{
	EXPECT_EQ(0, verify("share-a", "share-a", ROOT));
	EXPECT_LT(0, verify("share-a", "share-a", WRONG_ROOT));
	ASSERT_EQ(0, open_verity("a", "share-a", "share-a", WRONG_ROOT));
	EXPECT_EQ(-EIO, mount_at("/dev/mapper/" NAME "a", "/mnt/a", DOMAIN));
}

TEST_HARNESS_MAIN
