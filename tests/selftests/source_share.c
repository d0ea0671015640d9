// SPDX-License-Identifier: GPL-2.0
/* Equal files of images on different sources: one copy in memory, filled through whichever source can. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define DM "selftest-sources"

static const struct {
	const char *name;
	int pages;
} files[] = { { "common", 256 }, { "huge", 1024 }, { "tail", 2 }, { "tiny", 1 }, { "sparse", 97 } };

enum kind { BLOCK, BACKING, DIRECT, EXTRA_BLOCK, EXTRA_FILE };

/* Version a of the tree on a source of that kind. */
static int mount_kind(enum kind kind, const char *dir)
{
	switch (kind) {
	case BLOCK:
		return mount_image("share-a", dir, DOMAIN);
	case BACKING:
		return mount_file("share-a", dir, DOMAIN);
	case DIRECT:
		return mount_file("share-a-chunk", dir, DOMAIN ",directio");
	default:
		return mount_devices("dev-one", 1, kind == EXTRA_FILE, dir, DOMAIN);
	}
}

FIXTURE(sources) {
};

FIXTURE_VARIANT(sources) {
	enum kind a, b;
};

#define PAIR(x, y) FIXTURE_VARIANT_ADD(sources, x##_and_##y) { .a = x, .b = y }
PAIR(BLOCK, BACKING);
PAIR(BACKING, BLOCK);
PAIR(BACKING, DIRECT);
PAIR(EXTRA_BLOCK, BACKING);
PAIR(EXTRA_FILE, BLOCK);
PAIR(DIRECT, EXTRA_BLOCK);

FIXTURE_SETUP(sources)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_kind(variant->a, "/mnt/a"));
	ASSERT_EQ(0, mount_kind(variant->b, "/mnt/b"));
}

FIXTURE_TEARDOWN(sources)
{
}

TEST_F(sources, equal_files_share_every_frame)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(files[i].pages, frames_shared("/mnt/a", files[i].name, "/mnt/b", files[i].name, files[i].pages))
			TH_LOG("%s", files[i].name);
	}
}

TEST_F(sources, contents_are_right_whoever_reads_first)
{
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, drop_caches(1));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			EXPECT_EQ(0, same_bytes(round ? "/mnt/b" : "/mnt/a", files[i].name, "/mnt/private", files[i].name))
				TH_LOG("%s", files[i].name);
			EXPECT_EQ(0, same_bytes(round ? "/mnt/a" : "/mnt/b", files[i].name, "/mnt/private", files[i].name))
				TH_LOG("%s", files[i].name);
		}
	}
}

TEST_F(sources, the_other_one_reads_on)
{
	int fd = open_read("/mnt/a", "common", 0);
	uint32_t crc, right;

	ASSERT_EQ(0, path_crc("/mnt/private", "common", &right));
	ASSERT_EQ(0, path_crc("/mnt/b", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/b"));
	ASSERT_EQ(0, file_crc(fd, &crc));
	EXPECT_EQ(right, crc);
	ASSERT_EQ(0, drop_caches(1));
	ASSERT_EQ(0, file_crc(fd, &crc));
	EXPECT_EQ(right, crc);
	close(fd);
}

/* Compressed and not, on a device and in a file. */
FIXTURE(encoded) {
};

FIXTURE_SETUP(encoded)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(encoded)
{
}

TEST_F(encoded, compressed_file_with_plain_device)
{
	ASSERT_EQ(0, mount_file("encoded-a-lz4", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("encoded-b-plain", "/mnt/b", DOMAIN));
	EXPECT_EQ(256, frames_shared("/mnt/a", "text", "/mnt/b", "text", 256));
	EXPECT_EQ(171, frames_shared("/mnt/b", "words", "/mnt/a", "words", 171));
}

TEST_F(encoded, compressed_device_with_plain_file)
{
	ASSERT_EQ(0, mount_image("encoded-a-zstd", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_file("encoded-b-plain", "/mnt/b", DOMAIN));
	EXPECT_EQ(256, frames_shared("/mnt/a", "text", "/mnt/b", "text", 256));
	EXPECT_EQ(171, frames_shared("/mnt/b", "words", "/mnt/a", "words", 171));
}

/* --- One source cannot fill the page --- */

FIXTURE(failing) {
	uint32_t crc;
};

FIXTURE_SETUP(failing)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	ASSERT_EQ(0, mkdir("/mnt/rw", 0755));
	ASSERT_EQ(0, mount("ramfs", "/mnt/rw", "ramfs", 0, NULL));
}

FIXTURE_TEARDOWN(failing)
{
	umount_at("/mnt/b");
	dm_remove(DM);
}

/* The same bytes through both, though /mnt/b cannot read them. */
#define EXPECT_SERVED() do { \
	uint32_t crc; \
	ASSERT_EQ(0, drop_caches(1)); \
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc)); \
	EXPECT_EQ(self->crc, crc); \
	ASSERT_EQ(0, drop_caches(1)); \
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc)); \
	EXPECT_EQ(self->crc, crc); \
} while (0)

TEST_F(failing, truncated_file)
{
	uint32_t crc;

	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, copy_image("share-a", "/mnt/rw/image"));
	ASSERT_EQ(0, mount_at("/mnt/rw/image", "/mnt/b", DOMAIN));
	close(open_read("/mnt/a", "common", 0));
	close(open_read("/mnt/b", "common", 0));
	ASSERT_EQ(0, truncate("/mnt/rw/image", 16384));
	EXPECT_SERVED();
	/* Alone it fails. */
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
}

TEST_F(failing, bad_sectors_served_by_a_file)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent;
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 1 } };
	char loop[DEV_LEN], dev[DEV_LEN];
	int fd;

	ASSERT_EQ(0, mount_file("share-a", "/mnt/a", DOMAIN));
	fd = open_read("/mnt/a", "common", 0);
	ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, &map));
	close(fd);
	fd = attach_image("share-a", loop);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dm_create(DM, loop, map.extent.fe_physical / 512, map.extent.fe_length / 512, dev));
	ASSERT_EQ(0, mount_at(dev, "/mnt/b", DOMAIN));
	close(fd);
	close(open_read("/mnt/b", "common", 0));
	EXPECT_SERVED();
}

/* A device that comes and goes. */
TEST_F(failing, flakey_device)
{
	char loop[DEV_LEN], dev[DEV_LEN];
	int fd = attach_image("share-b", loop);
	bool failed = false, worked = false;
	uint32_t own, crc;

	ASSERT_EQ(0, mount_image("share-a-chunk", "/mnt/a", DOMAIN));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dm_create(DM, loop, 0, 0, dev));
	ASSERT_EQ(0, mount_at(dev, "/mnt/b", DOMAIN));
	ASSERT_EQ(0, path_crc("/mnt/b", "only-1", &own));
	close(open_read("/mnt/a", "common", 0));
	close(open_read("/mnt/b", "common", 0));
	/* Gone. */
	ASSERT_EQ(0, dm_flakey(DM, loop, 0, 3600));
	EXPECT_SERVED();
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "only-1", &crc));
	/* Off and on, until both were seen. */
	ASSERT_EQ(0, dm_flakey(DM, loop, 1, 1));
	for (int i = 0; i < 1000 && !(failed && worked); i++) {
		int err;

		EXPECT_SERVED();
		ASSERT_EQ(0, drop_caches(1));
		err = path_crc("/mnt/b", "only-1", &crc);
		failed |= err == -EIO;
		worked |= !err && crc == own;
		EXPECT_TRUE(err == -EIO || (!err && crc == own));
	}
	EXPECT_TRUE(failed && worked);
	/* Back. */
	ASSERT_EQ(0, dm_flakey(DM, loop, 3600, 0));
	EXPECT_SERVED();
	EXPECT_EQ(0, path_crc("/mnt/b", "only-1", &crc));
	EXPECT_EQ(own, crc);
	close(fd);
}

TEST_F(failing, truncated_compressed_file)
{
	uint32_t right, crc;

	ASSERT_EQ(0, mount_file("encoded-a-plain", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, copy_image("encoded-b-lz4", "/mnt/rw/image"));
	ASSERT_EQ(0, mount_at("/mnt/rw/image", "/mnt/b", DOMAIN));
	ASSERT_EQ(0, path_crc("/mnt/a", "text", &right));
	ASSERT_EQ(0, path_crc("/mnt/b", "text", &crc));
	ASSERT_EQ(0, truncate("/mnt/rw/image", 8192));
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/b", "text", &crc));
	EXPECT_EQ(right, crc);
}

TEST_HARNESS_MAIN
